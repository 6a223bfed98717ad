"""What callers store: single messages at once, groups of several in a transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from duly import Message, State, Unsupported
from duly.store import Group, PutPlan, as_stored, plan_put
from duly_mongo.namespace import Namespace, taken
from duly_mongo.places import new_keys
from duly_mongo.records import document_of, too_large
from duly_mongo.statuses import state_of

__all__ = ["put"]

_ALONE: Final = (
    "this MongoDB is no replica set and cannot store several messages in one step: "
    "give atomic=False"
)

Outcome = Exception | None

Keys = Mapping[str, str]
"""By id the keys to store messages under: those due at one moment are claimed in their order."""


class Found(NamedTuple):
    """What is stored under an id; the moments of a damaged record may be anything."""

    key: Any
    state: State
    created_at: Any
    given_at: Any


async def put(space: Namespace, groups: Sequence[Group], session: Any) -> Sequence[Outcome]:
    """Store groups; one outcome for each."""
    ids = [message.id for group in groups for message in group.messages]
    keys = dict(zip(ids, new_keys(len(ids)), strict=True))
    outcomes: list[Outcome] = [
        next(filter(None, map(too_large, group.messages)), None) for group in groups
    ]
    ways: dict[str, list[int]] = {"insert": [], "replace": [], "transact": []}
    for number, group in enumerate(groups):
        if outcomes[number] is None and group.messages:
            ways[_way(group, session)].append(number)
    if ways["insert"]:
        found = await _insert(space, [groups[number] for number in ways["insert"]], keys)
        outcomes = _filled(outcomes, ways["insert"], found)
    if ways["replace"]:
        await _replace(space, [groups[number] for number in ways["replace"]], keys)
    if numbers := ways["transact"]:
        some = [groups[number] for number in numbers]
        if session is not None:
            found = await _put_all(space, some, keys, session)
        elif space.transactional:
            found = await space.transact(lambda session: _put_all(space, some, keys, session))
        else:
            found = [Unsupported(_ALONE) for _ in some]
        outcomes = _filled(outcomes, numbers, found)
    return outcomes


def _way(group: Group, session: Any) -> str:
    if session is not None or len(group.messages) > 1:
        return "transact"
    return "replace" if group.replace else "insert"


def _filled(
    outcomes: Sequence[Outcome], numbers: Sequence[int], found: Sequence[Outcome]
) -> list[Outcome]:
    by_number = dict(zip(numbers, found, strict=True))
    return [by_number.get(number, outcome) for number, outcome in enumerate(outcomes)]


async def _insert(space: Namespace, groups: Sequence[Group], keys: Keys) -> Sequence[Outcome]:
    """Store single messages, all that can be; one outcome for each."""
    outcomes: dict[str, Outcome] = {}
    wanted: Sequence[Message] = [_as_stored(group) for group in groups]
    while wanted:
        try:
            await space.messages.insert_many(
                [document_of(message, keys[message.id]) for message in wanted], ordered=False
            )
        except BulkWriteError as error:
            refused = [wanted[number] for number in taken(error)]
        else:
            break
        ids = [message.id for message in refused]
        again = [Group([message], as_is=True) for message in refused]  # they are as stored already
        plan = plan_put(again, await _find(space, ids))
        outcomes.update(zip(ids, plan.outcomes, strict=True))
        wanted = plan.inserts  # what was in their way is gone by now
    return [outcomes.get(group.messages[0].id) for group in groups]


def _as_stored(group: Group) -> Message:
    """The message of a group of one, as it is stored where its id is free."""
    return plan_put([group], {}).inserts[0] if group.as_is else as_stored(group.messages[0])


async def _replace(space: Namespace, groups: Sequence[Group], keys: Keys) -> None:
    """Store single messages in place of those with their ids, even if these change meanwhile."""
    wanted = {group.messages[0].id: group for group in groups}
    while wanted:
        plan = plan_put([*wanted.values()], await _find(space, [*wanted]))
        if not plan.inserts:
            break
        try:
            await space.messages.bulk_write(_writes(plan, keys), ordered=False)
        except BulkWriteError as error:
            wanted = {(id := plan.inserts[number].id): wanted[id] for number in taken(error)}
        else:
            break


async def _put_all(
    space: Namespace, groups: Sequence[Group], keys: Keys, session: Any
) -> Sequence[Outcome]:
    """Store groups, each whole or not at all, in a transaction that no refusal breaks."""
    ids = [message.id for group in groups for message in group.messages]
    plan = plan_put(groups, await _find(space, ids, session))
    if plan.inserts:
        await space.messages.bulk_write(_writes(plan, keys), ordered=False, session=session)
    return plan.outcomes


async def _find(space: Namespace, ids: Sequence[str], session: Any = None) -> dict[str, Found]:
    query = {"_id": {"$in": [*ids]}}
    fields = ["key", "status", "created_at_us", "given_at_us"]
    return {
        each["_id"]: Found(
            each.get("key"),
            state_of(each.get("status")),
            each.get("created_at_us"),
            each.get("given_at_us"),
        )
        for each in await space.find(query, fields, session=session)
    }


def _writes(plan: PutPlan[Found], keys: Keys) -> Sequence[Any]:
    writes = list[Any]()
    for message in plan.inserts:
        document, old = document_of(message, keys[message.id]), plan.replaced.get(message.id)
        if old is None:
            writes.append(InsertOne(document))
        else:
            # If the old one is gone by now, insert; if another is there by now, the id is taken.
            mine = {"_id": message.id, "key": old.key}
            writes.append(ReplaceOne(mine, document, upsert=True))
    return writes
