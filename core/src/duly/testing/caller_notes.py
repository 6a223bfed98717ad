"""What callers did to one store, in order; with what schedulers did it makes a journal."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

from duly.message import Message, State
from duly.record import given_at
from duly.store import Clock, Ensured, Group
from duly.testing.entries import Entry, name_of

__all__ = ["CallerNotes", "Found"]

T = TypeVar("T")

Found = Mapping[str, Message | None]
"""What is stored under ids."""


def _is_repeat(message: Message, old: Message, *, replace: bool) -> bool:
    return given_at(message) == given_at(old) and not (replace and old.state is State.DEAD)


class CallerNotes:
    """Takes notes of what callers do to one store."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.entries: list[Entry] = []
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

    def note_ensured(
        self, process: str, message: Message, found: Message | None, outcome: Ensured
    ) -> None:
        """A series was declared; what is stored of it now."""
        assert found is not None, "what is ensured is there"
        what = "stored" if outcome is Ensured.STORED else "repeated"
        self.note(what, process, scheduling=name_of(found), message=found)
        if (found.payload, found.recurrence) != (message.payload, message.recurrence):
            self._note_fault(process, message.id, "R9: another series than was ensured")

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
