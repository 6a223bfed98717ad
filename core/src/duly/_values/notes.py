"""What a store keeps beside its messages, for all who share it; imported from :mod:`duly.store`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

import attrs

__all__ = ["MOST_OF_A_NOTE", "Note", "SupportsNotes", "SupportsTakeover"]

MOST_OF_A_NOTE: Final = 1_048_576
"""Bytes that a note holds at most."""


@attrs.frozen
class Note:
    """A small document of a namespace: its bytes, which writing of it this is, the store's now.

    ``now`` was read with it, in the same step or later, and not before it was asked for.
    """

    value: bytes
    revision: str
    now: datetime


@runtime_checkable
class SupportsNotes(Protocol):
    """A store that keeps small documents, apart from its messages, that all who share it see.

    They live and end with the namespace. No verb for messages sees or changes them, and to read or
    write one wakes nobody. Names are text of up to 255 characters without control characters,
    compared by code point; core sees to that, and to :data:`MOST_OF_A_NOTE`.

    All that is read is what was written last: not from a replica that may be behind.
    """

    async def read_note(self, name: str) -> Note | None:
        """The note of that name; None when there is none."""

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write a note if it is still as it was read, in one step; the revision of what is written.

        ``revision`` None: there must be none of that name yet. ``value`` None deletes it, and what
        is answered then stands for nothing; to delete what is not there, with ``revision`` None,
        is no failure. None: it is another by now, or there is one, or none, and nothing is changed.

        A revision is random text that is never used twice, so that a restored backup or a failover
        cannot repeat one, nor a note that is deleted and written again.

        After a lost answer nobody knows: read it, and see whose it is.
        """

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        """All notes whose names begin with that, by their names in order; all there are for "".

        Each is whole; they need not all be of one moment.
        """


@runtime_checkable
class SupportsTakeover(Protocol):
    """A store in which what a scheduler holds can be taken from it before its lease has lapsed."""

    async def lapse(self, owner: str) -> int:
        """End all leases of that ``owner`` now, as if they had lapsed; how many messages they held.

        The next claim of anybody puts them back at their old place with one lapse more counted, as
        ever; those who wait for a change are woken, for it comes sooner than they were told. What
        was cancelled or replaced meanwhile is not counted, nor what has lapsed by itself. ``owner``
        is as it was given to :meth:`~duly.store.Store.claim`, compared by code point; 0 where it
        holds nothing. What it claims afterwards is its own again.
        """
