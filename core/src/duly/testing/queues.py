"""Holds a journal to what is said of lines: order within a name (R2), and what claims say (R10)."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly.message import Message, State
from duly.store import PAUSED, Rooms
from duly.testing.entries import Entry, Look

__all__ = ["check_flow", "check_queues"]

_COARSE: Final = timedelta(milliseconds=1)  # of a store's clock, at most


@attrs.frozen(kw_only=True)
class _Waiting:
    """A message that waits in the store, in whichever line."""

    name: str
    due: datetime
    recurs: bool
    fresh: bool
    """Never claimed, and stored before it was due: it stands where everybody expects it."""
    sure: bool
    """No lapse is counted: it is no suspect."""


@attrs.frozen
class _Held:
    """One that was claimed."""

    token: str
    due: datetime
    lapses: int


def check_queues(entries: Sequence[Entry]) -> None:
    """Hold a journal of a store with lines to it.

    Of one event name nothing is claimed while something of it waits that was due earlier, but for
    series, what was put back or has lapsed, and what came in late. A claim that says that there is
    no more leaves nothing behind that is due, unless it was told to.

    Raises:
        AssertionError: a rule was broken; tells which.
    """
    queues = _Queues()
    for entry in entries:
        for fault in queues.follow(entry):
            raise AssertionError(f"{entry.scheduling or entry.process}: {fault}\n  {entry}")


def check_flow(
    entries: Sequence[Entry], name: str, since: datetime, within: timedelta
) -> Sequence[timedelta]:
    """How late each message of a name began that was stored to be due ``since`` or later.

    Raises:
        AssertionError: R10: one was later than ``within``, or has not begun at all.
    """
    due: dict[str, datetime] = {}
    late: dict[str, timedelta] = {}
    for entry in entries:
        message = entry.message
        if entry.what == "stored" and message is not None and message.event_name == name:
            if message.next_attempt_at >= since:
                due[entry.scheduling] = message.next_attempt_at
        elif entry.what == "begun" and entry.scheduling in due:
            late.setdefault(entry.scheduling, entry.at - due[entry.scheduling])
    for scheduling in due:
        waited = late.get(scheduling)
        assert waited is not None, f"R10: {scheduling} still waits for others"
        assert waited <= within, f"R10: {scheduling} waited {waited} for others"
    return sorted(late.values())


class _Queues:
    """What waits, by event name, and what is held."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, _Waiting]] = {}  # by event name, by scheduling
        self._names: dict[str, str] = {}  # of the events of what waits
        self._held: dict[str, _Held] = {}

    def follow(self, entry: Entry) -> Iterator[str]:
        """Take up what happened next; the rules that it breaks."""
        message, key = entry.message, entry.scheduling
        if entry.look is not None:
            yield from self._look(entry, entry.look)
        elif message is None:
            return
        elif entry.what == "stored":
            self._add(
                key, message, message.next_attempt_at, fresh=message.next_attempt_at > entry.at
            )
        elif entry.what in ("cancelled", "too late", "replaced"):
            if message.state is not State.DEAD:
                self._remove(key)
        elif entry.what in ("moved", "replayed"):
            if message.state is not State.DEAD:
                self._remove(key)
            assert entry.moment is not None
            self._add(entry.renamed, message, entry.moment, fresh=entry.moment > entry.at)
        elif entry.what == "claimed":
            yield from self._claim(entry, message)
        elif entry.what == "settled":
            self._settle(entry, message)

    def _claim(self, entry: Entry, message: Message) -> Iterator[str]:
        taken = self._remove(entry.scheduling)
        self._held[entry.scheduling] = _Held(entry.token, message.next_attempt_at, entry.lapses)
        if taken is None or not taken.fresh or taken.recurs:
            return
        for other, each in self._waiting.get(taken.name, {}).items():
            if each.fresh and not each.recurs and each.due + _COARSE < taken.due:
                yield f"R2: claimed before {other}, which is due {taken.due - each.due} earlier"

    def _settle(self, entry: Entry, message: Message) -> None:
        held = self._held.get(entry.scheduling)
        if held is None or held.token != entry.token:
            return  # it was taken away from that holder
        del self._held[entry.scheduling]
        if entry.moment is not None:
            lapses = held.lapses if entry.detail == "put back" else 0
            due = entry.until or held.due
            self._add(entry.scheduling, message, due, fresh=False, sure=not lapses)

    def _look(self, entry: Entry, look: Look) -> Iterator[str]:
        if look.more or look.brought >= look.limit or entry.now is None:
            return
        rooms, pauses = Rooms(look.most), PAUSED in look.most.values()
        for name, some in self._waiting.items():
            limited = rooms.left(name) is not None
            for scheduling, each in some.items():
                passed = limited and (not each.recurs or pauses)
                if each.sure and not passed and each.due + _COARSE <= entry.now:
                    yield (
                        f"R10: it was told that there is no more, and {scheduling} of {name!r}, "
                        f"due {entry.now - each.due} ago, waits"
                    )

    def _add(
        self, key: str, message: Message, due: datetime, *, fresh: bool, sure: bool = True
    ) -> None:
        name = message.event_name
        recurs = message.recurrence is not None
        self._names[key] = name
        self._waiting.setdefault(name, {})[key] = _Waiting(
            name=name, due=due, recurs=recurs, fresh=fresh, sure=sure
        )

    def _remove(self, key: str) -> _Waiting | None:
        self._held.pop(key, None)
        name = self._names.pop(key, None)
        return None if name is None else self._waiting[name].pop(key)
