"""What callers did stands before what schedulers made of it, however late they tell of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.history.kit import START, kept, scene, until

import duly
from duly import Filter, Message
from duly.memory import MemoryStore
from duly_history import Entry, History, What

AT_ONCE = 50  # that are replayed side by side


class Slow(MemoryStore):
    """What it has done is done at once; the answer comes only when the rest has happened."""

    def __init__(self) -> None:
        super().__init__()
        self.rest = asyncio.Event()
        self.rest.set()

    async def put(self, *args, **more):
        answer = await super().put(*args, **more)
        await self.rest.wait()
        return answer

    async def reschedule(self, *args, **more):
        answer = await super().reschedule(*args, **more)
        await self.rest.wait()
        return answer

    async def cancel(self, *args, **more):
        answer = await super().cancel(*args, **more)
        await self.rest.wait()
        return answer


async def told(history: History, id: str) -> list[Entry]:
    await history.flush()
    return [*(await history.of(id)).entries]


def words(entries: list[Entry]) -> list[str]:
    return [each.what.value for each in entries]


async def test_replayed_and_scheduled_stand_before_what_came_of_it(history_url):
    store, ids = Slow(), [f"m{n:02}" for n in range(60)]
    over: set[str] = set()

    async def refuse(envelope):
        raise duly.Rejected("no")

    class Watch:
        @duly.hookimpl
        def duly_buried(self, burials):
            over.update(each.message_id for each in burials)

    async def through(act):
        """The first answer comes only when all that it brought about has been told of."""
        over.clear()
        store.rest.clear()
        acting = asyncio.create_task(act)
        await until(lambda: len(over) >= AT_ONCE)
        store.rest.set()
        answer = await acting
        await until(lambda: len(over) == len(ids))
        return answer

    async with kept(History(history_url)) as history:
        client = duly.Client(store, plugins=[history], load_plugins=False)
        scheduler = duly.Scheduler(store, refuse, plugins=[Watch(), history], load_plugins=False)
        async with client, scheduler.running():
            due = datetime.now(UTC)
            await through(
                client.schedule_many([Message("a", id=id, scheduled_at=due) for id in ids])
            )
            assert await through(client.replay_many(Filter(event_name="a"))) == 60
            for id in (ids[0], ids[49], ids[-1]):
                entries = await told(history, id)
                assert words(entries) == [
                    "scheduled", "failed", "buried", "replayed", "failed", "buried",
                ]  # fmt: skip
                replayed = entries[3]
                assert replayed.due_at == due  # at once it keeps its schedule
            assert await client.purge(Filter(ids=ids[:1])) == 1
            assert words(await told(history, ids[0]))[-1] == "purged"


async def test_what_is_cancelled_and_scheduled_anew_stands_in_that_order(history_url):
    store = Slow()
    async with kept(History(history_url)) as history:
        async with duly.Client(store, plugins=[history], load_plugins=False) as client:
            later = datetime.now(UTC) + timedelta(hours=1)
            await client.schedule_many(
                [Message("a", id=f"m{n:04}", scheduled_at=later) for n in range(501)]
            )
            for act in (
                client.cancel_many(Filter(event_name="a")),
                client.cancel_many(ids=[f"m{n:04}" for n in range(501)]),
            ):
                store.rest.clear()
                acting = asyncio.create_task(act)
                await until(lambda: "m0000" not in store._ledger.shelf.entries)
                again = asyncio.create_task(
                    client.schedule(Message("a", id="m0000", scheduled_at=later))
                )
                await asyncio.sleep(0)
                store.rest.set()
                await again
                await acting
            assert words(await told(history, "m0000")) == [
                "scheduled", "cancelled", "scheduled", "cancelled", "scheduled",
            ]  # fmt: skip


@pytest.mark.parametrize("rate", [None, 2])
async def test_each_that_is_replayed_has_its_own_due_time(history_url, rate):
    async with scene(history_url) as here:
        here.failures = 100
        for id in "abc":
            await here.schedule(id)
        await here.drain(minutes=10)
        now = here.store.now
        assert now > START
        assert await here.scheduler.replay_many(Filter(event_name="orders.*"), rate=rate) == 3
        await here.history.flush()
        found = (await here.history.search(what=What.REPLAYED)).entries
        apart = timedelta(0) if rate is None else timedelta(seconds=0.5)
        dues = [each.due_at for each in sorted(found, key=lambda each: each.message_id)]
        if rate is None:
            assert all(each <= now for each in dues)
        else:
            assert dues == [now, now + apart, now + 2 * apart]
