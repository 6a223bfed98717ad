"""Whether what happened may happen: the checker of R1 to R5, R8, R13 and R14.

Every event names the scheduling it is about. What callers were told, what schedulers published and
what the store says it did must fit together, for each scheduling by itself; dead letters are
counted in and out.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from duly.message import Message, State
from duly.testing.events import Event
from duly.testing.scheduling import Scheduling

__all__ = ["Checker"]

_SHOWN: Final = 60  # events of a scheduling that a failure tells


class Checker:
    """Goes through a history once."""

    def __init__(
        self, events: Sequence[Event], behind: timedelta, ahead: timedelta, slow: timedelta
    ) -> None:
        self._events = events
        self._tolerance = (behind, ahead, slow)
        self._known: dict[str, Scheduling] = {}
        self._payloads: dict[str, str] = {}  # by scheduling
        self._dead: Counter[str] = Counter()  # by delivery id
        self._outcomes: dict[tuple[str, str], str] = {}  # of the latest cancel, by process and id
        self._stored: set[tuple[str, str]] = set()  # by process and payload
        self._tokens: dict[str, list[Scheduling]] = {}

    def check(self, dead: Collection[Message]) -> None:
        """Hold all of it to the rules.

        Raises:
            AssertionError: a rule was broken.
        """
        for event in self._events:
            fault = self._follow(event)
            if fault is not None:
                self._fail(event.id or event.scheduling.rpartition(":")[0], event, fault)
        for scheduling in self._known.values():
            fault = scheduling.conclude()
            if fault is not None:
                self._fail(scheduling.name.rpartition(":")[0], None, fault)
        for message in dead:
            self._dead[message.delivery_id] -= 1
            if not message.last_error:
                self._fail(message.id, None, "R8: a dead letter that does not tell why")
        for delivery_id, number in self._dead.items():
            if number:
                what = "gone" if number > 0 else "nobody buried it"
                self._fail(delivery_id.rsplit(":", 2)[0], None, f"R8: {delivery_id} dead, {what}")

    def _follow(self, event: Event) -> str | None:
        match event.what:
            case "fault":
                return event.detail
            case "crashed" | "frozen" | "thawed" | "renewed":
                self._follow_process(event)
            case "told" | "promised":
                return self._follow_answer(event)
            case "stored" | "repeated" | "refused":
                return self._follow_put(event)
            case "cancelled" | "too late" | "unknown" | "replaced" | "replayed":
                return self._follow_change(event)
            case _:
                return self._follow_delivery(event)
        return None

    def _follow_process(self, event: Event) -> None:
        if event.until is not None:
            for each in self._tokens.get(event.token, ()):
                each.renew(event.token, event.until)
        elif event.what != "thawed":
            for each in self._known.values():
                each.lose_track(event.process, dead=event.what == "crashed")

    def _follow_answer(self, event: Event) -> str | None:
        if event.what == "promised":
            known = (event.process, event.detail) in self._stored
            return None if known else "R1: its caller was told that it is stored, and it is not"
        outcome = self._outcomes.get((event.process, event.id))
        if event.detail == outcome:
            return None
        return f"R4: its caller was told {event.detail}, and it was {outcome}"

    def _follow_put(self, event: Event) -> str | None:
        message, known = event.message, self._known.get(event.scheduling)
        assert message is not None
        if event.what == "refused":
            return None
        self._stored.add((event.process, message.payload.decode()))
        if event.what == "repeated" and known is not None:
            return None
        fault = None if known is None else known.conclude()
        self._store(event, message)
        return fault

    def _store(self, event: Event, message: Message) -> None:
        known = self._known.get(event.scheduling)
        if known is None:
            known = self._known[event.scheduling] = Scheduling(message, *self._tolerance)
        known.store(message, event.place or (message.occurrence_count, message.scheduled_at))
        self._payloads[event.scheduling] = message.payload.decode()

    def _follow_change(self, event: Event) -> str | None:
        """Something was done to what is stored, perhaps to a dead letter."""
        message, known = event.message, self._known.get(event.scheduling)
        if event.what in ("cancelled", "too late", "unknown"):
            self._outcomes[event.process, event.id] = event.what
        if message is None:
            return None
        if message.state is not State.DEAD:
            return "nobody scheduled this" if known is None else known.follow(event)
        self._dead[message.delivery_id] -= 1
        if self._dead[message.delivery_id] < 0:
            return f"R8: {message.delivery_id} is dead, but nobody buried it"
        if event.what == "replayed":
            self._store(event, message)
        return None

    def _follow_delivery(self, event: Event) -> str | None:
        known, message = self._known.get(event.scheduling), event.message
        if known is None:
            return "nobody scheduled this"
        if event.what in ("begun", "accepted", "arrived"):
            if event.detail != self._payloads[event.scheduling]:
                return f"R14: {event.detail!r} came under the delivery id of another"
        elif event.what == "moved":  # what an earlier holder still says goes by the old name
            self._known[event.renamed] = known
            self._payloads[event.renamed] = self._payloads[event.scheduling]
        elif event.what == "claimed":
            self._tokens.setdefault(event.token, []).append(known)
        elif event.detail == "buried" and message is not None:
            self._dead[message.delivery_id] += not known.is_void(event.token)
        return known.follow(event)

    def _fail(self, id: str, until: Event | None, fault: str) -> None:
        told = []
        for each in self._events:
            if each.what in ("crashed", "frozen", "thawed", "renewed") or each.is_about(id):
                told.append(each)
            if each is until:
                break
        lines = [str(each) for each in itertools.islice(reversed(told), _SHOWN)]
        name = id if until is None else until.scheduling or id
        raise AssertionError("\n  ".join([f"{name}: {fault}", *reversed(lines)]))
