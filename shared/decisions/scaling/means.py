"""A running mean, by which everything here learns."""


def moved(known: float, value: float, weight: float) -> float:
    """The mean once `value` was seen, which counts `weight` (from 0 to 1)."""
    return known + weight * (value - known)
