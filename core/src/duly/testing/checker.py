"""Holds a journal to the rules R1 to R5, R8, R13 and R14 of ``docs/reference/guarantees.md``.

Every entry names the scheduling it is about. What callers were told, what schedulers published and
what the store says it did must fit together, for each scheduling by itself; dead letters are
counted in and out.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from duly.message import Message, State
from duly.testing.entries import Entry
from duly.testing.scheduling import Scheduling

__all__ = ["Checker"]

_SHOWN: Final = 60  # entries of a scheduling that a failure tells


class Checker:
    """Reads a journal once, from the first entry to the last."""

    def __init__(
        self, entries: Sequence[Entry], behind: timedelta, ahead: timedelta, slow: timedelta
    ) -> None:
        self._entries = entries
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
        for entry in self._entries:
            fault = None if entry.look else self._follow(entry)
            if fault is not None:
                self._fail(entry.id or entry.scheduling.rpartition(":")[0], entry, fault)
        for scheduling in self._known.values():
            fault = scheduling.conclude()
            if fault is not None:
                self._fail(scheduling.name.rpartition(":")[0], None, fault)
        for message in dead:
            self._dead[message.delivery_id] -= 1
            if not message.last_error:
                self._fail(message.id, None, "R8: a dead letter without a reason")
        for delivery_id, number in self._dead.items():
            if number:
                what = "gone" if number > 0 else "nobody buried it"
                self._fail(delivery_id.rsplit(":", 2)[0], None, f"R8: {delivery_id} dead, {what}")

    def _follow(self, entry: Entry) -> str | None:
        match entry.what:
            case "fault":
                return entry.detail
            case "crashed" | "frozen" | "thawed" | "renewed":
                self._follow_process(entry)
            case "told" | "promised":
                return self._follow_answer(entry)
            case "stored" | "repeated" | "refused":
                return self._follow_put(entry)
            case "cancelled" | "too late" | "unknown" | "replaced" | "replayed":
                return self._follow_change(entry)
            case _:
                return self._follow_delivery(entry)
        return None

    def _follow_process(self, entry: Entry) -> None:
        if entry.until is not None:
            for each in self._tokens.get(entry.token, ()):
                each.renew(entry.token, entry.until)
        elif entry.what != "thawed":
            for each in self._known.values():
                each.lose_track(entry.process, dead=entry.what == "crashed")

    def _follow_answer(self, entry: Entry) -> str | None:
        if entry.what == "promised":
            known = (entry.process, entry.detail) in self._stored
            return None if known else "R1: its caller was told that it is stored, and it is not"
        outcome = self._outcomes.get((entry.process, entry.id))
        if entry.detail == outcome:
            return None
        return f"R4: its caller was told {entry.detail}, and it was {outcome}"

    def _follow_put(self, entry: Entry) -> str | None:
        message, known = entry.message, self._known.get(entry.scheduling)
        assert message is not None
        if entry.what == "refused":
            return None
        self._stored.add((entry.process, message.payload.decode()))
        if entry.what == "repeated" and known is not None:
            return None
        fault = None if known is None else known.conclude()
        self._store(entry, message)
        return fault

    def _store(self, entry: Entry, message: Message) -> None:
        known = self._known.get(entry.scheduling)
        if known is None:
            known = self._known[entry.scheduling] = Scheduling(message, *self._tolerance)
        known.store(message, entry.place or (message.occurrence_count, message.scheduled_at))
        self._payloads[entry.scheduling] = message.payload.decode()

    def _follow_change(self, entry: Entry) -> str | None:
        """Something was done to what is stored, perhaps to a dead letter."""
        message, known = entry.message, self._known.get(entry.scheduling)
        if entry.what in ("cancelled", "too late", "unknown"):
            self._outcomes[entry.process, entry.id] = entry.what
        if message is None:
            return None
        if message.state is not State.DEAD:
            return "nobody scheduled this" if known is None else known.follow(entry)
        self._dead[message.delivery_id] -= 1
        if self._dead[message.delivery_id] < 0:
            return f"R8: {message.delivery_id} is dead, but nobody buried it"
        if entry.what == "replayed":
            self._store(entry, message)
        return None

    def _follow_delivery(self, entry: Entry) -> str | None:
        known, message = self._known.get(entry.scheduling), entry.message
        if known is None:
            return "nobody scheduled this"
        if entry.what in ("begun", "accepted", "arrived"):
            if entry.detail != self._payloads[entry.scheduling]:
                return f"R14: {entry.detail!r} came under the delivery id of another"
        elif entry.what == "moved":  # what an earlier holder still says goes by the old name
            self._known[entry.renamed] = known
            self._payloads[entry.renamed] = self._payloads[entry.scheduling]
        elif entry.what == "claimed":
            self._tokens.setdefault(entry.token, []).append(known)
        elif entry.detail == "buried" and message is not None:
            self._dead[message.delivery_id] += not known.is_void(entry.token)
        return known.follow(entry)

    def _fail(self, id: str, until: Entry | None, fault: str) -> None:
        told = []
        for each in self._entries:
            if each.what in ("crashed", "frozen", "thawed", "renewed") or each.is_about(id):
                told.append(each)
            if each is until:
                break
        lines = [str(each) for each in itertools.islice(reversed(told), _SHOWN)]
        name = id if until is None else until.scheduling or id
        raise AssertionError("\n  ".join([f"{name}: {fault}", *reversed(lines)]))
