"""A store whose answers make no sense: nobody waits for ever, nothing is lost, all is named."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    WatchedStore,
    delivering,
    emptied,
    fail,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import (
    Client,
    DuplicateMessage,
    Filter,
    PartlyScheduled,
    Status,
    StoreError,
)
from duly._caller.intake import Intake
from duly.store import Batch, Bury, Claim, Group, Settle
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
NOON: Final = message(due=3600).scheduled_at
NOTHING: Any = None
NAIVE = datetime(2030, 1, 1, 12)  # the mistake of a store

Change = Callable[[Any], Any]


class Panic(BaseException):
    """What native code may raise."""


class Mistaken(WakingStore):
    """Carries all out, and changes what it answers as ``mistakes`` say."""

    def __init__(self) -> None:
        super().__init__()
        self.mistakes: dict[str, Change] = {}

    async def _call(self, verb: str, call: Any) -> Any:
        answer = await super()._call(verb, call)
        return self.mistakes[verb](answer) if verb in self.mistakes else answer


def giving(value: object) -> Change:
    return lambda _: value


def client(store: WatchedStore) -> Client:
    return Client(store, load_plugins=False)


PUTS = [
    (giving(None), "put() returned NoneType, not a sequence"),
    (giving("x"), "put() returned str, not a sequence"),
    (giving({}), "put() returned dict, not a sequence"),
    (giving([]), "put() returned 0 outcomes for 1"),
    (giving([None, None]), "put() returned 2 outcomes for 1"),
    (giving([DuplicateMessage]), "put() returned the class DuplicateMessage for a group"),
    (giving([True]), "put() returned bool for a group"),
    (giving([Panic()]), "put() returned Panic for a group"),
]


class TestPut:
    @pytest.mark.parametrize(("mistake", "said"), PUTS)
    @run_virtually
    async def test_the_caller_is_told(self, mistake: Change, said: str) -> None:
        store = Mistaken()
        store.mistakes["put"] = mistake
        async with asyncio.timeout(1):
            with pytest.raises(StoreError) as caught:
                await client(store).schedule(message())
        assert said in str(caught.value)

    @run_virtually
    async def test_all_who_share_a_statement_are_told(self) -> None:
        store = Mistaken()
        store.mistakes["put"] = lambda outcomes: outcomes[:-1]
        caller = client(store)
        calls = (caller.schedule(message(id=str(number))) for number in range(5))
        async with asyncio.timeout(1):
            errors = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(each) for each in errors} == {StoreError}
            store.mistakes.clear()
            assert await caller.schedule(message(id="0", due=1)) == "0"  # the same: a repeat

    @run_virtually
    async def test_many_are_told_what_is_stored_for_sure(self) -> None:
        store = Mistaken()
        store.mistakes["put"] = giving(None)
        with pytest.raises(PartlyScheduled, match="not a sequence") as caught:
            await client(store).schedule_many(messages(3), atomic=False)
        assert caught.value.stored_ids == ()

    @pytest.mark.parametrize("raised", [Panic("index 9"), GeneratorExit()])
    @run_virtually
    async def test_whatever_is_raised_answers_those_who_wait_too(
        self, raised: BaseException
    ) -> None:
        async def put(groups: Sequence[Group]) -> Sequence[Exception | None]:
            await asyncio.sleep(1)
            raise raised

        intake = Intake(put)
        calls = [asyncio.create_task(intake.put([Group([message(id=each)])])) for each in "aab"]
        await asyncio.wait(calls, timeout=10)
        assert all(call.done() for call in calls)

    @run_virtually
    async def test_a_panic_is_an_error_of_ours(self) -> None:
        store = Mistaken()

        async def panic(verb: str, done: bool) -> None:
            raise Panic("index 9")

        store.faults.append(panic)
        with pytest.raises(StoreError, match=r"open\(\) raised Panic: index 9"):
            await client(store).schedule(message())


MISTAKES: list[tuple[str, Change, Callable[[Client], Any], str]] = [
    ("cancel", giving(None), lambda c: c.cancel("a"), "cancel() returned NoneType"),
    ("cancel", giving([]), lambda c: c.cancel("a"), "cancel() returned 0 outcomes for 1"),
    ("cancel", giving(["claimed"]), lambda c: c.cancel("a"), "cancel() returned str, not a State"),
    ("cancel", giving([]), lambda c: c.purge(everything=True), "cancel() returned 0 outcomes for 1"),
    ("reschedule", giving(True), lambda c: c.reschedule("b", NOON), "reschedule() returned bool"),
    ("get", giving({"id": "a"}), lambda c: c.get("a"), "get() returned dict, not a message"),
    ("list", giving(None), lambda c: c.list(), "list() returned NoneType, not a sequence"),
    ("list", giving(["a"]), lambda c: c.list(), "list() returned str among its messages"),
    ("stats", giving(None), lambda c: c.stats(), "stats() returned NoneType, not Stats"),
    (
        "stats", lambda stats: attrs.evolve(stats, oldest_due=NAIVE), lambda c: c.stats(),
        "oldest_due as a naive datetime",
    ),
]  # fmt: skip


class TestOtherVerbs:
    @pytest.mark.parametrize(("verb", "mistake", "call", "said"), MISTAKES)
    @run_virtually
    async def test_what_came_back_is_named(
        self, verb: str, mistake: Change, call: Callable[[Client], Any], said: str
    ) -> None:
        store = Mistaken()
        caller = client(store)
        await caller.schedule_many([message(id="a"), message(id="b")])
        if verb == "cancel":
            batch = await store.inner.claim(limit=1, lease=SECOND, owner="x")
            await store.inner.settle([bury_all(batch)])
        store.mistakes[verb] = mistake
        with pytest.raises(StoreError) as caught:
            await call(caller)
        assert said in str(caught.value)

    @run_virtually
    async def test_a_page_that_comes_again_and_again_ends(self) -> None:
        store = Mistaken()
        caller = client(store)
        await caller.schedule_many(messages(1200))
        first = await store.inner.list(Filter(limit=500))
        store.mistakes["list"] = giving(first)
        found = []
        with pytest.raises(StoreError, match="do not stand behind from_key"):
            async for each in caller.iterate():
                found.append(each)  # noqa: PERF401  # it is to be seen how many came
        assert len(found) == 500

    @run_virtually
    async def test_a_method_that_turns_out_not_to_be_async(self) -> None:
        store = Mistaken()
        store.get = lambda id: None  # type: ignore[method-assign, assignment, return-value]  # the mistake
        with pytest.raises(StoreError, match="is not async: it returned NoneType"):
            await client(store).get("a")


def bury_all(batch: Batch) -> Settle:
    assert batch.token is not None
    return Settle(batch.token, {each.key: Bury("broken") for each in batch.claims})


def with_claims(claims: Any) -> Change:
    return lambda batch: attrs.evolve(batch, claims=claims(batch.claims))


def nameless(claims: Sequence[Claim]) -> Sequence[Claim]:
    class Nameless:
        id = "a"

    return [Claim(each.key, Nameless(), each.lapses) for each in claims]  # type: ignore[arg-type]  # the mistake


CLAIMS = [
    (giving(None), "claim() returned NoneType, not a Batch"),
    (giving({}), "claim() returned dict, not a Batch"),
    (with_claims(giving(None)), "a Batch whose claims is NoneType, not a sequence"),
    (with_claims(iter), "a Batch whose claims is list_iterator, not a sequence"),
    (lambda batch: attrs.evolve(batch, token=None), "messages without a token"),
    (with_claims(giving([])), "a Batch of 0 messages with a token"),
    (with_claims(nameless), "a claim whose message is Nameless"),
    (with_claims(lambda claims: [each.message for each in claims]), "Message among its claims"),
    (
        with_claims(lambda claims: [Claim(each.key, each.message, NOTHING) for each in claims]),
        "a claim whose lapses are NoneType",
    ),
    (lambda batch: attrs.evolve(batch, now=None), "now as NoneType, not an aware datetime"),
    (lambda batch: attrs.evolve(batch, now=NAIVE), "now as a naive datetime"),
    (lambda batch: attrs.evolve(batch, next_due=NAIVE), "next_due as a naive datetime"),
    (lambda batch: attrs.evolve(batch, next_due=7.5), "next_due as float"),
    (lambda batch: attrs.evolve(batch, settled=None), "a Batch whose settled is NoneType"),
    (lambda batch: attrs.evolve(batch, settled=[True]), "claim() returned 1 outcomes for 0"),
    (lambda batch: attrs.evolve(batch, unreadable=["a"]), "str among its unreadable messages"),
]


@pytest.mark.parametrize(("mistake", "said"), CLAIMS)
@run_virtually
async def test_a_claim_that_makes_no_sense_is_waited_out(mistake: Change, said: str) -> None:
    """What it took is delivered when its lease has lapsed."""
    store, transport = Mistaken(), Probed()
    await scheduler(store, fail).schedule_many(messages(3))

    def once_there_are_some(batch: Batch) -> Any:
        return mistake(batch) if batch.token is not None else batch

    store.mistakes["claim"] = once_there_are_some
    async with delivering(store, transport, stuck_duration=SECOND) as running:
        engine = running._engine
        assert engine is not None
        await until(lambda: engine.loop.trouble is not None)
        assert said in str(engine.loop.trouble)
        assert isinstance(engine.loop.trouble, StoreError)
        health = await running.health()
        assert health.status is Status.UNHEALTHY
        assert said in health.reason
        assert engine.hands.held == {}
        store.mistakes.clear()
        await emptied(store)
    assert sorted({*transport.ids}) == ["event-0", "event-1", "event-2"]


@run_virtually
async def test_answers_that_go_on_to_make_no_sense_are_waited_for_with_pauses() -> None:
    store = Mistaken()
    store.mistakes["claim"] = giving(None)
    async with delivering(store, Probed()):
        await asyncio.sleep(60)
        assert store.count("claim") <= 20
        store.mistakes.clear()


@pytest.mark.parametrize(
    ("verb", "mistake"),
    [
        ("claim", lambda batch: attrs.evolve(batch, settled=[])),
        ("claim", lambda batch: attrs.evolve(batch, settled=["x" for _ in batch.settled])),
        ("settle", giving(None)),
        ("settle", giving([])),
        ("settle", giving(["x"])),
        ("settle", giving([True, True, True])),
    ],
)
@run_virtually
async def test_settlements_that_were_not_answered_are_sent_again(
    verb: str, mistake: Change
) -> None:
    store, transport = Mistaken(), Probed(sleeping(0.5))
    # With no room to claim there is nothing that a settlement could travel with.
    options = {"max_in_flight": 2, "batch_size": 10} if verb == "settle" else {}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(30))
        engine = running._engine
        assert engine is not None
        await until(lambda: transport.begun)
        store.mistakes[verb] = mistake
        await until(lambda: engine.loop.trouble is not None)
        assert f"{verb}() returned" in str(engine.loop.trouble)
        store.mistakes.clear()
        await emptied(store)
        await until(lambda: not engine.hands.held)
    assert len(transport.begun) == 30


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "renew() returned NoneType, not a sequence"),
        ([], "renew() returned 0 outcomes for 1"),
        ([True], "renew() returned bool for a lease"),
        (["ab"], "renew() returned str for a lease"),
    ],
)
@run_virtually
async def test_a_renewal_that_makes_no_sense_starts_no_publish(
    answer: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, transport = Mistaken(), Probed(sleeping(2))
    store.mistakes["renew"] = giving(answer)
    options: dict[str, Any] = {"stuck_duration": SECOND * 9, "max_in_flight": 1}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(4))
        await asyncio.sleep(5.9)
        assert len(transport.begun) == 2
        assert said in caplog.text
        store.mistakes.clear()
        await emptied(store)
    assert len({*transport.ids}) == 4


@run_virtually
async def test_a_peek_that_says_nothing_is_no_reason_to_sleep() -> None:
    class Peeking(WakingStore):
        async def changed(self) -> Any:
            return None

        async def wait_for_change(self) -> None:
            await asyncio.Event().wait()

    store, transport = Peeking(), Probed()
    async with delivering(store, transport) as running:
        await asyncio.sleep(1)
        async with scheduler(store, fail) as other:
            await other.schedule(message(due=1))
        await until(lambda: transport.ended, within=0.2)
        assert running._engine is not None
        assert now() < 1.3
