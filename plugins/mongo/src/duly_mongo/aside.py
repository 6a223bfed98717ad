"""What came due and is no message for this version: set aside, or left for a newer one."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import bson
from pymongo import UpdateOne

from duly import Message
from duly.store import NEWER_PAUSE, Token
from duly_mongo.namespace import Namespace
from duly_mongo.places import moment_of, new_keys, place
from duly_mongo.records import LARGEST, id_of, show
from duly_mongo.statuses import DEAD, waiting_status

__all__ = ["postpone", "set_aside"]


async def set_aside(
    space: Namespace, document: Mapping[str, Any], token: Token | None, *, session: Any = None
) -> Message:
    """Make a dead letter of a document that cannot be read; how it is listed from now on.

    ``token`` is that of the lease it is in, None for one that still waits. If the id is not text,
    the whole document is kept as bytes under an id that is.
    """
    moment = moment_of(document.get("place")) or 0
    id = id_of(document)
    marks = {"status": DEAD, "place": place(moment, id), "unreadable": True}
    marks["dead"] = marks["place"]
    itself = {"_id": document["_id"], "token": token}
    if isinstance(document["_id"], str):
        await space.messages.update_one(
            itself, {"$set": marks, "$unset": {"token": ""}}, session=session
        )
        return show({**document, **marks})
    raw = bson.encode(document)[:LARGEST]
    copy = {"_id": id, "key": new_keys(1)[0], "payload": raw, **marks}
    await space.messages.replace_one({"_id": id}, copy, upsert=True, session=session)
    await space.messages.delete_one(itself, session=session)
    return show(copy)


async def postpone(
    space: Namespace,
    documents: Sequence[Mapping[str, Any]],
    token: Token,
    now: int,
    *,
    session: Any = None,
) -> None:
    """Put documents of a newer format back, for a reader that knows it."""
    if not documents:
        return
    due = now + NEWER_PAUSE // timedelta(microseconds=1)
    await space.messages.bulk_write(
        [
            UpdateOne(
                {"_id": each["_id"], "token": token},
                {
                    "$set": {
                        "status": waiting_status(each.get("lapses", 0)),
                        "due": place(due, each["key"]),
                    },
                    "$unset": {"token": ""},
                },
            )
            for each in documents
        ],
        ordered=False,
        session=session,
    )
