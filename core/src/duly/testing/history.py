"""What happened, in order, and whether all of it may happen: the checker of R1 to R4.

A *scheduling* is one message under its id: ``<id>:<created_at in microseconds>``, as in its
delivery ids. Whoever replaces gives every replacement a later ``created_at`` than all before it,
and nobody repeats the ``schedule`` of a series that may have begun.
"""

import itertools
from collections.abc import Collection
from datetime import datetime
from typing import Final

from duly.message import Message
from duly.store import Batch, Clock, Group
from duly.testing.scheduling import Event, Scheduling, name_of
from duly.transport import Envelope

__all__ = ["History"]

_SHOWN: Final = 40  # events of a scheduling that a failure tells


class History:
    """Takes notes of all that processes do to one store and one transport."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.events: list[Event] = []
        self._known: dict[str, Scheduling] = {}
        self._current: dict[str, Scheduling] = {}  # by id: what was stored last

    def note(self, what: str, process: str, **more: object) -> None:
        """Something happened, just now."""
        self.events.append(Event(at=self._clock(), what=what, process=process, **more))  # type: ignore[arg-type]  # checked by those below

    def note_asked(self, process: str, group: Group) -> None:
        """Messages are about to be stored; nobody knows yet whether they will be."""
        for message in group.messages:
            self.note("asked", process, scheduling=name_of(message.delivery_id), message=message)

    def note_stored(self, process: str, group: Group) -> None:
        """Messages were stored."""
        what = "replacing" if group.replace else "stored"
        for message in group.messages:
            self.note(what, process, scheduling=name_of(message.delivery_id), message=message)

    def note_verb(self, what: str, process: str, id: str, moment: datetime | None = None) -> None:
        """Something was done to whatever is stored under an id."""
        self.note(what, process, id=id, moment=moment)

    def note_claimed(self, process: str, batch: Batch) -> None:
        """A batch was handed out."""
        for claim in batch.claims:
            self.note("claimed", process, scheduling=name_of(claim.message.delivery_id))

    def note_publish(self, what: str, process: str, envelope: Envelope) -> None:
        """A publish has ``begun``, was ``accepted`` or has ``ended`` in whatever way."""
        self.note(
            what,
            process,
            scheduling=name_of(envelope.delivery_id),
            occurrence=envelope.occurrence,
            moment=envelope.scheduled_at,
        )

    def check(self, dead: Collection[Message]) -> None:
        """Hold all of it to the rules; ``dead`` are the dead letters in the store at the end.

        To be called when nothing else is left in the store.

        Raises:
            AssertionError: a rule was broken; tells which, and what happened to the message.
        """
        self._known, self._current = {}, {}
        buried = {message.delivery_id for message in dead}
        for event in self.events:
            if event.what == "asked" and event.message is not None:
                self._known.setdefault(event.scheduling, Scheduling(event.message, buried))
            elif event.what == "crashed":
                for each in self._known.values():
                    each.in_flight.discard(event.process)
            else:
                self._follow(event)
        for scheduling in self._known.values():
            self._judge(scheduling.name, scheduling.conclude())

    def _follow(self, event: Event) -> None:
        scheduling = self._current.get(event.id) if event.id else self._known.get(event.scheduling)
        if scheduling is None:
            # An id may be tried that nothing was ever stored under.
            return self._judge(event.scheduling, None if event.id else "nobody scheduled this")
        if event.what in ("stored", "replacing"):
            former = self._current.get(scheduling.id)
            if event.what == "replacing" and former is not None and former is not scheduling:
                former.remove("replaced")
            self._current[scheduling.id] = scheduling
        return self._judge(scheduling.name, scheduling.follow(event))

    def _judge(self, scheduling: str, fault: str | None) -> None:
        if fault is not None:
            self._fail(scheduling, fault)

    def _fail(self, scheduling: str, fault: str) -> None:
        id = scheduling.rpartition(":")[0]
        told = [
            each
            for each in self.events
            if each.what == "crashed" or id in (each.id, each.scheduling.rpartition(":")[0])
        ]
        lines = [str(each) for each in itertools.islice(reversed(told), _SHOWN)]
        raise AssertionError("\n  ".join([f"{scheduling}: {fault}", *reversed(lines)]))
