"""Which fire of a series may follow which, worked out independently of the engine."""

from datetime import datetime, timedelta
from typing import Final

from duly.message import Message
from duly.recurrence import Cron, Every, Recurrence

__all__ = ["Course", "Place", "told"]

Place = tuple[int, datetime] | None
"""The occurrence, from 0, and its fire; None when there is nothing more to come."""

_SECOND: Final = timedelta(seconds=1)


def told(place: Place) -> str:
    """A place in words."""
    return "none" if place is None else f"{place[0]} for {place[1]:%H:%M:%S.%f}"


class Course:
    """Which occurrences a message may have, and when.

    Of a cron expression it reads only the seconds, ``*/n``.
    """

    def __init__(self, message: Message) -> None:
        self._id = message.id
        self._recurrence = message.recurrence

    def due(self, fire: datetime) -> datetime:
        """When a fire is due for the first time."""
        recurrence = self._recurrence
        return fire if recurrence is None else recurrence.due(self._id, fire)

    def after(self, occurrence: int, fire: datetime) -> Place:
        """What comes after this occurrence."""
        recurrence = self._recurrence
        if recurrence is None or recurrence.max_occurrences == occurrence + 1:
            return None
        following = _following(recurrence, fire)
        return None if following is None else (occurrence + 1, following)

    def instead(
        self, occurrence: int, fire: datetime, now: datetime, slow: timedelta
    ) -> tuple[set[Place], bool]:
        """What may come instead of a fire first claimed ``now``, and whether it must.

        Two claims in a row may take up to ``slow``; a grace shorter than that may be stretched to
        as much.
        """
        recurrence = self._recurrence
        if recurrence is None or recurrence.missed == "all":
            return set(), False
        least, most = max(recurrence.grace, _SECOND), max(recurrence.grace, _SECOND + slow)
        places = set[Place]()
        surely = False
        following: datetime | None = fire
        while following is not None and now - self.due(following) > least:
            latest, following = following, _following(recurrence, following)
            last = latest if recurrence.missed == "once" else following
            if now - self.due(latest) > most:  # this one was missed, whatever claims took
                places.clear()
                surely = latest != fire or recurrence.missed == "skip"
            if last != fire:
                places.add(None if last is None else (occurrence, last))
        return places, surely


def _following(recurrence: Recurrence, fire: datetime) -> datetime | None:
    match recurrence:
        case Every(interval=interval):
            fire += interval
        case Cron(expression=expression):
            step = int(expression.split()[0][len("*/") :] or 1)
            fire = fire.replace(microsecond=0) + _SECOND
            while fire.second % step:
                fire += _SECOND
    return None if recurrence.until is not None and fire > recurrence.until else fire
