"""The notes in which schedulers say that they are there: read, written, and those of the dead."""

from collections.abc import Sequence
from contextlib import suppress

from duly._caller import ability_answers as answers
from duly._caller.calls import StoreCalls
from duly._values.presence import PREFIX, Seen, outdated, seen
from duly.errors import StoreError, Unsupported
from duly.store import Note, SupportsNotes, SupportsTakeover

__all__ = ["Announcements", "announcements_of", "taking_over"]


class Announcements:
    """Those of one store, which keeps notes.

    Raises, each of its methods:
        StoreError: the store cannot be reached, or does not let us.
    """

    def __init__(self, calls: StoreCalls, store: SupportsNotes) -> None:
        self._calls = calls
        self._store = store
        self.one_host = getattr(type(store), "one_host", False) is True
        """Whether nobody writes only to be seen, as all who share the store run on one host."""

    async def all(self, *, own: str = "") -> Sequence[Seen]:
        """All that can be read, by owner. Those that need not be kept are removed, ``own`` never.

        The first word of a host whose clock is off looks as if it were old.
        """
        notes = answers.notes(await self._calls(self._store.notes, PREFIX), PREFIX)
        read = [seen(name, note, one_host=self.one_host) for name, note in notes.items()]
        found = [each for each in read if each is not None]
        old = {each.name: each for each in outdated(found) if each.name != own}
        with suppress(StoreError):  # who may only look does not tidy up
            for each in old.values():
                await self.write(each.name, None, each.note.revision)
        return [each for each in found if each.name not in old]

    async def read(self, name: str) -> Note | None:
        """The note of that name."""
        return answers.note(await self._calls(self._store.read_note, name))

    async def write(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write it, or remove it, if it is still as it was read; its new revision."""
        answer = await self._calls(self._store.write_note, name, value, revision)
        return answers.written(answer)

    async def withdraw(self, name: str) -> None:
        """Remove a note that nobody else writes."""
        note = await self.read(name)
        if note is not None:
            await self.write(name, None, note.revision)

    async def end(self, one: Seen, store: SupportsTakeover) -> int | None:
        """End all leases of a scheduler; how many messages they held.

        None, and nothing is ended: it has renewed its announcement. What it said is removed last,
        so that somebody comes back to it if this ends in the middle.
        """
        revision = await self.write(one.name, one.note.value, one.note.revision)
        if revision is None:
            return None
        freed = answers.lapsed(await self._calls(store.lapse, one.info.owner))
        await self.write(one.name, None, revision)
        return freed


def announcements_of(calls: StoreCalls) -> Announcements | None:
    """Those of a store; None if it keeps no notes."""
    store: object = calls.store
    return Announcements(calls, store) if isinstance(store, SupportsNotes) else None


def taking_over(store: object, what: str) -> SupportsTakeover:
    """A store of which ``what`` can be asked for.

    Raises:
        Unsupported: it keeps no notes, or cannot end leases before their time.
    """
    if not isinstance(store, SupportsNotes):
        raise Unsupported(
            f"{type(store).__name__} keeps no notes, by which schedulers know of each other: {what}"
        )
    if not isinstance(store, SupportsTakeover):
        raise Unsupported(
            f"{type(store).__name__} cannot end leases before they lapse by themselves: {what}"
        )
    return store
