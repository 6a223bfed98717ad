"""What happened to one store and one transport, in order, and whether all of it may happen."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from duly.message import Message, State
from duly.record import given_at
from duly.recovery import Failure, Verdict
from duly.store import Batch, Bury, Clock, Group, Release, Reschedule, Settlement
from duly.testing.checker import Checker
from duly.testing.entries import Entry, name_of
from duly.transport import Envelope

__all__ = ["Found", "Journal"]

T = TypeVar("T")

Found = Mapping[str, Message | None]
"""What is stored under ids."""


def _is_repeat(message: Message, old: Message, *, replace: bool) -> bool:
    return given_at(message) == given_at(old) and not (replace and old.state is State.DEAD)


class Journal:
    """Takes notes of all that processes do to one store and one transport."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.entries: list[Entry] = []
        self._owned: dict[str, list[str]] = {}  # tokens, by their owners
        self._alone = asyncio.Lock()
        self._nowhere = contextvars.copy_context()  # of no process

    def note(self, what: str, process: str, **more: object) -> None:
        """Something happened, just now."""
        self.entries.append(Entry(at=self.clock(), what=what, process=process, **more))  # type: ignore[arg-type]  # checked by those below

    async def in_order(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something to the store while nobody else does, and note it.

        So what happens first is noted first. As on a server, it is carried out to its end even if
        the caller dies meanwhile.
        """

        async def alone() -> T:
            async with self._alone:
                return await act()

        task = asyncio.get_running_loop().create_task(alone(), context=self._nowhere)
        return await asyncio.shield(task)

    # --- the verbs of a caller

    def note_put(
        self, process: str, group: Group, outcome: Exception | None, before: Found, after: Found
    ) -> None:
        """Somebody asked to store a group; what was found under its ids before and after."""
        for message in group.messages:
            old, new = before[message.id], after[message.id]
            name = name_of(message)
            repeated = old is not None and _is_repeat(message, old, replace=group.replace)
            if outcome is not None or repeated or (old is not None and not group.replace):
                what = "refused" if outcome is not None else "repeated"
                known_as = name_of(old) if old is not None and repeated else name
                self.note(what, process, scheduling=known_as, message=message)
                if outcome is None and not repeated:
                    self._note_fault(process, message.id, "R14: its id is taken: not refused")
                if new != old:
                    self._note_fault(process, message.id, f"R14: {what}, and yet stored or changed")
                continue
            if old is not None:
                self._note_end("replaced", process, old)
            if new is None or new.payload != message.payload:
                self.note("fault", process, scheduling=name, detail="R14: not all was stored")
            else:
                if old is not None and new.delivery_id == old.delivery_id:
                    self.note(
                        "fault", process, scheduling=name, detail="R14: not a new delivery id"
                    )
                self.note("stored", process, scheduling=name_of(new), message=new)

    def note_cancel(
        self, process: str, id: str, before: Message | None, found: State | None
    ) -> None:
        """An id was cancelled: what was stored under it, and the state told; None: no change."""
        if found is not None and (before is None or before.state is not found):
            was = "unknown" if before is None else before.state.value
            self._note_fault(process, id, f"R4: found {found.value}, and was {was}")
        if before is None or found is None:
            self.note("unknown", process, id=id)
        else:
            self._note_end("too late" if found is State.CLAIMED else "cancelled", process, before)

    def note_moved(
        self, process: str, before: Message | None, after: Message | None, at: datetime | None
    ) -> None:
        """What was stored under an id was moved or replayed, which may have changed its name."""
        assert before is not None, "what is not there cannot be moved"
        what = "replayed" if before.state is State.DEAD else "moved"
        self.note(
            what,
            process,
            scheduling=name_of(before),
            occurrence=before.occurrence_count,
            moment=before.scheduled_at if at is None else at,
            message=before,
            renamed=name_of(before if after is None else after),
        )

    def note_told(self, process: str, id: str, what: str) -> None:
        """A caller was told what became of its ``cancel``."""
        self.note("told", process, id=id, detail=what)

    def note_promised(self, process: str, message: Message) -> None:
        """A caller was told that its message is stored."""
        # By its payload: the scheduling of a replacement may be named otherwise than asked for.
        self.note("promised", process, id=message.id, detail=message.payload.decode())

    def _note_fault(self, process: str, id: str, fault: str) -> None:
        self.note("fault", process, id=id, detail=fault)

    def _note_end(self, what: str, process: str, message: Message) -> None:
        self.note(
            what,
            process,
            scheduling=name_of(message),
            id=message.id,
            occurrence=message.occurrence_count,
            message=message,
            detail=message.state.value,
        )

    # --- the verbs of a scheduler

    def note_claimed(self, process: str, batch: Batch, lease: timedelta, owner: str) -> None:
        """A batch was handed out."""
        if batch.token is not None:
            self._owned.setdefault(owner, []).append(batch.token)
        for claim in batch.claims:
            message = claim.message
            self.note(
                "claimed",
                process,
                scheduling=name_of(message),
                occurrence=message.occurrence_count,
                moment=message.scheduled_at,
                message=message,
                token=batch.token,
                now=batch.now,
                until=batch.now + lease,
                lapses=claim.lapses,
            )

    def note_renewed(self, process: str, token: str, until: datetime) -> None:
        """A lease was made longer; it lasts until then at least."""
        self.note("renewed", process, token=token, until=until)

    def note_taken_over(self, process: str, owner: str) -> None:
        """The leases of an owner have ended, just now."""
        for token in self._owned.pop(owner, ()):
            self.note_renewed(process, token, self.clock())

    def note_settled(
        self, process: str, token: str, message: Message, how: Settlement | None
    ) -> None:
        """What was claimed has been settled; None: deleted."""
        # The holder tells the counters; a release leaves them as they were.
        went_on = how.next if isinstance(how, Bury) else how
        occurrence, moment, due = 0, None, None
        if isinstance(went_on, Release):
            occurrence, moment = message.occurrence_count, message.scheduled_at
            due = went_on.at
        elif isinstance(went_on, Reschedule):
            counters, due = went_on.counters, went_on.next_attempt_at
            occurrence, moment = counters.occurrence_count, counters.scheduled_at
        details = {Bury: "buried", Release: "put back", Reschedule: "went on"}
        self.note(
            "settled",
            process,
            scheduling=name_of(message),
            occurrence=occurrence,
            moment=moment,
            message=message,
            token=token,
            until=due,
            detail=details.get(type(how), "deleted"),
        )

    def note_decided(self, process: str, failure: Failure, verdict: Verdict | None) -> None:
        """Recovery has decided."""
        error = "" if failure.error is None else type(failure.error).__name__
        self.note(
            "decided",
            process,
            scheduling=name_of(failure.message),
            occurrence=failure.message.occurrence_count,
            lapses=failure.lapses,
            detail=f"{type(verdict).__name__.lower()} {error}",
        )

    def note_publish(self, what: str, process: str, envelope: Envelope) -> None:
        """A publish has ``begun``, was ``accepted``, ``ended``, or ``arrived`` once more."""
        created_at = envelope.delivery_id.rsplit(":", 2)[1]
        self.note(
            what,
            process,
            scheduling=f"{envelope.message_id}:{created_at}",
            occurrence=envelope.occurrence,
            moment=envelope.scheduled_at,
            detail=envelope.payload.decode(),
        )

    # --- what is to be made of it

    def check(
        self,
        dead: Collection[Message],
        *,
        behind: timedelta = timedelta(0),
        ahead: timedelta = timedelta(0),
        slow: timedelta = timedelta(0),
    ) -> None:
        """Hold all of it to the rules; ``dead`` are the dead letters in the store at the end.

        Call it when nothing else is left in the store. Between two answers of the store a
        scheduler works out the store's time by itself: its estimate may be up to ``behind`` or
        ``ahead`` of the true time, and it judges by this whether a message has expired. Two of its
        claims in a row take at most ``slow``, by which it judges whether a fire was missed.

        Raises:
            AssertionError: a rule was broken; tells which, and what happened to the message.
        """
        Checker(self.entries, behind, ahead, slow).check(dead)
