"""Series that a transport brings along: ensured when its scheduler starts."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    at,
    delivering,
    down,
    message,
    now,
    scheduler,
    until,
)

from duly import (
    Client,
    Cron,
    Ensured,
    Envelope,
    Event,
    Every,
    InvalidArgument,
    InvalidMessage,
    LocalTransport,
    Message,
    Unsupported,
)
from duly.health import Status
from duly.memory import MemoryStore
from duly.store import Group
from duly.testing.clock import run_virtually
from duly.transport import SupportsSeries

MINUTE = timedelta(minutes=1)


class Shelf(WakingStore):
    """A store that ensures, and may be down while it does."""

    async def ensure(self, wanted: Sequence[Message], **more: Any) -> Any:
        store = cast(MemoryStore, self.inner)
        return await self._call("ensure", lambda: store.ensure(wanted, **more))

    async def undeclare(self, by: str, generation: int) -> Any:
        store = cast(MemoryStore, self.inner)
        return await self._call("undeclare", lambda: store.undeclare(by, generation))


class Calls:
    """Handlers that note when they were called and with what."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.told: list[Any] = []

    async def bare(self) -> None:
        self.times.append(now())

    async def telling(self, told: Any) -> None:
        self.told.append(told)


@run_virtually
async def test_they_are_ensured_and_called_again_and_again() -> None:
    store, transport, calls = Shelf(), LocalTransport(), Calls()
    transport.every(MINUTE, id="each minute")(calls.bare)
    async with delivering(store, transport) as running:
        await until(lambda: len(calls.times) == 3, within=300)
        (stored,) = await running.list()
    assert [round(time) for time in calls.times] == [60, 120, 180]
    assert (stored.id, stored.event_name) == ("each minute", "each minute")
    assert stored.recurrence == Every(MINUTE)


@run_virtually
async def test_each_start_finds_them_as_they_are() -> None:
    store, calls = Shelf(), Calls()
    for _ in range(3):
        transport = LocalTransport()
        transport.every(MINUTE, id="each minute")(calls.bare)
        async with delivering(store, transport), delivering(store, transport):
            await asyncio.sleep(45)
    assert [round(time) for time in calls.times] == [60, 120]


@run_virtually
async def test_what_is_no_longer_in_the_code_stays() -> None:
    store, before, after = Shelf(), LocalTransport(), LocalTransport()
    before.every(MINUTE, id="gone")(Calls().bare)
    async with delivering(store, before):
        pass
    async with delivering(store, after) as running:
        assert [each.id for each in await running.list()] == ["gone"]


class TestSaying:
    def test_rules_and_names_and_payloads(self) -> None:
        transport, calls = LocalTransport(), Calls()
        report = Event("reports.wanted", dict)
        transport.cron("30 2 * * *", id="nightly", timezone="Europe/Berlin", jitter=MINUTE)(
            calls.bare
        )
        transport.every(MINUTE, id="named", event="other", payload=b"x", missed="skip")(
            calls.telling
        )
        transport.every(
            MINUTE,
            id="typed",
            event=report,
            payload={"of": "sales"},
            anchor=at(0),
            grace=MINUTE * 2,
        )(calls.telling)
        assert isinstance(transport, SupportsSeries)
        nightly, named, typed = transport.series()
        assert nightly.recurrence == Cron("30 2 * * *", timezone="Europe/Berlin", jitter=MINUTE)
        assert (nightly.id, nightly.event_name, nightly.payload) == ("nightly", "nightly", b"")
        assert (named.id, named.event_name, named.payload) == ("named", "other", b"x")
        assert named.recurrence == Every(MINUTE, missed="skip")
        assert (typed.event_name, report.read(typed)) == ("reports.wanted", {"of": "sales"})
        assert typed.metadata == {"content-type": "application/json"}
        assert typed.recurrence == Every(MINUTE, anchor=at(0), grace=MINUTE * 2)

    @run_virtually
    async def test_of_a_typed_event_the_function_gets_the_payload(self) -> None:
        store, transport, calls = Shelf(), LocalTransport(), Calls()
        report = Event("reports.wanted", dict)
        transport.every(MINUTE, id="a", event=report, payload={"of": "a"})(calls.telling)
        transport.every(MINUTE, id="b", event=report, payload={"of": "b"})(calls.telling)
        async with delivering(store, transport):
            await until(lambda: len(calls.told) == 2, within=100)
        assert sorted(calls.told, key=str) == [{"of": "a"}, {"of": "b"}]

    @run_virtually
    async def test_needs_count_as_with_on(self) -> None:
        transport = LocalTransport()
        transport.every(MINUTE, id="x", max_in_flight=2, timeout=MINUTE)(Calls().bare)
        assert transport.limits().by_name == {"x": 2}
        assert transport.limits().timeouts == {"x": MINUTE}

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"id": ""}, "id must have 1 to 255 characters"),
            ({"event": "orders.*"}, "stands for many names"),
            ({"event": 7}, "event_name must be text"),
            ({"payload": "text"}, "payload must be bytes"),
            ({"event": Event("x", int), "payload": "text"}, "x: the payload does not fit int"),
            ({"jitter": MINUTE * 2}, "jitter must be at most the interval"),
            ({"missed": "never"}, "missed"),
        ],
    )
    def test_what_makes_no_series_is_refused(self, wrong: Any, why: str) -> None:
        transport = LocalTransport()
        with pytest.raises(InvalidArgument, match=why):
            transport.every(MINUTE, **{"id": "x", **wrong})
        assert not transport.series()

    def test_an_id_is_one_series_and_a_name_one_function(self) -> None:
        transport, calls = LocalTransport(), Calls()
        transport.every(MINUTE, id="x")(calls.bare)
        with pytest.raises(InvalidArgument, match="'x' is a series already in <LocalTransport x>"):
            transport.cron("* * * * *", id="x")(calls.bare)
        with pytest.raises(InvalidArgument, match="'x' has a handler already"):
            transport.every(MINUTE, id="y", event="x")(calls.telling)
        assert len(transport.series()) == 1
        with pytest.raises(InvalidArgument, match="cron"):
            transport.cron("nonsense", id="z")

    async def test_without_an_event_it_takes_the_envelope_or_nothing(self) -> None:
        transport = LocalTransport()
        transport.every(MINUTE, id="x")(lambda told: told)
        told = Envelope(message_id="x", event_name="x", scheduled_at=at(0))
        assert await transport.call(told) is told
        with pytest.raises(InvalidArgument, match="must take the envelope or nothing"):
            transport.every(MINUTE, id="y")(lambda told, more: None)
        await transport.close()


