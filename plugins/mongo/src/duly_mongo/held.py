"""What a settle looks at in its lease: messages to bury, series that end or that others follow."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from duly import Message, State
from duly.moment import to_microseconds
from duly.record import NewerRecord, UnreadableRecord
from duly.store import Bury, Key, Settlement, Successor, Token
from duly_mongo.aside import postpone, set_aside
from duly_mongo.following import following
from duly_mongo.namespace import Namespace
from duly_mongo.places import KEY_LENGTH
from duly_mongo.records import read

__all__ = ["Held", "load"]


@attrs.frozen
class Held:
    """What was found, by the claims' keys: the documents, and what is in them as far as needed."""

    token: Token
    documents: dict[Key, Mapping[str, Any]] = attrs.Factory(dict)
    messages: dict[Key, Message] = attrs.Factory(dict)
    successors: dict[Key, Successor] = attrs.Factory(dict)

    def itself(self, key: Key) -> dict[str, Any]:
        """The message of that key, if it is still in the lease."""
        text = str(key)
        return {"_id": text[KEY_LENGTH:], "key": text[:KEY_LENGTH], "token": self.token}

    def unchanged(self, key: Key) -> dict[str, Any]:
        """The same, if it is as it was found or, not looked at, if nothing follows it."""
        document = self.documents.get(key)
        if document is None:
            return {**self.itself(key), "successor": None}
        return {**self.itself(key), "revision": {"$eq": document.get("revision")}}


async def load(
    space: Namespace,
    token: Token,
    told: Mapping[Key, Settlement],
    now: datetime | None,
    session: Any,
) -> Held:
    """Look at the messages of which this is told, those that are still in the lease.

    What cannot be read leaves it where that would be needed: it is set aside, or left for a newer
    version. ``now`` is needed where something is to be buried.
    """
    held = Held(token)
    if told:
        query = {"token": token, "key": {"$in": [str(key)[:KEY_LENGTH] for key in told]}}
        for document in await space.find(query, session=session):
            key = f"{document['key']}{document['_id']}"
            if key not in told:
                continue
            buries, follows = isinstance(told[key], Bury), following(document)
            try:
                message = read(document, State.CLAIMED)
            except NewerRecord:  # a newer version changed it in hand, and can bury it as well
                if buries and now is not None:
                    await postpone(space, [document], token, to_microseconds(now), session=session)
                    continue
            except UnreadableRecord:  # since it was claimed
                if buries or follows is not None:
                    await set_aside(space, document, token, session=session)
                    continue
            else:
                held.messages[key] = message
                if follows is not None:
                    held.successors[key] = follows
            held.documents[key] = document
    return held
