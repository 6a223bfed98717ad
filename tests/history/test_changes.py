"""What people do: written down before it is done, and how it ended before it is answered."""

import asyncio
from datetime import timedelta

import pytest
from tests.history.kit import START, scene
from tests.servers.postgres import PostgresServer

import duly
from duly import Filter, MessageNotFound
from duly_history import HistoryUnavailable


async def test_every_verb(history_url):
    async with scene(history_url) as here:
        scheduler = here.scheduler
        for id in "abcdefg":
            await here.schedule(id, hours=1)
        with duly.acting(by="mara", reason="INC-81"):
            await scheduler.cancel("a")
            await scheduler.cancel_many(ids=["b", "nobody"])
            await scheduler.reschedule("c", here.store.after(hours=2))
            await scheduler.fire("d")
            here.failures = 100
            await here.drain(minutes=10)
            await scheduler.replay("d")
            await here.drain(minutes=10)
            await scheduler.replay_many(Filter(event_name="orders.*"), rate=10)
            await here.drain(minutes=10)
            await scheduler.purge(Filter(event_name="orders.*"))
            await scheduler.pause("orders.*", until=here.store.after(hours=1))
            await scheduler.limit("mail", rate=3, in_flight=2)
            await scheduler.resume("orders.*", by="jonas")
            with pytest.raises(duly.InvalidArgument):
                await scheduler.recover("nobody")
        found = await here.history.changes()
        told = [
            (each.action, each.target, each.number, each.by, each.error is None)
            for each in reversed(found.changes)
        ]
        assert told == [
            ("cancel", "a", 1, "mara", True),
            ("cancel", "", 1, "mara", True),
            ("reschedule", "c", 1, "mara", True),
            ("fire", "d", 1, "mara", True),
            ("replay", "d", 1, "mara", True),
            ("replay", "", 1, "mara", True),
            ("purge", "", 1, "mara", True),
            ("pause", "orders.*", 0, "mara", True),
            ("limit", "mail", 0, "mara", True),
            ("resume", "orders.*", 0, "jonas", True),
            ("recover", "nobody", 0, "mara", False),
        ]
        changes = {(each.action, each.target): each for each in found.changes}
        assert all(each.ended_at for each in found.changes)
        assert {each.reason for each in found.changes} == {"INC-81"}
        assert changes["cancel", ""].filter == {"ids": ["b", "nobody"]}
        assert changes["replay", ""].filter == {"event_name": "orders.*", "state": "dead"}
        assert changes["replay", ""].details == {"rate": 10}
        assert changes["limit", "mail"].details == {"rate": 3.0, "in_flight": 2}
        assert changes["pause", "orders.*"].details["until"].startswith("2030-01-01T13:3")
        of_jonas = await here.history.changes(by="jonas")
        assert [each.action for each in of_jonas.changes] == ["resume"]
        assert len((await here.history.changes(action="cancel")).changes) == 2
        assert len((await here.history.changes(target="c")).changes) == 1
        assert (await here.history.changes(until=START - timedelta(1))).changes == []
        some = await here.history.changes(limit=4)
        assert (len(some.changes), some.looked_at, some.complete) == (4, 4, False)


async def test_one_that_fails_is_there_with_its_error(history_url):
    async with scene(history_url) as here:
        with pytest.raises(MessageNotFound):
            await here.scheduler.cancel("nobody")
        assert await here.scheduler.cancel("nobody", missing_ok=True) is duly.Cancellation.UNKNOWN
        unknown, failed = (await here.history.changes()).changes
        assert failed.error.startswith("MessageNotFound: no message with id 'nobody'")
        assert (unknown.outcome, unknown.number, unknown.error) == ("unknown", 0, None)


async def test_a_bulk_act_in_many_calls_is_one_change(history_url):
    async with scene(history_url) as here:
        for id in "abc":
            await here.schedule(id, hours=1)
        chosen = Filter(event_name="orders.*")
        async with duly.changing(here.scheduler, "cancel", filter=chosen, by="mara") as change:
            for id in "abc":
                await here.scheduler.cancel(id)
        assert change.number == 3
        (only,) = (await here.history.changes()).changes
        assert (only.number, only.by, only.filter) == (3, "mara", {"event_name": "orders.*"})


async def test_many_at_once_share_what_they_wait_for(history_url):
    async with scene(history_url) as here:
        for number in range(50):
            await here.schedule(str(number), hours=1)
        await asyncio.gather(*(here.scheduler.cancel(str(number)) for number in range(50)))
        assert len((await here.history.changes()).changes) == 50


async def test_a_huge_filter_is_cut(history_url):
    async with scene(history_url) as here:
        await here.scheduler.cancel_many(ids=[f"order-{n}" for n in range(9000)])
        (only,) = (await here.history.changes()).changes
        assert only.filter["ids_in_all"] == 9000
        assert len(only.filter["ids"]) == 10


async def test_none_is_kept_without_audit(history_url):
    async with scene(history_url, audit=False) as here:
        await here.scheduler.pause("orders.*")
        await here.schedule("a")
        await here.history.flush()
        assert (await here.history.changes()).changes == []


async def test_what_cannot_be_written_down_is_not_done():
    with PostgresServer() as server:
        async with scene(server.url) as here:
            await here.schedule("a", hours=1)
            await here.scheduler.pause("mail")
            server.kill()
            for change in (
                here.scheduler.pause("orders.*"),
                here.scheduler.cancel("a"),
                here.scheduler.purge(everything=True),
            ):
                with pytest.raises(HistoryUnavailable, match="so nothing was changed: history"):
                    await change
            assert [*await here.scheduler.controls()] == ["mail"]
            assert (await here.scheduler.get("a")).id == "a"
            server.start()
            await here.scheduler.pause("orders.*")
            found = (await here.history.changes()).changes
            assert [each.target for each in found] == ["orders.*", "mail"]


async def test_its_end_is_written_when_the_database_is_back():
    with PostgresServer() as server:
        async with scene(server.url) as here:
            async with duly.changing(here.scheduler, "cancel", target="a"):
                server.kill()
            server.start()
            await here.history.flush()
            (only,) = (await here.history.changes()).changes
            assert only.ended_at is not None
