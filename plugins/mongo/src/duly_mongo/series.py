"""Series that are ensured and declared.

What is stored is read, then the clock, and then it is changed if it is as it was read: so each is
changed in one step, on servers without transactions too, and nobody waits for anybody else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from duly import Message, State, StoreUnavailable
from duly.store import Declared, Ensured
from duly_mongo.changing import remove
from duly_mongo.floors import is_newest, raise_floor
from duly_mongo.looking import present
from duly_mongo.namespace import TRIES, Namespace, taken
from duly_mongo.records import too_large
from duly_mongo.steps import Outcome, Step, step_of

__all__ = ["ensure", "undeclare"]


async def ensure(
    space: Namespace, wanted: Sequence[Message], declared: Declared | None
) -> Sequence[Outcome]:
    """See to it that these are there; one outcome for each."""
    older = [Ensured.OLDER] * len(wanted)
    if declared is not None and not await raise_floor(space, declared):
        return older
    outcomes = {each.id: error for each in wanted if (error := too_large(each))}
    work = _Work(space, declared, dict[str, Outcome](outcomes))
    await work.through([each for each in wanted if each.id not in outcomes])
    if declared is not None and work.inserted and not await is_newest(space, declared):
        # A newer one was declared meanwhile, and may have removed what is not of it before we
        # stored that. What was there before us keeps its place, for the next who declares.
        ours = {"declared_by": declared.by, "generation": declared.generation}
        for id, key in work.inserted.items():
            await remove(space, id, None, {**ours, "key": key})
        return older
    return [work.outcomes[each.id] for each in wanted]


async def undeclare(space: Namespace, by: str, generation: int) -> Sequence[tuple[str, State]]:
    """Remove what was declared with a lower generation; each is looked at again as it goes."""
    before = {"declared_by": by, "generation": {"$lt": generation}}
    ids = [each["_id"] for each in await space.find(before, ["_id"])]
    states = [(id, await remove(space, id, None, before)) for id in ids]
    return [(id, state) for id, state in states if state is not None]


@attrs.frozen
class _Work:
    """What one call has to do, and what has come of it."""

    space: Namespace
    declared: Declared | None
    outcomes: dict[str, Outcome]
    inserted: dict[str, str] = attrs.Factory(dict)
    """The keys of what was not there before, by id."""

    async def through(self, wanted: Sequence[Message]) -> None:
        """Go on until each has an outcome.

        Raises:
            StoreUnavailable: others changed the same series each time.
        """
        for _ in range(TRIES):
            if not wanted:
                return
            await self._round(wanted)
            wanted = [each for each in wanted if each.id not in self.outcomes]
        if wanted:
            raise StoreUnavailable(
                "MongoDB: others keep changing the same series: it may work again"
            )

    async def _round(self, wanted: Sequence[Message]) -> None:
        query = {"_id": {"$in": [each.id for each in wanted]}}
        found = {each["_id"]: each for each in await self.space.find(query)}
        now = await present(self.space)  # no sooner: what has been settled must not be to come
        steps = {each.id: step_of(found.get(each.id), each, self.declared, now) for each in wanted}
        await self._insert({id: each for id, each in steps.items() if each.insert is not None})
        await self._repeatable({id: each for id, each in steps.items() if each.repeatable})
        for id, step in steps.items():
            if step.insert is None and not step.repeatable and await self._done(step):
                self.outcomes[id] = step.outcome

    async def _insert(self, steps: Mapping[str, Step]) -> None:
        documents: list[Any] = [each.insert for each in steps.values()]
        if not documents:
            return
        left = set[int]()
        try:
            await self.space.messages.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            left.update(taken(error))
        for number, (id, step) in enumerate(steps.items()):
            if number not in left:
                self.outcomes[id] = step.outcome
                self.inserted[id] = documents[number]["key"]

    async def _repeatable(self, steps: Mapping[str, Step]) -> None:
        """All in one command, which does not tell which of them it found: then all come again."""
        if not steps:
            return
        writes = [UpdateOne(each.itself, each.changes) for each in steps.values()]
        done = await self.space.messages.bulk_write(writes, ordered=False)
        if done.matched_count == len(writes):
            self.outcomes.update((id, each.outcome) for id, each in steps.items())

    async def _done(self, step: Step) -> bool:
        """Whether what was found was still so."""
        if step.removes:
            return bool((await self.space.messages.delete_one(step.itself)).deleted_count)
        if not step.changes:
            return True
        changed = await self.space.messages.update_one(step.itself, step.changes)
        return bool(changed.matched_count)
