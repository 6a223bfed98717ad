"""What happened, in order, and whether all of it may happen: the checker of R1 to R4.

A *scheduling* is one message under its id: ``<id>:<created_at in microseconds>``, as in its
delivery ids. Whoever replaces gives every replacement a later ``created_at`` than all before it,
and nobody repeats the ``schedule`` of a series that may have begun.
"""

import itertools
from collections.abc import Collection
from datetime import datetime
from typing import Final

import attrs

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
        buried = {message.delivery_id for message in dead}
        known: dict[str, Scheduling] = {}
        current: dict[str, Scheduling] = {}  # by id: what was stored last
        for event in self.events:
            if event.what == "crashed":
                for each in known.values():
                    each.in_flight.discard(event.process)
                continue
            if event.what == "asked":
                assert event.message is not None
                known.setdefault(event.scheduling, Scheduling(event.message, buried))
                continue
            if event.id:
                scheduling = current.get(event.id)
                if scheduling is None:
                    continue  # of nothing that was ever stored
            else:
                scheduling = known.get(event.scheduling)
                if scheduling is None:
                    self._fail(event.scheduling, "nobody scheduled this")
            if event.what in ("stored", "replacing"):
                former = current.get(scheduling.id)
                if event.what == "replacing" and former not in (None, scheduling):
                    former.remove("replaced")
                current[scheduling.id] = scheduling
            self._judge(scheduling.name, scheduling.follow(event))
        for scheduling in known.values():
            self._judge(scheduling.name, scheduling.conclude())

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
