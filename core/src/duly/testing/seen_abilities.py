"""What a store may be able to do beyond its contract, as one process sees it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from duly.message import Message, State
from duly.store import (
    Answered,
    Batch,
    Declared,
    Ensured,
    Note,
    Store,
    SupportsEnsure,
    SupportsNotes,
    SupportsPeeking,
    SupportsTakeover,
    SupportsWakeups,
)
from duly.testing.journal import Journal
from duly.testing.views import SeenStore, Seer

__all__ = ["seen_store"]


class _Waking(SeenStore):
    async def wait_for_change(self) -> None:
        await cast(SupportsWakeups, self._inner).wait_for_change()


class _Peeking(SeenStore):
    async def changed(self) -> bool:
        return await self._carry("changed", cast(SupportsPeeking, self._inner).changed)


class _ClaimingAhead(SeenStore):
    """Passes on ``answered`` once the answer has reached the process, before it is taken apart."""

    claims_ahead = True

    async def claim(self, *, answered: Answered | None = None, **more: Any) -> Batch:
        batch = await super().claim(**more)
        if answered is not None:
            size = sum(len(claim.message.payload) for claim in batch.claims)
            await answered(len(batch.claims), size, batch.more)
        return batch


class _Lined(SeenStore):
    """Passes on ``most``; the journal learns what each claim was told, and said of what is left."""

    lines = True

    def _claimed(self, batch: Batch, **asked: Any) -> None:
        self._journal.note_looked(self._process.name, batch, **asked)


class _Ensuring(SeenStore):
    """For series that are declared again as they are: what is changed is not judged."""

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        async def act() -> Sequence[Ensured | Exception]:
            outcomes = await self._ensuring.ensure(wanted, declared=declared)
            for message, outcome in zip(wanted, outcomes, strict=True):
                if outcome in (Ensured.STORED, Ensured.SAME):
                    found = await self._inner.get(message.id)
                    self._journal.note_ensured(self._process.name, message, found, outcome)
            return outcomes

        return await self._carry("ensure", act)

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        return await self._carry("undeclare", lambda: self._ensuring.undeclare(by, generation))

    @property
    def _ensuring(self) -> SupportsEnsure:
        return cast(SupportsEnsure, self._inner)


class _Noting(SeenStore):
    async def read_note(self, name: str) -> Note | None:
        inner = cast(SupportsNotes, self._inner)
        return await self._carry("read_note", lambda: inner.read_note(name))

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        inner = cast(SupportsNotes, self._inner)
        return await self._carry("write_note", lambda: inner.write_note(name, value, revision))

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        inner = cast(SupportsNotes, self._inner)
        return await self._carry("notes", lambda: inner.notes(prefix))


class _TakingOver(SeenStore):
    async def lapse(self, owner: str) -> int:
        async def act() -> int:
            held = await cast(SupportsTakeover, self._inner).lapse(owner)
            self._journal.note_taken_over(self._process.name, owner)
            return held

        return await self._carry("lapse", act)


_ABILITIES: Mapping[str, type[SeenStore]] = {
    "wait_for_change": _Waking,
    "changed": _Peeking,
    "claims_ahead": _ClaimingAhead,
    "ensure": _Ensuring,
    "lines": _Lined,
    "read_note": _Noting,
    "lapse": _TakingOver,
}


def seen_store(process: Seer, inner: Store, journal: Journal) -> Store:
    """A view with the optional abilities of ``inner``, which the engine finds by isinstance."""
    kinds = [kind for name, kind in _ABILITIES.items() if getattr(inner, name, False)]
    view: type[SeenStore] = type("_SeenStore", (*kinds, SeenStore), {})
    return view(process, inner, journal)
