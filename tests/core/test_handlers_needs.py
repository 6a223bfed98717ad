"""What handlers ask for themselves: how many at a time, for how long, and what after a failure."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    delivering,
    emptied,
    kill,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import (
    Backoff,
    Bury,
    Discard,
    Envelope,
    Failure,
    InvalidArgument,
    LocalTransport,
    Message,
    Retry,
    State,
    Verdict,
    hookimpl,
)
from duly.store import Group
from duly.testing.clock import run_virtually
from duly.transport import Limits

SECOND = timedelta(seconds=1)


class Told(Probed):
    """A transport that says so of its names."""

    def __init__(self, limits: Limits, publish: Any = None) -> None:
        super().__init__(publish)
        self._limits = limits

    def limits(self) -> Limits:
        return self._limits


async def put(store: WakingStore, messages: Sequence[Message]) -> None:
    """Store them, each on its own."""
    assert list(await store.put([Group([each]) for each in messages])) == [None] * len(messages)


async def failing(_: Envelope) -> None:
    raise ValueError("no")


class TestSaying:
    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"max_in_flight": 0}, "max_in_flight must be a whole number from 1, not 0"),
            ({"max_in_flight": True}, "max_in_flight must be a whole number"),
            ({"max_in_flight": 2.5}, "max_in_flight must be a whole number"),
            ({"timeout": 5}, "timeout must be a timedelta, not int"),
            ({"timeout": timedelta(0)}, "timeout must be at least 0:00:00.001000"),
            ({"recovery": "retry"}, "recovery must be a function of a Failure"),
            (
                {"recovery": Backoff},
                "recovery must be a function of a Failure, .* the class Backoff",
            ),
            ({"recovery": failing}, "recovery must be a plain function, not async"),
        ],
    )
    def test_what_cannot_be_is_refused(self, wrong: Any, why: str) -> None:
        transport = LocalTransport()
        with pytest.raises(InvalidArgument, match=why):
            transport.on("event", **wrong)
        with pytest.raises(InvalidArgument, match=why):
            transport.every(SECOND, id="series", **wrong)
        assert not transport.series()

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"timeouts": 7}, "timeouts must be a mapping by event name"),
            ({"timeouts": {"": SECOND}}, "timeouts must be a mapping by event name"),
            ({"timeouts": {"a": 7}}, r"timeouts\['a'\] must be a timedelta"),
            ({"recovery": {"a": 7}}, r"recovery\['a'\] must be a function of a Failure"),
        ],
    )
    def test_a_transport_cannot_say_it_either(self, wrong: Any, why: str) -> None:
        with pytest.raises(InvalidArgument, match=why):
            Limits(**wrong)

    def test_too_many_are_refused(self) -> None:
        transport = LocalTransport()
        for number in range(50):
            transport.on(f"n{number}.*", max_in_flight=1)(failing)
        before = transport.limits()
        with pytest.raises(InvalidArgument, match="at most 1000 event names, 50 prefixes"):
            transport.on("n50.*", max_in_flight=1)(failing)
        assert transport.limits() is before
        assert "n50.*" not in transport.registered(failing)

    def test_one_function_twice_under_a_name_has_the_needs_of_either(self) -> None:
        transport = LocalTransport()
        transport.on("event")(failing)
        transport.on("event", max_in_flight=3)(failing)
        transport.on("event")(failing)
        assert transport.limits().by_name == {"event": 3}
        with pytest.raises(InvalidArgument, match="'event' has a handler already"):
            transport.on("event", max_in_flight=4)(failing)

    def test_threads_bound_what_plain_functions_may_ask_for(self) -> None:
        transport = LocalTransport(threads=6)
        transport.on("many", max_in_flight=50)(print)
        transport.on("few", max_in_flight=2)(print)
        transport.on("plain")(print)
        transport.on("async", max_in_flight=50)(failing)
        limits = transport.limits()
        assert limits.by_name == {"many": 6, "few": 2, "plain": 4, "async": 50}
        assert limits.together == [(frozenset({"many", "few", "plain"}), 6)]
        with pytest.raises(InvalidArgument, match="threads must be from 1 to 1000, not 0"):
            LocalTransport(threads=0)


class TestMaxInFlight:
    @run_virtually
    async def test_so_many_run_side_by_side_and_others_beside_them(self) -> None:
        store, transport = WakingStore(), LocalTransport()
        few, many = Probed(sleeping(1)), Probed(sleeping(1))
        transport.on("few", max_in_flight=2)(few.publish)
        transport.on("many")(many.publish)
        await put(store, [*messages(20, "few"), *messages(20, "many")])
        async with delivering(store, transport, max_in_flight=100):
            await emptied(store)
        assert few.most == 2
        assert many.most == 20

    @run_virtually
    async def test_a_prefix_is_for_all_its_names_together_but_for_those_with_a_function(
        self,
    ) -> None:
        store, transport = WakingStore(), LocalTransport()
        prefix, own = Probed(sleeping(1)), Probed(sleeping(1))
        transport.on("mail.*", max_in_flight=3)(prefix.publish)
        transport.on("mail.urgent")(own.publish)
        await put(
            store, [*messages(5, "mail.a"), *messages(5, "mail.b"), *messages(9, "mail.urgent")]
        )
        async with delivering(store, transport, max_in_flight=100):
            await emptied(store)
        assert prefix.most == 3
        assert own.most == 9


class TestTimeout:
    @pytest.mark.parametrize("slots", [1, 100])
    @run_virtually
    async def test_it_counts_instead_of_publish_timeout(self, slots: int) -> None:
        store, witness = WakingStore(), Witness()
        transport = LocalTransport()
        long, short, usual = (Probed(sleeping(20)) for _ in range(3))
        transport.on("long", timeout=30 * SECOND)(long.publish)
        transport.on("short", timeout=SECOND)(short.publish)
        transport.on("usual")(usual.publish)
        await put(store, [message(name) for name in ("long", "short", "usual")])
        options = {"publish_timeout": 5 * SECOND, "recovery": lambda _: Bury("failed")}
        async with delivering(store, transport, plugins=[witness], max_in_flight=slots, **options):
            await emptied(store, within=100)
        assert [each.message.event_name for batch in witness.delivered for each in batch] == [
            "long"
        ]
        told = {
            each.message.event_name: str(each.error) for batch in witness.failed for each in batch
        }
        assert told == {
            "short": "publish took longer than 1 s",
            "usual": "publish took longer than 5 s",
        }

    @run_virtually
    async def test_it_may_be_longer_than_the_lease(self) -> None:
        store, transport = WakingStore(), LocalTransport()
        long = Probed(sleeping(300))
        transport.on("long", timeout=600 * SECOND)(long.publish)
        await put(store, [message("long")])
        async with delivering(store, transport, stuck_duration=10 * SECOND):
            await until(lambda: long.ended, within=600)
            await emptied(store)
        assert len(long.begun) == 1

    @run_virtually
    async def test_of_a_prefix_but_for_names_that_say_none(self) -> None:
        limits = Limits(timeouts={"*": SECOND, "a.*": 3 * SECOND, "a.b": None})
        store, witness = WakingStore(), Witness()
        await put(store, [message(name) for name in ("x", "a.x", "a.b")])
        transport = Told(limits, sleeping(20))
        options = {"publish_timeout": 5 * SECOND, "recovery": lambda _: Bury("failed")}
        async with delivering(store, transport, plugins=[witness], **options):
            await until(lambda: sum(map(len, witness.failed)) == 3)
        ended = {
            each.message.event_name: str(each.error) for batch in witness.failed for each in batch
        }
        assert {name: text.split()[-2] for name, text in ended.items()} == {
            "x": "1", "a.x": "3", "a.b": "5",
        }  # fmt: skip


class TestRecovery:
    @run_virtually
    async def test_it_decides_before_the_scheduler_and_after_plugins(self) -> None:
        asked: list[tuple[str, str]] = []

        def policy(who: str, verdict: Verdict | None) -> Any:
            def decide(failure: Failure) -> Verdict | None:
                asked.append((who, failure.message.event_name))
                return verdict

            return decide

        class Decider:
            @hookimpl
            def duly_recover(self, failure: Failure) -> Verdict | None:
                asked.append(("plugin", failure.message.event_name))
                return Discard() if failure.message.event_name == "plugin" else None

        store, transport = WakingStore(), LocalTransport()
        for name, verdict in (("own", Bury("own")), ("plugin", Bury("own")), ("none", None)):
            transport.on(name, recovery=policy("own", verdict))(failing)
        transport.on("usual")(failing)
        names = ["own", "plugin", "none", "usual"]
        await put(store, [message(name, id=name) for name in names])
        options = {"plugins": [Decider()], "recovery": policy("scheduler", Bury("scheduler"))}
        async with delivering(store, transport, **options) as running:
            await emptied(store)
            dead = {each.id: each.last_error for each in await running.list()}
        assert dead == {"own": "own", "none": "scheduler", "usual": "scheduler"}
        assert {name: [who for who, of in asked if of == name] for name in names} == {
            "own": ["plugin", "own"],
            "plugin": ["plugin"],
            "none": ["plugin", "own", "scheduler"],
            "usual": ["plugin", "scheduler"],
        }

    @run_virtually
    async def test_it_is_asked_about_lapses_and_expiry(self) -> None:
        failures: list[Failure] = []

        def note(failure: Failure) -> Verdict:
            failures.append(failure)
            return Discard()

        store, transport = WakingStore(), LocalTransport()
        transport.on("event", recovery=note)(sleeping(3600))
        await put(store, [message("event", id="lapsed")])
        first = scheduler(store, transport, stuck_duration=10 * SECOND)
        await first.__aenter__()
        run = asyncio.create_task(first.start())
        await until(lambda: store.count("claim") > 0)
        await asyncio.sleep(1)
        await kill(first)
        run.cancel()
        await put(
            store, [message("event", due=0, id="expired", expires_at=message(due=1).scheduled_at)]
        )
        async with delivering(store, transport, stuck_duration=10 * SECOND):
            await until(lambda: len(failures) == 2)
            await emptied(store)
        assert {each.message.id: type(each.error).__name__ for each in failures} == {
            "lapsed": "NoneType",
            "expired": "Expired",
        }

    @run_virtually
    async def test_one_that_raises_leaves_it_to_the_scheduler(self) -> None:
        def wrong(_: Failure) -> Verdict:
            raise ZeroDivisionError

        store, transport = WakingStore(), LocalTransport()
        transport.on("event", recovery=wrong)(failing)
        await put(store, [message("event", id="m")])
        async with delivering(store, transport, recovery=lambda _: Bury("scheduler")) as running:
            await emptied(store)
            (dead,) = await running.list()
        assert (dead.state, dead.last_error) == (State.DEAD, "scheduler")

    @run_virtually
    async def test_how_often_and_how_soon_it_is_tried_again(self) -> None:
        store, transport = WakingStore(), LocalTransport()
        probed = Probed(failing)
        policy = Backoff(initial=2 * SECOND, multiplier=1, jitter=0, max_retries=2)
        transport.on("event", recovery=policy)(probed.publish)
        await put(store, [message("event")])
        async with delivering(store, transport, recovery=lambda _: Retry(3600 * SECOND)):
            await emptied(store)
        assert [round(time) for time, _ in probed.begun] == [0, 2, 4]
        assert now() < 10
