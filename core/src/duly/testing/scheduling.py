"""What may happen to one scheduling, event by event."""

from collections.abc import Collection
from datetime import datetime, timedelta

import attrs

from duly.message import Message
from duly.recurrence import Every

__all__ = ["Event", "Scheduling", "name_of"]


def name_of(delivery_id: str) -> str:
    """The scheduling that a delivery id is of."""
    return delivery_id.rpartition(":")[0]


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened at a moment by the store's clock.

    It is about a scheduling or, where whoever did it knows no more than that, about an id.
    ``moment`` is where a message was moved to, or the ``scheduled_at`` of what was published.
    """

    at: datetime
    what: str
    process: str
    scheduling: str = ""
    id: str = ""
    occurrence: int = 0
    moment: datetime | None = None
    message: Message | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        about = f"{self.scheduling or self.id}:{self.occurrence}" if not self.id else self.id
        moment = "" if self.moment is None else f" for {self.moment:%H:%M:%S.%f}"
        return f"{self.at:%H:%M:%S.%f} {self.process}: {self.what} {about}{moment}"


class Scheduling:
    """One message as it was stored once, and what has become of it so far."""

    def __init__(self, message: Message, buried: Collection[str]) -> None:
        self.id = message.id
        self.name = name_of(message.delivery_id)
        self.in_flight: set[str] = set()
        """The processes that are publishing it."""
        self._interval: timedelta | None = None
        self._occurrences = 1
        if isinstance(message.recurrence, Every):
            self._interval = message.recurrence.interval
            self._occurrences = message.recurrence.max_occurrences or 1
        self._buried = {
            number for number in range(self._occurrences) if f"{self.name}:{number}" in buried
        }
        self._stored = False
        self._removed: str | None = None
        self._cancels = 0  # asked for and without an outcome: a caller was killed meanwhile
        self._holder: str | None = None
        self._begun_since_claim = 0
        self._accepted: set[int] = set()
        self._occurrence = 0
        self._fire = message.scheduled_at
        self._moved: datetime | None = None

    def remove(self, how: str) -> None:
        """It was ``cancelled``, cancelled ``too late`` or ``replaced``."""
        self._removed = self._removed or how

    def follow(self, event: Event) -> str | None:
        """Take up what happened next; which rule it breaks, None for none."""
        match event.what:
            case "claimed":
                return self._claim(event.process)
            case "begun":
                return self._begin(event)
            case "accepted":
                self._accepted.add(event.occurrence)
                if self._removed == "cancelled":
                    return "R4: delivered although cancelled"
            case "ended":
                self.in_flight.discard(event.process)
            case "stored" | "replacing":
                self._stored = True
            case "moved":
                self._moved = event.moment
            case _:
                self._cancel(event.what)
        return None

    def _cancel(self, what: str) -> None:
        match what:
            case "cancelling":
                self._cancels += 1
            case "unknown":
                self._cancels -= 1
            case _:
                self.remove(what)

    def _claim(self, process: str) -> str | None:
        self._holder, self._begun_since_claim = process, 0
        return f"R4: claimed although {self._removed}" if self._removed else None

    def conclude(self) -> str | None:
        """Which rule is broken now that nothing more happens, None for none."""
        if not self._stored or self._removed or self._cancels:
            return None
        missing = set(range(self._occurrences)) - self._accepted - self._buried
        return f"R1: lost, occurrences {sorted(missing)}" if missing else None

    def _begin(self, event: Event) -> str | None:
        others = self.in_flight - {event.process}
        twice = event.process in self.in_flight
        self.in_flight.add(event.process)
        self._begun_since_claim += 1
        assert event.moment is not None
        if event.at < event.moment:
            return f"R2: {event.moment - event.at} early"
        if self._removed == "cancelled":
            return "R4: published although cancelled"
        if event.process != self._holder:
            return f"R3: published by {event.process}, claimed by {self._holder}"
        if others or twice:
            return f"R5: published while {', '.join(others) or 'itself'} still does"
        if self._begun_since_claim > 1:
            return "R4: published twice under one claim"
        return self._take_place(event.occurrence, event.moment)

    def _take_place(self, occurrence: int, fire: datetime) -> str | None:
        """Whether this occurrence is what may come now: the same once more, or the next."""
        due, over = self._fire, self._occurrence in self._accepted | self._buried
        wanted = {(self._occurrence, self._moved or due)}
        if over and self._interval is not None and self._occurrence + 1 < self._occurrences:
            wanted.add((self._occurrence + 1, self._moved or due + self._interval))
        if (occurrence, fire) not in wanted:
            return f"R3: occurrence {occurrence} for {fire:%H:%M:%S.%f}, not one of {wanted}"
        self._occurrence, self._fire, self._moved = occurrence, fire, None
        return None
