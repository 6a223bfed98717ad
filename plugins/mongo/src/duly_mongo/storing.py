"""What callers store: single messages at once, groups of several in a transaction."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from duly import DuplicateMessage, InvalidMessage, Message, Unsupported
from duly.message import with_changes
from duly.moment import from_microseconds, to_microseconds
from duly.store import Group
from duly_mongo.documents import LARGEST, document_of
from duly_mongo.namespace import Namespace, taken
from duly_mongo.places import new_keys

__all__ = ["put"]

_LAST: Final = datetime.max.replace(tzinfo=UTC)  # no moment is later

_ALONE: Final = (
    "this MongoDB is no replica set and cannot store several messages in one step: "
    "give atomic=False"
)

Keyed = tuple[Message, str]
"""A message and the key it is stored under: equal ones are claimed in the order of these."""

Outcome = Exception | None


async def put(space: Namespace, groups: Sequence[Group], session: Any) -> Sequence[Outcome]:
    """Store groups; one outcome for each."""
    keys = iter(new_keys(sum(len(group.messages) for group in groups)))
    keyed = [[(_anew(message), next(keys)) for message in group.messages] for group in groups]
    outcomes: list[Outcome] = [_too_large(group) for group in groups]
    ways: dict[str, list[int]] = {"insert": [], "replace": [], "transact": []}
    for number, group in enumerate(groups):
        if outcomes[number] is None and group.messages:
            ways[_way(group, session)].append(number)
    if ways["insert"]:
        found = await _insert(space, [keyed[number][0] for number in ways["insert"]])
        outcomes = _filled(outcomes, ways["insert"], found)
    if ways["replace"]:
        await _replace(space, [keyed[number][0] for number in ways["replace"]])
    if numbers := ways["transact"]:
        some = [(groups[number], keyed[number]) for number in numbers]
        if session is not None:
            found = await _put_all(space, some, session)
        elif space.transactional:
            found = await space.transact(lambda session: _put_all(space, some, session))
        else:
            found = [Unsupported(_ALONE) for _ in some]
        outcomes = _filled(outcomes, numbers, found)
    return outcomes


def _anew(message: Message) -> Message:
    """As it is first stored: one that was in a store before may have been counted on."""
    return with_changes(message, retry_count=0, occurrence_count=0, last_error=None)


def _way(group: Group, session: Any) -> str:
    if session is not None or len(group.messages) > 1:
        return "transact"
    return "replace" if group.replace else "insert"


def _filled(
    outcomes: Sequence[Outcome], numbers: Sequence[int], found: Sequence[Outcome]
) -> list[Outcome]:
    by_number = dict(zip(numbers, found, strict=True))
    return [by_number.get(number, outcome) for number, outcome in enumerate(outcomes)]


def _too_large(group: Group) -> Outcome:
    for message in group.messages:
        size = len(message.payload) + sum(len(k) + len(v) for k, v in message.metadata.items())
        if size > LARGEST:
            return InvalidMessage(
                f"message {message.id!r} has {size} bytes, MongoDB stores {LARGEST} at most: "
                "store a reference to the data"
            )
    return None


async def _insert(space: Namespace, messages: Sequence[Keyed]) -> Sequence[Outcome]:
    """Store single messages, all that can be; one outcome for each."""
    outcomes: list[Outcome] = [None] * len(messages)
    wanted = list(enumerate(messages))
    while wanted:
        try:
            await space.messages.insert_many(
                [document_of(*message) for _, message in wanted], ordered=False
            )
        except BulkWriteError as error:
            refused = [wanted[number] for number in taken(error)]
        else:
            break
        stored = await _find(space, [message.id for _, (message, _) in refused])
        # What is gone by now is stored after all.
        wanted = [each for each in refused if each[1][0].id not in stored]
        for number, (message, _) in refused:
            outcomes[number] = _refusal(message, stored.get(message.id))
    return outcomes


async def _replace(space: Namespace, messages: Sequence[Keyed]) -> None:
    """Store single messages in place of those of their ids, whatever becomes of these meanwhile."""
    wanted = messages
    while wanted:
        stored = await _find(space, [message.id for message, _ in wanted])
        writes = [_replacement(*each, stored) for each in wanted]
        try:
            await space.messages.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            wanted = [wanted[number] for number in taken(error)]
        else:
            break


async def _put_all(
    space: Namespace, groups: Sequence[tuple[Group, Sequence[Keyed]]], session: Any
) -> Sequence[Outcome]:
    """Store groups, each whole or not at all, in a transaction that no refusal breaks."""
    ids = [message.id for _, messages in groups for message, _ in messages]
    stored = await _find(space, ids, session)
    writes, outcomes = list[Any](), list[Outcome]()
    for group, messages in groups:
        refusals = [] if group.replace else [
            _refusal(message, stored.get(message.id)) for message, _ in messages
        ]  # fmt: skip
        outcomes.append(next((each for each in refusals if each is not None), None))
        if outcomes[-1] is None:
            writes += [
                _replacement(message, key, stored)
                for message, key in messages
                if group.replace or message.id not in stored
            ]
    if writes:
        await space.messages.bulk_write(writes, ordered=False, session=session)
    return outcomes


async def _find(
    space: Namespace, ids: Sequence[str], session: Any = None
) -> dict[str, dict[str, Any]]:
    """What is stored under these ids: key and time of creation."""
    query, fields = {"_id": {"$in": [*ids]}}, ["key", "created_at_us"]
    return {each["_id"]: each for each in await space.find(query, fields, session=session)}


def _refusal(message: Message, stored: Mapping[str, Any] | None) -> Outcome:
    if stored is None or stored.get("created_at_us") == to_microseconds(message.created_at):
        return None
    return DuplicateMessage(f"a message with the id {message.id!r} is stored already")


def _replacement(message: Message, key: str, stored: Mapping[str, Mapping[str, Any]]) -> Any:
    old = stored.get(message.id)
    if old is None:
        return InsertOne(document_of(message, key))
    newer = _made_newer(message, old.get("created_at_us"))
    mine = {"_id": message.id, "key": old.get("key")}
    # One that is gone by now is inserted; one that is another by now makes the id a taken one.
    return ReplaceOne(mine, document_of(newer, key), upsert=True)


def _made_newer(message: Message, replaced: object) -> Message:
    try:
        before = from_microseconds(replaced)  # type: ignore[arg-type]  # whatever is stored there
    except (TypeError, OverflowError):  # what it replaces is damaged, or none of ours
        return message
    if message.created_at > before or before == _LAST:
        return message
    return with_changes(message, created_at=before + timedelta(microseconds=1), _delivery_id=None)
