"""Time zones by the ``tzdata`` package, so that every host agrees on their rules."""

import functools
import importlib.resources
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

__all__ = ["next_change", "zone"]

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@functools.cache
def zone(name: str) -> tzinfo:
    """The IANA zone of that name.

    Raises:
        KeyError: there is no zone of that name.
    """
    if name == "UTC":
        return UTC
    if name not in _names():  # "localtime" is another zone on every host
        raise KeyError(name)
    with importlib.resources.files("tzdata.zoneinfo").joinpath(name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(importlib.resources.files("tzdata").joinpath("zones").read_text().split())


def next_change(where: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The first moment after ``start``, in UTC, at which the clocks of a zone have changed.

    None when they have not by ``end``. Two changes within a day count as one.
    """
    if where is UTC:
        return None
    offset = start.astimezone(where).utcoffset()
    before, after = start, start
    while after < end:
        before, after = after, min(after + _DAY, end)
        if after.astimezone(where).utcoffset() != offset:
            break
    else:
        return None
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(where).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
