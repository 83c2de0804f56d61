"""A running estimate that single outliers cannot move far."""


def running_median(old: float | None, new: float, share: float) -> float:
    """A share up for a slower step, a share down for a quicker one, however much that is.

    A mean would follow the few steps that the system interrupts, and these cost a hundred others.
    """
    if old is None:
        return new
    return min(max(new, old * (1 - share)), old * (1 + share))
