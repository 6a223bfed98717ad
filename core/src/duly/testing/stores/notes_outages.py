"""The server goes away while notes are read and written."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import pytest

from duly.errors import StoreUnavailable
from duly.store import Note, SupportsNotes
from duly.testing.stores.bench import Bench
from duly.testing.stores.notes import keeper, written
from duly.testing.stores.outages import OutageHarness

_POINTS: Final = (0, 1, 2, 4, 8, 16, 32, 64)
"""After so many turns of the event loop the server goes, in the middle of a write or after it."""

_OLD: Final = b"old" * 1000
_NEW: Final = b"new" * 1000

_VERBS: Final[Mapping[str, Callable[[SupportsNotes, str], Awaitable[object]]]] = {
    "read": lambda store, _: store.read_note("a"),
    "list": lambda store, _: store.notes(""),
    "write": lambda store, revision: store.write_note("a", _NEW, revision),
    "delete": lambda store, revision: store.write_note("a", None, revision),
}


class NoteOutageCases(OutageHarness):
    """While it is away StoreUnavailable is raised; a note is written or it is not."""

    @pytest.mark.parametrize("verb", _VERBS)
    async def test_away_when_a_note_is_asked_for(self, desk: Bench, verb: str) -> None:
        self.needs("outage", "no_outages")
        store = keeper(desk.store)
        revision = await written(desk.store, "a", _OLD)
        async with self.outage(desk.namespace):
            error = await self._error_of(_VERBS[verb](store, revision))
            # What can still be read may be answered, as from a file that is locked.
            assert isinstance(error, StoreUnavailable) or verb in ("read", "list")
        note = await self._again(lambda: store.read_note("a"))
        _check_whole(note, revision, verb)
        assert dict(await store.notes("")) == ({} if note is None else {"a": note})

    @pytest.mark.parametrize("trouble", ["outage", "freeze"])
    @pytest.mark.parametrize("verb", ["write", "delete"])
    async def test_it_goes_while_a_note_is_written(
        self, bare: Bench, verb: str, trouble: str
    ) -> None:
        """What was given up may still be done when the server goes on."""
        self.needs(trouble, *(["no_freezes"] if trouble == "freeze" else []), "no_outages")
        store = keeper(bare.store)
        for turns in _POINTS[: self.many(len(_POINTS))]:
            note = await self._again(lambda: store.read_note("a"))
            before = None if note is None else note.revision
            revision = await self._again(partial(_write, store, before))
            patience = self.outage_patience if trouble == "outage" else 0.02 * self.patience
            call = _VERBS[verb](store, revision)
            await self._amid(getattr(self, trouble)(bare.namespace), call, turns, patience)
            note = await self._again(lambda: store.read_note("a"))
            _check_whole(note, revision, verb)


def _check_whole(note: Note | None, revision: str, verb: str) -> None:
    """Check that a note is as it was, or as the verb makes it."""
    if note is not None and note.revision == revision:
        assert note.value == _OLD
    else:
        assert verb in ("write", "delete")
        assert (note is None) == (verb == "delete")
        assert note is None or note.value == _NEW


async def _write(store: SupportsNotes, before: str | None) -> str:
    """Write the old value; another write of an earlier turn may come between."""
    while (revision := await store.write_note("a", _OLD, before)) is None:
        note = await store.read_note("a")
        before = None if note is None else note.revision
    return revision
