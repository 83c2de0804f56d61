"""Step costs that a test decides on."""

from backends.drafting.costs import StepCosts


def costs(slope: float, up_to: int = 64) -> StepCosts:
    """n rows cost 1 + slope (n - 1) milliseconds: 0 for a GPU that waits for memory, 1 for a core that computes."""
    made = StepCosts()
    for num_rows in range(1, up_to + 1):
        made.measured(num_rows, 0.001 * (1 + slope * (num_rows - 1)))
    return made
