"""Bugs in schemas, in what a store says of itself and in its event loops, and what catches them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.stores.remote import RemoteStore, RemoteSuite

from duly import StoreUnavailable
from duly.store import Store
from duly.testing.stores import AnyLoopCases, FirstStepCases, HealthCases, MigrationCases
from duly.testing.stores.plain import PlainStore


class MaintainedStore(RemoteStore):
    """It has a schema of two statements, and knows how it is doing."""

    any_loop = True
    statements = ("make messages", "make leases")
    migrates = True

    async def open(self) -> None:
        await super().open()
        if self.migrates:
            await self.migrate()

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        schema = self.server.__dict__.setdefault("schema", [])
        missing = [each for each in self.statements if each not in schema]
        if not dry_run:
            schema += missing
        return missing

    async def check(self) -> Sequence[str]:
        with self.translated():
            await self.server.reach()
        return ["it keeps nothing"]

    async def call(self, name: str, *arguments: Any, **more: Any) -> Any:
        return await getattr(self.server.plain, name)(*arguments, **more)


class MaintainedSuite(AnyLoopCases, HealthCases, MigrationCases, RemoteSuite):
    """The cases over stores of a kind."""

    def __init__(self, kind: type[MaintainedStore] = MaintainedStore) -> None:
        super().__init__(kind)

    async def make_without_schema(self, namespace: str) -> Store:
        store = await self.make_store(namespace, None)
        store.__dict__["migrates"] = False
        return store


class MigratesThoughAskedToTell(MaintainedStore):
    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        return await super().migrate()


class TellsOnlyTheFirst(MaintainedStore):
    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        return (await super().migrate(dry_run=dry_run))[: 1 if dry_run else None]


class MigratesAgain(MaintainedStore):
    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        return self.statements


class TellsOneText(MaintainedStore):
    async def check(self) -> Sequence[str]:
        return "it keeps nothing"


class TellsOfWhatIsNot(MaintainedStore):
    async def check(self) -> Sequence[str]:
        return ["", "it keeps nothing"]


class ChecksWithoutTranslating(MaintainedStore):
    async def check(self) -> Sequence[str]:
        await self.server.reach()
        return []


class ChecksWhatIsNotThere(MaintainedStore):
    async def check(self) -> Sequence[str]:
        if self.connection is None:
            raise AttributeError("'NoneType' object has no attribute 'execute'")
        return []


class WaitsInTheLoopItWasMadeIn(MaintainedStore):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._loop = asyncio.get_running_loop()

    async def call(self, name: str, *arguments: Any, **more: Any) -> Any:
        answer = self._loop.create_future()
        self._loop.call_soon(answer.set_result, None)
        await answer
        return await super().call(name, *arguments, **more)


CAUGHT_BY: dict[type[MaintainedStore], str] = {
    MigratesThoughAskedToTell: "test_it_tells_what_it_would_do",
    TellsOnlyTheFirst: "test_it_tells_what_it_would_do",
    MigratesAgain: "test_migrating_twice_does_nothing_more",
    TellsOneText: "test_it_tells_its_doubts_in_sentences",
    TellsOfWhatIsNot: "test_it_tells_its_doubts_in_sentences",
    ChecksWithoutTranslating: "test_it_is_asked_while_it_is_away",
    ChecksWhatIsNotThere: "test_it_is_asked_when_it_is_closed",
    WaitsInTheLoopItWasMadeIn: "test_two_loops_at_a_time",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught_in: Any, bug: type[MaintainedStore]) -> None:
    await assert_caught_in(MaintainedSuite(bug), MaintainedSuite(), CAUGHT_BY[bug])


async def test_a_loop_of_its_own_is_caught_where_it_is_opened(assert_caught_in: Any) -> None:
    class OpensInOneLoop(WaitsInTheLoopItWasMadeIn):
        async def open(self) -> None:
            self._loop = asyncio.get_running_loop()
            await super().open()

    case = "test_opened_in_one_and_used_in_another"
    await assert_caught_in(MaintainedSuite(OpensInOneLoop), MaintainedSuite(), case)


async def test_a_store_without_the_claim_is_caught(assert_caught_in: Any) -> None:
    class SaysNothing(MaintainedStore):
        any_loop = False

    await assert_caught_in(MaintainedSuite(SaysNothing), MaintainedSuite(), "test_it_says_so")


FIRST = [name for name in vars(FirstStepCases) if name.startswith("test_")]
"""The first cases, in the order in which they are run."""

VERBS = ["close", "put", "cancel", "reschedule", "list", "claim", "renew", "settle", "stats"]
"""Of which each needs one more."""


@pytest.mark.parametrize(("verb", "case"), [*zip(VERBS, FIRST, strict=True)])
async def test_a_verb_that_is_not_written_yet_is_caught(
    assert_caught: Any, verb: str, case: str
) -> None:
    async def unwritten(self: PlainStore, *arguments: Any, **more: Any) -> Any:
        raise StoreUnavailable("not written yet")

    unfinished = type("Unfinished", (PlainStore,), {verb: unwritten})
    await assert_caught(unfinished, case)
