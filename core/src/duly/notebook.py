"""What a plugin keeps in the store of a client, for all who share it: small documents, by name."""

from collections.abc import Mapping
from typing import Any, Final

from duly._caller import ability_answers as answers
from duly._values.texts import as_name
from duly.client import Client
from duly.errors import InvalidArgument, InvalidMessage, Unsupported
from duly.store import MOST_OF_A_NOTE, Note, SupportsNotes

__all__ = ["Notebook"]

_ALL: Final = "plugins/"  # what duly keeps for itself begins otherwise


class Notebook:
    """The notes of one plugin, which no other sees: see :class:`duly.store.SupportsNotes`.

    ``owner`` is the plugin's own name, as "web". Names within it are text without control
    characters; with owner and a few characters more they are 255 characters at most. A note holds
    up to 1 MiB. They outlive processes, and all workers on one store see the same.

    Raises:
        InvalidArgument: the owner is no name, or has a slash.
    """

    def __init__(self, client: Client, owner: str) -> None:
        if "/" in _as_name(owner, "owner"):
            raise InvalidArgument(f"owner must be a name without a slash, not {owner!r}")
        self._calls = client._calls  # noqa: SLF001  # a client has this door beside its own
        self._prefix = f"{_ALL}{owner}/"

    async def read(self, name: str) -> Note | None:
        """The note of that name; None when there is none.

        Raises:
            InvalidArgument: the name is none.
            Unsupported: the store keeps no notes.
            StoreUnavailable: the store cannot be reached.
        """
        store = self._keeps_notes()
        return answers.note(await self._calls(store.read_note, self._full(name)))

    async def write(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write a note if it is still as it was read; its new revision, None if it is another now.

        ``revision`` None: there must be none of that name yet. ``value`` None removes it.

        Raises:
            InvalidArgument: the name is none, or the value is over 1 MiB.
            Unsupported: the store keeps no notes.
            StoreUnavailable: nobody knows whether it is written: read it.
        """
        if value is not None and len(value) > MOST_OF_A_NOTE:
            raise InvalidArgument(f"a note holds {MOST_OF_A_NOTE:,} bytes, not {len(value):,}")
        store = self._keeps_notes()
        answer = await self._calls(store.write_note, self._full(name), value, revision)
        return answers.written(answer)

    async def all(self) -> Mapping[str, Note]:
        """All there are, by their names in order.

        Raises:
            Unsupported: the store keeps no notes.
            StoreUnavailable: the store cannot be reached.
        """
        store = self._keeps_notes()
        found = answers.notes(await self._calls(store.notes, self._prefix), self._prefix)
        return {name.removeprefix(self._prefix): note for name, note in found.items()}

    def _full(self, name: str) -> str:
        return _as_name(f"{self._prefix}{_as_name(name, 'name')}", "name")

    def _keeps_notes(self) -> SupportsNotes:
        store: Any = self._calls.store
        if not isinstance(store, SupportsNotes):
            raise Unsupported(f"{type(store).__name__} keeps no notes, in which to write that down")
        return store


def _as_name(value: object, what: str) -> str:
    try:
        return as_name(value, what)
    except InvalidMessage as error:  # it is no part of a message
        raise InvalidArgument(str(error)) from None
