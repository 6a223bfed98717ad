"""What a store does unhurried while it is opened, and the time limit on the rest."""

import asyncio

import pytest
from tests.core.engine_kit import WatchedStore, scheduler, until

from duly import Client, StoreUnavailable
from duly.store import unhurried
from duly.testing.clock import run_virtually

DAY = 86_400


class Migrating(WatchedStore):
    """It opens in steps: seconds before a migration, of it, and after it."""

    def __init__(self, *steps: float) -> None:
        super().__init__()
        self.steps = steps

    async def open(self) -> None:
        before, migration, after = self.steps
        await asyncio.sleep(before)
        with unhurried():
            await asyncio.create_task(self.migrate(migration))  # in a task, as drivers do
        await asyncio.sleep(after)
        await super().open()

    async def migrate(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@run_virtually
async def test_a_migration_takes_as_long_as_it_takes() -> None:
    for steps in ((0, DAY, 0), (9, DAY, 0.9), (0, DAY, 9), (9.5, 0, 0.9)):
        async with Client(Migrating(*steps), load_plugins=False) as client:
            assert await client.list() == []


@run_virtually
async def test_what_else_there_is_to_do_is_limited() -> None:
    for steps in ((11, 0, 0), (0, DAY, 11), (9, DAY, 2)):
        client = Client(Migrating(*steps), load_plugins=False)
        with pytest.raises(StoreUnavailable, match="did not answer within 10 s"):
            await client.open()


@run_virtually
async def test_the_limit_of_no_other_call_is_touched() -> None:
    async def hang(verb: str, _: bool) -> None:
        if verb == "stats":
            with unhurried():
                await asyncio.sleep(DAY)

    store = WatchedStore()
    store.faults.append(hang)
    async with Client(store, load_plugins=False) as client:
        with pytest.raises(StoreUnavailable):
            await client.stats()


@run_virtually
async def test_a_scheduler_that_is_stopped_waits_for_no_migration() -> None:
    running = scheduler(Migrating(0, DAY, 0), print)
    task = asyncio.create_task(running.start())
    await asyncio.sleep(60)
    assert not task.done()
    await running.stop()
    await task


@run_virtually
async def test_others_wait_for_the_same_migration() -> None:
    store = Migrating(0, 60, 0)
    client = Client(store, load_plugins=False)
    assert [*await asyncio.gather(client.list(), client.list())] == [[], []]
    assert store.count("open") == 1


async def test_where_nothing_is_opened_it_does_nothing() -> None:
    with unhurried():
        await asyncio.sleep(0)


@run_virtually
async def test_whoever_opened_has_gone() -> None:
    """What goes on behind his back has no limit to put back."""
    ended = asyncio.Event()

    class GoesOn(WatchedStore):
        async def open(self) -> None:
            await asyncio.shield(asyncio.create_task(self.go_on()))

        async def go_on(self) -> None:
            with unhurried():
                await asyncio.sleep(DAY)
            ended.set()

    opening = asyncio.create_task(Client(GoesOn(), load_plugins=False).open())
    await asyncio.sleep(1)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await until(ended.is_set, within=2 * DAY)
