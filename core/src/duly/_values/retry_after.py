"""How long somebody asks to be left alone, in whatever form an error may say it."""

from datetime import timedelta
from typing import Final

__all__ = ["LATEST", "as_pause"]

LATEST: Final = timedelta(days=36525)
"""A century: nobody asks for more."""


def as_pause(asked: object) -> timedelta | None:
    """A timedelta, or a number of seconds as one of a century at most; None for all else."""
    if isinstance(asked, timedelta):
        return asked
    if not isinstance(asked, int | float) or isinstance(asked, bool) or not asked > 0:
        return None  # NaN is not greater, either
    return timedelta(seconds=float(min(asked, LATEST.total_seconds())))
