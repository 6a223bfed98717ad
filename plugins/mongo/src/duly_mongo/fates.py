"""What few messages have: how often one was postponed, and when and of what a dead letter died.

It is one field of a document, ``fate``, and holds for the scheduling whose key it names. A duly
that does not know this field leaves it there when it moves or replays a message; but the message
has another key then, and so the field tells nothing any more.
"""

from collections.abc import Mapping
from typing import Any

from duly.record import Record
from duly.store import Counters
from duly_mongo.values import maybe_whole, moments

__all__ = ["fate_of", "fields_of"]


def fate_of(told: Record | Counters, key: str) -> dict[str, Any] | None:
    """The field of a message with that key; None where there is nothing to tell."""
    fate: dict[str, Any] = {}
    if told.postpone_count:
        fate["postpone_count"] = told.postpone_count
    if told.put_back:
        fate["put_back"] = True
    if isinstance(told, Record):
        if told.died_at is not None:
            fate |= moments(died_at=told.died_at)
        if told.error_class is not None:
            fate["error_class"] = told.error_class
    return {"key": key, **fate} if fate else None


def fields_of(fate: Mapping[str, Any], key: object) -> Mapping[str, Any]:
    """The fields of a record that were kept for a message with that key.

    Raises:
        AttributeError, TypeError: duly did not write it.
    """
    get = fate.get
    if get("key") != key:
        return {}
    return {
        "postpone_count": maybe_whole(get("postpone_count")),
        "put_back": 1 if get("put_back") else None,
        "died_at": maybe_whole(get("died_at_us")),
        "error_class": get("error_class"),
    }
