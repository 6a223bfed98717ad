"""What follows a series: text in a field of its document, until it takes its place there.

A document with such a field is of format 2 at least, so that only those who know of it take it.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from duly import Message, State
from duly.record import successor_of, successor_text
from duly.store import Successor, Token, succeeded
from duly_mongo.namespace import Namespace
from duly_mongo.places import moment_of
from duly_mongo.records import document_of, read
from duly_mongo.statuses import PUT_BACK

__all__ = [
    "DAMAGE",
    "Changes",
    "becoming",
    "following",
    "give_way",
    "held_as_read",
    "is_over",
    "redefined",
    "succession",
    "successor_in",
]

Changes = dict[str, dict[str, Any]]
"""An update: what it sets, and what it unsets."""

DAMAGE: Final = (ValueError, TypeError, KeyError, OverflowError)
"""What :func:`successor_in` raises for a text that is no successor's."""

_FORMAT: Final = 2
_DEFINITION: Final = ("format", "event_name", "payload", "metadata", "recurrence")

# Fields that a document of another message of its key may lack.
_MAY_GO: Final = frozenset({
    "aside", "dead", "delivery_id", "expires_at", "expires_at_us", "fate", "given_at",
    "given_at_us", "origin", "recurrence", "successor", "token", "trace_context", "unreadable",
})  # fmt: skip


def successor_in(document: Mapping[str, Any]) -> Successor | None:
    """What follows the series of a document, None for nothing.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: it cannot be read.
    """
    text = document.get("successor")
    return None if text is None else successor_of(text)


def following(document: Mapping[str, Any]) -> Successor | None:
    """The same; None too for what cannot be read: then the series goes on as it is."""
    with contextlib.suppress(*DAMAGE):
        return successor_in(document)
    return None


def is_over(message: Message, successor: Successor) -> bool:
    """Whether one that knows nothing of successors has taken a series beyond the cut."""
    return message.scheduled_at > successor.cut


def becoming(message: Message, key: str) -> Changes:
    """A document becomes this message, which waits; nothing follows it."""
    fields = document_of(message, key)
    del fields["_id"], fields["key"]
    return {"$set": fields, "$unset": dict.fromkeys(_MAY_GO - fields.keys(), "")}


def redefined(message: Message, key: str) -> Changes:
    """A document keeps its state, its place and its counts; nothing follows it."""
    document = document_of(message, key)
    fields = {name: document[name] for name in _DEFINITION}
    return {"$set": fields, "$unset": {"successor": ""}}


def succession(changes: Changes, successor: Successor) -> Changes:
    """The same changes, and from now on this follows."""
    sets, unsets = changes["$set"], changes["$unset"]
    fields = {"successor": successor_text(successor), "format": max(sets["format"], _FORMAT)}
    gone = {name: "" for name in unsets if name not in fields}
    return {"$set": {**sets, **fields}, "$unset": gone}


def held_as_read(document: Mapping[str, Any], token: Token) -> dict[str, Any]:
    """A document that is in the lease still, and that no ``ensure`` has changed meanwhile."""
    names = ("_id", "key", "revision")
    return {**{name: {"$eq": document.get(name)} for name in names}, "token": token}


async def give_way(space: Namespace, document: Mapping[str, Any], token: Token) -> int | None:
    """Let what follows take the place of a series in hand that is over; where that waits now.

    None: nothing of it waits. What is no longer as it was read waits again at its old place.
    """
    mine, follows = held_as_read(document, token), following(document)
    if follows is not None:
        message = read(document, State.SCHEDULED)
        other = succeeded(message, follows, message.occurrence_count)
        if other is None:
            if (await space.messages.delete_one(mine)).deleted_count:
                return None
        else:
            changes = becoming(other, document["key"])
            if (await space.messages.update_one(mine, changes)).matched_count:
                return moment_of(changes["$set"]["due"])
    await space.messages.update_one({"_id": document["_id"], "token": token}, [*PUT_BACK])
    return moment_of(document.get("due"))