class TestTrouble:
    @run_virtually
    async def test_a_store_that_is_away_is_waited_for(self) -> None:
        store, transport, calls = Shelf(), LocalTransport(), Calls()
        transport.every(MINUTE, id="x")(calls.bare)
        fault = down("ensure")
        store.faults.append(fault)
        running = scheduler(store, transport)
        run = asyncio.create_task(running.start())
        await until(lambda: store.count("ensure") > 3)
        store.faults.remove(fault)
        await until(lambda: calls.times, within=200)
        await running.stop()
        await run

    @run_virtually
    async def test_while_it_is_waited_for_the_scheduler_can_be_stopped(self) -> None:
        store, transport = Shelf(), LocalTransport()
        transport.every(MINUTE, id="x")(Calls().bare)
        store.faults.append(down("ensure"))
        running = scheduler(store, transport)
        run = asyncio.create_task(running.start())
        await until(lambda: store.count("ensure") > 3)
        await running.stop()
        await asyncio.wait_for(run, 10)

    @run_virtually
    async def test_an_id_that_is_taken_is_told_and_keeps_nothing_from_being_delivered(self) -> None:
        store, transport, calls, others = Shelf(), LocalTransport(), Calls(), Probed()
        taken = message("other", due=3600, id="taken")
        assert list(await store.put([Group([taken, message("other", due=10)])])) == [None]
        transport.every(MINUTE, id="taken")(calls.bare)
        transport.every(MINUTE, id="free")(calls.bare)
        transport.on("other")(others.publish)
        async with delivering(store, transport) as running:
            health = await running.health()
            assert health.status is Status.DEGRADED
            assert "the series 'taken' is not as this version has it" in health.reason
            assert "a message with the id 'taken' is stored already" in health.reason
            await until(lambda: calls.times and others.ended, within=100)

    @run_virtually
    async def test_a_store_that_cannot_is_refused_before_anything_is_delivered(self) -> None:
        store, transport, others = WakingStore(), LocalTransport(), Probed()
        transport.every(MINUTE, id="x")(Calls().bare)
        transport.on("event")(others.publish)
        await store.put([Group([message()])])
        with pytest.raises(Unsupported, match="WakingStore cannot ensure or declare series"):
            await scheduler(store, transport).start()
        assert not others.begun

    @run_virtually
    async def test_what_is_no_series_is_refused(self) -> None:
        class Wrong(Probed):
            def series(self) -> Sequence[Message]:
                return [message(id="once")]

        with pytest.raises(InvalidMessage, match="'once' has no recurrence"):
            await scheduler(Shelf(), Wrong()).start()

    @run_virtually
    async def test_another_rule_follows_what_is_due(self) -> None:
        store, before, after = Shelf(), LocalTransport(), LocalTransport()
        calls = Calls()
        before.every(MINUTE, id="x")(calls.bare)
        after.every(MINUTE * 2, id="x")(calls.bare)
        async with delivering(store, before):
            await until(lambda: len(calls.times) == 1, within=100)
        async with delivering(store, after):
            await until(lambda: len(calls.times) == 3, within=1000)
        async with Client(store, load_plugins=False) as client:
            assert await client.ensure(after.series()[0]) is Ensured.SAME
