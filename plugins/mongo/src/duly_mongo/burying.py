"""Occurrences of series that are buried alone: dead letters of their own."""

from collections.abc import Mapping
from typing import Any

from pymongo.errors import BulkWriteError

from duly import Message
from duly.record import with_next_id
from duly.store import Key
from duly_mongo.namespace import Namespace, taken
from duly_mongo.places import KEY_LENGTH, new_keys
from duly_mongo.records import document_of

__all__ = ["bury_occurrences"]


async def bury_occurrences(
    space: Namespace, occurrences: Mapping[Key, Message], session: Any
) -> None:
    """Store dead letters, by the claims' keys of their series.

    One that was stored already, by a settle that died after that, is not stored again.
    """
    keys = new_keys(len(occurrences))
    letters = [
        (letter, f"{str(series)[:KEY_LENGTH]}:{letter.occurrence_count}", key)
        for (series, letter), key in zip(occurrences.items(), keys, strict=True)
    ]
    while letters:
        ids = [letter.id for letter, _, _ in letters]
        found = await space.find({"_id": {"$in": ids}}, ["origin"], session=session)
        origins = {each["_id"]: each.get("origin") for each in found}
        letters = [each for each in letters if origins.get(each[0].id) != each[1]]
        free = [each for each in letters if each[0].id not in origins]
        letters = [
            (with_next_id(letter), origin, key)
            for letter, origin, key in letters
            if letter.id in origins
        ]
        if free:
            try:
                await space.messages.insert_many(
                    [_document(*each) for each in free], ordered=False, session=session
                )
            except BulkWriteError as error:
                numbers = taken(error)
                if session is not None:
                    raise  # the transaction is lost, and is tried again
                letters += [free[number] for number in numbers]


def _document(letter: Message, origin: str, key: str) -> dict[str, Any]:
    return {**document_of(letter, key), "origin": origin}
