"""Where the sliders of a plan stop. Pure numbers."""

from app.planner.alternatives import LONGEST_UNKNOWN
from backends.kv_layout import PADDING

LEAST_CONTEXT = 1024
PARALLEL = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64)


def contexts(trained: int | None) -> tuple[int, ...]:
    """Tokens: four steps to each doubling, up to what the model was trained for."""
    most = trained or LONGEST_UNKNOWN
    found, begin = [], LEAST_CONTEXT
    while begin < most:
        found += [number for quarter in range(4) if (number := begin + quarter * begin // 4) < most]
        begin *= 2
    return (*(number // PADDING * PADDING for number in found), most)
