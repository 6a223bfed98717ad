"""After a failure: retries, burial, what deciders say, and messages that expired."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    at,
    delivering,
    down,
    emptied,
    fail,
    message,
    messages,
    sleeping,
    until,
)

from duly import (
    Backoff,
    Bury,
    Discard,
    Envelope,
    Expired,
    Failure,
    Filter,
    InvalidArgument,
    MessageNotFound,
    Rejected,
    Retry,
    State,
    TransportError,
    Verdict,
    WrongState,
    hookimpl,
)
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
EXACT = Backoff(jitter=0, max_retries=3)


@run_virtually
async def test_retries_come_after_growing_pauses_and_then_it_is_buried() -> None:
    store, transport, witness = WakingStore(), Probed(fail), Witness()
    async with delivering(store, transport, recovery=EXACT, plugins=[witness]) as running:
        await running.schedule(message(id="x", due=1))
        await emptied(store)
        dead = await running.get("x")
        stats = await running.stats()
    assert transport.times("x") == pytest.approx([1, 2, 4, 8])
    assert (dead.state, dead.retry_count) == (State.DEAD, 3)
    assert dead.last_error == "TransportError: it does not work"
    assert (stats.dead, stats.scheduled, stats.claimed) == (1, 0, 0)
    failures = [each for batch in witness.failed for each in batch]
    assert [each.attempt for each in failures] == [1, 2, 3, 4]
    assert [each.lapses for each in failures] == [0, 0, 0, 0]
    assert [envelope.attempt for _, envelope in transport.begun] == [1, 2, 3, 4]
    assert len({envelope.delivery_id for _, envelope in transport.begun}) == 1
    assert all(each.now >= each.message.next_attempt_at for each in failures)


@run_virtually
async def test_a_retry_remembers_its_error_until_it_is_delivered() -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt < 3:
            raise ValueError(f"redis://user:secret@host attempt {envelope.attempt}")

    transport = Probed(publish)
    async with delivering(store, transport, recovery=EXACT) as running:
        await running.schedule(message(id="x"))
        await asyncio.sleep(0.5)
        waiting = await running.get("x")
        assert waiting.last_error == "ValueError: redis://user:***@host attempt 1"
        assert (waiting.retry_count, waiting.scheduled_at) == (1, at(0))
        await emptied(store)
        with pytest.raises(MessageNotFound):
            await running.get("x")


@run_virtually
async def test_at_least_what_the_receiver_asked_for() -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt == 1:
            raise TransportError("later", retry_after=timedelta(seconds=17))

    transport = Probed(publish)
    async with delivering(store, transport, recovery=EXACT) as running:
        await running.schedule(message(id="x"))
        await emptied(store)
    assert transport.times("x") == pytest.approx([0, 17])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Rejected("not wanted"), "Rejected: not wanted"),
        (Expired("too late"), "Expired: too late"),
    ],
)
@run_virtually
async def test_what_can_never_be_delivered_is_buried_at_once(error: Exception, text: str) -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        raise error

    transport = Probed(publish)
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x"))
        await emptied(store)
        assert (await running.get("x")).last_error == text
    assert len(transport.begun) == 1


@run_virtually
async def test_max_retries_none_never_gives_up() -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt <= 200:
            raise ValueError

    transport = Probed(publish)
    never = Backoff(max_retries=None, maximum=SECOND)
    async with delivering(store, transport, recovery=never) as running:
        await running.schedule(message())
        await emptied(store, within=300)
    assert len(transport.begun) == 201


@pytest.mark.parametrize(("verdict", "state"), [(Discard(), None), (Bury("enough"), State.DEAD)])
@run_virtually
async def test_a_verdict_is_done(verdict: Verdict, state: State | None) -> None:
    store, witness = WakingStore(), Witness()
    options: dict[str, Any] = {"recovery": lambda failure: verdict, "plugins": [witness]}
    async with delivering(store, fail, **options) as running:
        await running.schedule(message(id="x"))
        await emptied(store)
        left = await running.list()
    assert [(each.state, each.last_error) for each in left] == (
        [(state, "enough")] if state else []
    )
    assert len(witness.failed) == 1
    assert not witness.delivered


class Decider:
    """Says what it was given, and notes that it was asked."""

    def __init__(self, name: str, asked: list[str], answer: Any) -> None:
        self.name, self.asked, self.answer = name, asked, answer

    @hookimpl
    def duly_recover(self, failure: Failure) -> Any:
        self.asked.append(self.name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@run_virtually
async def test_deciders_are_asked_last_given_first_until_one_answers() -> None:
    store, asked = WakingStore(), list[str]()

    def policy(failure: Failure) -> Verdict:
        asked.append("recovery")
        return Bury("by the policy")

    plugins = [
        Decider("first", asked, None),
        Decider("second", asked, "nonsense"),
        Decider("third", asked, ValueError("raises")),
        Decider("fourth", asked, None),
    ]
    async with delivering(store, fail, recovery=policy, plugins=plugins) as running:
        await running.schedule(message(id="x"))
        await emptied(store)
        assert (await running.get("x")).last_error == "by the policy"
    assert asked == ["fourth", "third", "second", "first", "recovery"]
    asked.clear()
    store = WakingStore()
    plugins[1].answer = Bury("by the second")
    async with delivering(store, fail, recovery=policy, plugins=plugins) as running:
        await running.schedule(message(id="x"))
        await emptied(store)
        assert (await running.get("x")).last_error == "by the second"
    assert asked == ["fourth", "third", "second"]


@pytest.mark.parametrize("answer", [None, "nonsense", ValueError("raises")])
@run_virtually
async def test_a_policy_without_an_answer_leaves_it_to_the_default(answer: object) -> None:
    store = WakingStore()

    def policy(failure: Failure) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt == 1:
            raise ValueError

    transport = Probed(publish)
    async with delivering(store, transport, recovery=policy) as running:
        await running.schedule(message(id="x"))
        await emptied(store)
    assert transport.times("x")[1] == pytest.approx(1, rel=0.11)


@run_virtually
async def test_a_retry_may_be_as_soon_and_as_late_as_one_likes() -> None:
    store = WakingStore()

    def policy(failure: Failure) -> Verdict:
        return Retry() if failure.attempt < 3 else Retry(timedelta(days=36525))

    transport = Probed(fail)
    async with delivering(store, transport, recovery=policy) as running:
        await running.schedule(message(id="x"))
        await until(lambda: len(transport.begun) == 3, within=0.2)
        await until(lambda: store.settles)
        assert (await running.get("x")).next_attempt_at >= at(0) + timedelta(days=36525)


@run_virtually
async def test_an_expired_message_is_not_published_but_buried() -> None:
    store, transport, witness = WakingStore(), Probed(), Witness()
    async with delivering(store, transport, plugins=[witness]) as running:
        await running.schedule(message(id="x", due=-9, expires_at=at(-1)))
        await running.schedule(message(id="y", due=-9, expires_at=at(1)))
        await emptied(store)
        dead = await running.get("x")
    assert transport.ids == ["y"]
    assert dead.state is State.DEAD
    assert dead.last_error == "Expired: expired at 2030-01-01T11:59:59Z"
    ((failure,),) = witness.failed
    assert isinstance(failure.error, Expired)


@run_virtually
async def test_one_that_expires_while_it_waits_for_its_turn_or_its_retry_is_not_published() -> None:
    store, transport = WakingStore(), Probed(sleeping(3))
    async with delivering(store, transport, max_in_flight=1) as running:
        await running.schedule_many([message(id="a"), message(id="b", due=0.5, expires_at=at(2))])
        await emptied(store)
        assert (await running.get("b")).state is State.DEAD
    assert transport.ids == ["a"]
    store, transport = WakingStore(), Probed(fail)
    async with delivering(store, transport) as running:
        await running.schedule(message(id="c", due=10, expires_at=at(10.5)))
        await emptied(store)
        assert (await running.get("c")).state is State.DEAD
    assert len(transport.begun) == 1


@run_virtually
async def test_it_expires_at_its_moment_and_not_before() -> None:
    store, transport = WakingStore(), Probed(sleeping(2))
    async with delivering(store, transport, max_in_flight=1) as running:
        await running.schedule_many(
            [
                message(id="a"),
                message(id="b", expires_at=at(2.000001)),
                message(id="c", expires_at=at(4)),
            ]
        )
        await emptied(store)
        assert (await running.get("c")).state is State.DEAD
    assert transport.ids == ["a", "b"]


@run_virtually
async def test_a_dead_letter_is_not_replayed_beyond_its_end() -> None:
    """Nor at once when it has expired."""
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x", due=-9, expires_at=at(-1)))
        await emptied(store)
        dead = await running.get("x")
        for moment in (at(-5), at(-1), at(5), None):
            with pytest.raises(InvalidArgument, match="expires at"):
                await running.replay("x", at=moment)
        assert await running.get("x") == dead
        await running.schedule(message(id="y", due=60, expires_at=at(70)))
        with pytest.raises(WrongState):
            await running.replay("y", at=at(80))
    assert transport.ids == []


@run_virtually
async def test_recovery_may_let_an_expired_message_go() -> None:
    store, asked = WakingStore(), list[Failure]()

    def policy(failure: Failure) -> Verdict:
        asked.append(failure)
        return Discard()

    async with delivering(store, fail, recovery=policy) as running:
        await running.schedule(message(id="x", due=-9, expires_at=at(-1)))
        await emptied(store)
        assert await running.list() == []
    assert [(type(each.error), each.attempt) for each in asked] == [(Expired, 1)]


@run_virtually
async def test_dead_letters_are_listed_replayed_and_purged() -> None:
    store, works = WakingStore(), False

    async def publish(envelope: Envelope) -> None:
        if not works:
            raise Rejected("no")

    transport = Probed(publish)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(5))
        await emptied(store)
        dead = await running.list(Filter(state=State.DEAD))
        assert len(dead) == 5
        works = True
        await running.replay("event-0")
        await running.replay("event-1", at=at(30))
        await until(lambda: transport.ended)
        with pytest.raises(MessageNotFound):
            await running.get("event-0")
        with pytest.raises(WrongState):
            await running.replay("event-1")
        assert await running.purge(everything=True) == 3
        await emptied(store)
        assert await running.list() == []
    assert [(time, each.message_id) for time, each in transport.ended[1:]] == [(30, "event-1")]
    first = {each.delivery_id for _, each in transport.begun if each.message_id == "event-0"}
    assert len(first) == 1
    assert transport.ended[0][1].attempt == 1


@run_virtually
async def test_if_burying_fails_the_message_stays() -> None:
    store, transport = WakingStore(), Probed(fail)
    options: dict[str, Any] = {"recovery": lambda _: Bury("enough"), "stuck_duration": SECOND}
    async with delivering(store, transport, **options) as running:
        await running.schedule(message(id="x"))
        await until(lambda: transport.begun)
        store.faults.append(down())
        await asyncio.sleep(5)
        store.faults.clear()
        await emptied(store)
        assert (await running.get("x")).last_error == "enough"
        assert (await running.stats()).dead == 1


class Empty(list[str]):
    """A policy that is false as long as it holds nothing."""

    def __call__(self, failure: Failure) -> Verdict:
        return Bury("at once")


@run_virtually
async def test_a_policy_that_is_false_in_a_condition_is_asked_all_the_same() -> None:
    store = WakingStore()
    async with delivering(store, Probed(fail), recovery=Empty()) as running:
        await running.schedule(message(id="a"))
        await asyncio.sleep(1)
        assert (await running.get("a")).state is State.DEAD
