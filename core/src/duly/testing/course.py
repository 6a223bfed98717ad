"""Which fire of a series may come after which, worked out once more, apart from the engine."""

from datetime import datetime, timedelta
from typing import Final

from duly.message import Message
from duly.recurrence import Cron, Every, Recurrence

__all__ = ["Course", "Place"]

Place = tuple[int, datetime] | None
"""The occurrence, from 0, and its fire; None when there is nothing more to come."""

_SECOND: Final = timedelta(seconds=1)


class Course:
    """What may come when of a message. Of cron expressions it reads the seconds alone, ``*/n``."""

    def __init__(self, message: Message) -> None:
        self._recurrence = message.recurrence

    def after(self, occurrence: int, fire: datetime) -> Place:
        """What comes once this occurrence was taken up."""
        recurrence = self._recurrence
        if recurrence is None or recurrence.max_occurrences == occurrence + 1:
            return None
        following = _following(recurrence, fire)
        return None if following is None else (occurrence + 1, following)

    def instead(
        self, occurrence: int, fire: datetime, now: datetime, slow: timedelta
    ) -> tuple[set[Place], bool]:
        """What may come instead if it is claimed for the first time only ``now``; whether it must.

        Two claims in turn may have taken as long as ``slow``, and a grace below that counts as
        that, or as less.
        """
        recurrence = self._recurrence
        if recurrence is None or recurrence.missed == "all":
            return set(), False
        least, most = max(recurrence.grace, _SECOND), max(recurrence.grace, _SECOND + slow)
        places = set[Place]()
        surely = False
        following: datetime | None = fire
        while following is not None and now - following > least:
            latest, following = following, _following(recurrence, following)
            last = latest if recurrence.missed == "once" else following
            if now - latest > most:  # this one was missed, whatever claims took
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
