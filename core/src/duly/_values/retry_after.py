"""For how long an error asks to wait before the next try, in whatever form it says so."""

from datetime import timedelta
from typing import Final

__all__ = ["LATEST", "as_pause"]

LATEST: Final = timedelta(days=36525)
"""A century: nobody asks for more."""


def as_pause(asked: object) -> timedelta | None:
    """A timedelta as it is, or made from seconds (at most a century); None for all else."""
    if isinstance(asked, timedelta):
        return asked
    if not isinstance(asked, int | float) or isinstance(asked, bool) or not asked > 0:
        return None  # NaN is not greater, either
    return timedelta(seconds=float(min(asked, LATEST.total_seconds())))
