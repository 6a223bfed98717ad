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
    """What may come when of a message. Of cron expressions it reads ``*/n * * * * *`` alone."""

    def __init__(self, message: Message) -> None:
        self._recurrence = message.recurrence

    def after(self, occurrence: int, fire: datetime) -> Place:
        """What comes once this occurrence was taken up."""
        recurrence = self._recurrence
        if recurrence is None or recurrence.max_occurrences == occurrence + 1:
            return None
        following = _following(recurrence, fire)
        return None if following is None else (occurrence + 1, following)

    def instead(self, occurrence: int, fire: datetime, now: datetime) -> set[Place]:
        """What comes instead if it is claimed for the first time only ``now``; empty: itself."""
        recurrence = self._recurrence
        if recurrence is None or recurrence.missed == "all":
            return set()
        latest = fire  # the last that was missed
        following: datetime | None = fire  # the first that was not
        while following is not None and now - following > recurrence.grace:
            latest, following = following, _following(recurrence, following)
        if recurrence.missed == "once":
            return set() if latest == fire else {(occurrence, latest)}
        if following is None:
            return {None}
        return set() if following == fire else {(occurrence, following)}


def _following(recurrence: Recurrence, fire: datetime) -> datetime | None:
    match recurrence:
        case Every(interval=interval):
            fire += interval
        case Cron(expression=expression):
            step = int(expression.split()[0].removeprefix("*/"))
            fire = fire.replace(microsecond=0) + _SECOND
            while fire.second % step:
                fire += _SECOND
    return None if recurrence.until is not None and fire > recurrence.until else fire
