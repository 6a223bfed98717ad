"""What was claimed, sorted: messages for the holder, damaged ones, those of a newer format."""

from collections.abc import Sequence
from typing import Any

import attrs

from duly import Message, State
from duly.record import NewerRecord, UnreadableRecord
from duly.store import Claim, Token
from duly_mongo.aside import postpone, set_aside
from duly_mongo.following import following, give_way, is_over
from duly_mongo.namespace import Namespace
from duly_mongo.records import read

__all__ = ["Found", "sort_out"]


@attrs.frozen(kw_only=True)
class Found:
    """The claims that a holder gets, and the records that it does not."""

    claims: Sequence[Claim] = ()
    unreadable: Sequence[Message] = ()
    newer: int = 0
    coming: Sequence[int] = ()
    """Where series wait again whose successors took their places."""


async def sort_out(
    space: Namespace, documents: Sequence[dict[str, Any]], token: Token, now: int
) -> Found:
    """The messages in claimed documents; damaged and newer ones are put where they belong."""
    claims, unreadable, newer = list[Claim](), list[Message](), list[dict[str, Any]]()
    coming = list[int | None]()
    for document in documents:
        try:
            message = read(document, State.CLAIMED)
        except NewerRecord:
            newer.append(document)
        except UnreadableRecord:
            unreadable.append(await set_aside(space, document, token))
        else:
            if (follows := following(document)) is not None and is_over(message, follows):
                coming.append(await give_way(space, document, token))
                continue
            lapses = document.get("lapses")
            key = f"{document['key']}{message.id}"
            claims.append(Claim(key, message, lapses if isinstance(lapses, int) else 0))
    await postpone(space, newer, token, now)
    return Found(
        claims=claims,
        unreadable=unreadable,
        newer=len(newer),
        coming=[moment for moment in coming if moment is not None],
    )
