"""Lateness in a dozen classes: what is counted by the minute, and what can be said of it."""

from collections.abc import Sequence
from typing import Final

__all__ = ["BOUNDS", "percentile"]

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, float("inf"))
"""The largest lateness of each class, in seconds."""


def percentile(counts: Sequence[int], share: float) -> float | None:
    """The lateness in seconds that so large a share does not exceed, to the accuracy of classes.

    Within a class they are taken to lie evenly. Of the last class only its lower bound is known.
    None where nothing was counted.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, seen = share * total, 0
    for number, count in enumerate(counts):
        if count and seen + count >= wanted:
            low = BOUNDS[number - 1] if number else 0.0
            high = BOUNDS[number] if number + 1 < len(BOUNDS) else low
            return low + (high - low) * (wanted - seen) / count
        seen += count
    return BOUNDS[-2]
