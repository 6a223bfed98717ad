"""When a cron expression fires by the clocks of a zone, also when these are put back or forward."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from cronsim import CronSim

from duly._values.zones import next_change

__all__ = ["fires"]

_TICK: Final = timedelta(microseconds=1)


def fires(expression: str, where: tzinfo, moment: datetime) -> Iterator[datetime]:
    """Every match after ``moment``, in UTC, earliest first; ``expression`` is normalised."""
    *seconds, minute, hour, _, _, _ = expression.split()
    second = "".join(seconds) or "0"
    fixed = second.isdecimal() and not minute.startswith("*") and not hour.startswith("*")
    try:
        yield from (_fixed if fixed else _running)(expression, where, moment)
    except (OverflowError, ValueError):  # beyond the year 9999
        return


def _fixed(expression: str, where: tzinfo, moment: datetime) -> Iterator[datetime]:
    """Matches of fixed hours and minutes, each day's once."""
    *seconds, minute, hour, day, month, weekday = expression.split()
    # With six fields cronsim knows no fixed hours: the second is added to matches of five fields.
    second = timedelta(seconds=int("".join(seconds) or "0"))
    start = (moment - second).astimezone(where)
    for match in CronSim(f"{minute} {hour} {day} {month} {weekday}", start):
        fire = match.astimezone(UTC) + second
        # In an hour that comes twice cronsim may answer with a moment before its start.
        if fire > moment:
            yield fire


def _clock(moment: datetime, where: tzinfo) -> tuple[timedelta, datetime]:
    """How far the clocks of a zone are ahead of UTC, and what they show."""
    wall = moment.astimezone(where)
    return wall.utcoffset() or timedelta(0), wall.replace(tzinfo=None)


def _running(expression: str, where: tzinfo, moment: datetime) -> Iterator[datetime]:
    """Matches that follow the clock on the wall when it is put back or forward.

    Cronsim skips some of them when the clock is put by less than an hour. So it is asked for each
    stretch without such a change by itself.
    """
    offset, wall = _clock(moment, where)
    while True:
        for match in CronSim(expression, wall):
            fire = (match - offset).replace(tzinfo=UTC)
            change = next_change(where, moment, fire)
            if change is not None:
                break
            yield fire
            moment = fire
        else:
            return
        moment = change
        offset, wall = _clock(change, where)
        wall -= _TICK  # what the clock shows after the change may be a match itself
