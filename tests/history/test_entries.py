"""What became of messages: kept, and found again."""

from datetime import timedelta

import pytest
from tests.history.kit import START, scene

import duly
from duly import Filter, InvalidArgument, Message
from duly_history import What


async def test_the_life_of_a_message(history_url):
    async with scene(history_url) as here:
        await here.schedule("order-1", hours=2)
        await here.scheduler.reschedule("order-1", here.store.after(hours=1))
        here.failures = 3
        await here.drain(hours=3)
        await here.history.flush()
        found = await here.history.of("order-1")
        scheduled, moved, *failed, delivered = found.entries
        assert (found.complete, found.looked_at, found.holes) == (True, 6, [])
        assert (scheduled.what, scheduled.due_at) == (What.SCHEDULED, START + timedelta(hours=2))
        assert (moved.what, moved.due_at) == (What.RESCHEDULED, START + timedelta(hours=1))
        assert moved.event_name == "orders.reminder"
        assert [each.what for each in failed] == [What.FAILED] * 3
        assert [each.attempt for each in failed] == [1, 2, 3]
        assert failed[0].error == "OSError: mailbox 2 of 'order-1' is full"
        assert failed[0].error_class == "OSError"
        assert failed[0].next_at == failed[0].at + timedelta(minutes=1) == failed[1].at
        assert (delivered.what, delivered.attempt) == (What.DELIVERED, 4)
        assert delivered.lateness == timedelta(minutes=3)
        assert delivered.source.count(":") == 2
        assert scheduled.source.count(":") == 1


async def test_all_that_may_become_of_one(history_url):
    async with scene(history_url) as here:
        for id in ("dies", "goes", "more"):
            await here.schedule(id)
        await here.scheduler.cancel("goes")
        here.failures = 100
        await here.drain(minutes=10)
        here.failures = 0
        await here.scheduler.replay("dies")
        await here.drain(minutes=1)
        await here.scheduler.purge(Filter(ids=["more"]))
        assert await here.told("goes") == ["scheduled", "cancelled"]
        assert await here.told("dies") == [
            "scheduled", *["failed"] * 4, "buried", "replayed", "delivered",
        ]  # fmt: skip
        assert (await here.told("more"))[-2:] == ["buried", "purged"]


async def test_missed_fires_and_series(history_url):
    async with scene(history_url) as here:
        every = duly.Every(timedelta(minutes=1))
        series = Message("tick", id="series", recurrence=every, scheduled_at=START)
        await here.scheduler.schedule(series)
        await here.store.advance(minutes=5)
        await here.drain()
        assert (await here.told("series"))[:3] == ["scheduled", "missed", "delivered"]
        missed = (await here.history.of("series")).entries[1]
        assert missed.due_at == START
        assert missed.detail.startswith("3 fires")


async def test_a_receipt_of_any_kind_is_kept(history_url):
    class Odd:
        receipts = ["0-1", "a\0b\ud800", "x" * 5000, None]

        async def open(self): ...

        async def close(self): ...

        async def publish(self, envelope):
            return self.receipts[int(envelope.message_id)]

    async with scene(history_url) as here:
        other = duly.Scheduler(here.store, Odd(), plugins=[here.history])
        async with other:
            for number in range(4):
                await here.schedule(str(number))
            await other.drain()
        await here.history.flush()
        found = (await here.history.search(what=What.DELIVERED)).entries
        assert [each.receipt for each in sorted(found, key=lambda each: each.message_id)] == [
            "0-1", "a b?", "x" * 1024, None,
        ]  # fmt: skip


async def test_some_event_names_alone(history_url):
    async with scene(history_url, of=("orders.*", "mail")) as here:
        for name in ("orders.sent", "orders", "mail", "mail.sent"):
            await here.schedule(name, name)
        await here.drain()
        await here.history.flush()
        found = (await here.history.search(what=What.DELIVERED)).entries
        assert {each.event_name for each in found} == {"orders.sent", "mail"}
        assert [each.event_name for each in await here.history.events()] == ["mail", "orders.sent"]


async def test_search(history_url):
    async with scene(history_url) as here:
        here.failures = 2
        for number in range(6):
            await here.schedule(f"order-{number}", "orders.sent" if number % 2 else "mail_x.sent")
        await here.drain()
        await here.history.flush()
        search = here.history.search
        assert len((await search()).entries) == 12
        page = await search(limit=5)
        assert (len(page.entries), page.complete) == (5, False)
        assert len((await search(event="orders.*")).entries) == 6
        assert (await search(event="mail_.*")).entries == []
        assert len((await search(event="mail_x.sent", what=What.SCHEDULED)).entries) == 3
        assert len((await search(id_prefix="order-1")).entries) == 2
        assert len((await search(message_id="order-1")).entries) == 2
        assert (await search(message_id="order-")).entries == []
        assert (await search(id_prefix="order%")).entries == []
        by_error = await search(error="*MAILBOX 1*")
        assert [each.what for each in by_error.entries] == [What.FAILED]
        assert (by_error.looked_at, by_error.complete) == (2, True)
        assert (await search(error="*mailbox*", look_at=1, limit=1)).complete is False
        assert len((await search(error_class="OSError")).entries) == 2
        assert (await search(since=START + timedelta(seconds=1))).entries == []
        assert (await search(until=START - timedelta(seconds=1))).entries == []
        of = await here.history.of("order-0", limit=1)
        assert (len(of.entries), of.complete) == (1, False)
        with pytest.raises(InvalidArgument, match="a bound is a whole number from 1"):
            await search(limit=0)


async def test_what_is_put_within_a_payload_is_not_kept(history_url, tmp_path):
    async with scene(history_url) as here:
        await here.schedule("order-1")
        await here.drain()
        await here.history.flush()
        found = (await here.history.search()).entries
        assert "secret" not in repr(found)
