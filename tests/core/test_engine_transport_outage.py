"""A transport that is gone is no failure of any message."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from tests.core.engine_kit import (
    SOON,
    ManyProbed,
    Probed,
    WakingStore,
    Witness,
    at,
    delivering,
    emptied,
    message,
    messages,
    now,
    scheduler,
    until,
)

from duly import (
    Backoff,
    Bury,
    Envelope,
    Every,
    Failure,
    Filter,
    Retry,
    State,
    Status,
    TransportError,
    TransportUnavailable,
    Verdict,
)
from duly._engine.outage import Outage, Pauses
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
ONCE = Backoff(max_retries=1)


class Broken(Probed):
    """Gone between two moments."""

    def __init__(self, start: float = 0.0, end: float = 60.0, takes: float = 0.01) -> None:
        super().__init__(self._publish_or_not)
        self.start, self.end, self.takes = start, end, takes
        self.together = 0  # publishes at the same time while it was gone

    @property
    def gone(self) -> bool:
        return self.start <= now() < self.end

    async def _publish_or_not(self, envelope: Envelope) -> None:
        if self.gone:
            self.together = max(self.together, self.running)
            raise TransportUnavailable("gone")
        await asyncio.sleep(self.takes)

    def probes(self, since: float) -> list[str]:
        return [each.message_id for time, each in self.begun if since < time < self.end]


class BrokenMany(Broken, ManyProbed):
    """The same, many at a time."""


class Looked(Broken):
    """Knows whether its connection stands."""

    async def check(self) -> Sequence[str]:
        return ["no connection"] if self.gone else []


class Deceived(Broken):
    """Believes that its connection stands, whatever happens."""

    async def check(self) -> Sequence[str]:
        return []


class Perplexed(Broken):
    """Cannot even tell."""

    async def check(self) -> Sequence[str]:
        raise ValueError("?")


class Reopened(Broken):
    """Connects when it is opened, and at no other time."""

    connected = False

    async def open(self) -> None:
        if self.gone:
            raise TransportUnavailable("nobody there")
        self.connected = True

    async def _publish_or_not(self, envelope: Envelope) -> None:
        self.connected = self.connected and not self.gone
        if not self.connected:
            raise TransportUnavailable("not connected")
        await asyncio.sleep(self.takes)


@pytest.mark.parametrize("kind", [Broken, BrokenMany, Looked, Deceived, Perplexed, Reopened])
@run_virtually
async def test_in_a_minute_of_outage_no_retry_is_counted_and_nothing_is_buried(
    kind: type[Broken],
) -> None:
    store, transport, witness = WakingStore(), kind(start=1), Witness()
    options: dict[str, Any] = {"recovery": ONCE, "plugins": [witness]}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(300, "old", due=2))
        await running.schedule_many(messages(10, "new", due=40))
        await asyncio.sleep(59)
        assert not witness.failed
        assert {each.retry_count for each in await running.list()} == {0}
        assert (await running.stats()).claimed <= 1
        await emptied(store)
        assert await running.list() == []
    assert len(transport.ended) == 310
    assert not witness.failed


@pytest.mark.parametrize("kind", [Broken, Looked, Deceived, Perplexed])
@run_virtually
async def test_nothing_is_claimed_beyond_a_probe_and_probes_differ(kind: type[Broken]) -> None:
    store, transport = WakingStore(), kind(start=1)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(300, due=2))
        await asyncio.sleep(2.05)
        begun = len(store.limits)
        while now() < 59:
            await asyncio.sleep(0.07)
            assert (await store.inner.stats()).claimed <= 1
        probes = transport.probes(since=2.05)
        assert 10 < len(probes) < 30
        assert len({*probes}) == len(probes)
        assert store.limits[begun:] == [
            *range(store.limits[begun], store.limits[begun] + len(probes))
        ]
        assert store.count(since=2.05) < 120
        await emptied(store)


@run_virtually
async def test_what_waits_in_hand_when_it_breaks_is_put_back_unpublished() -> None:
    store, transport = WakingStore(), Broken(end=1)
    async with delivering(store, transport, max_in_flight=1) as running:
        await running.schedule_many(messages(50))
        await asyncio.sleep(0.05)
        assert len(transport.begun) == 1
        assert (await running.stats()).claimed == 0
        await emptied(store)


@run_virtually
async def test_when_it_is_back_the_backlog_flows_oldest_first() -> None:
    store, transport = WakingStore(), Broken(takes=0.0001)
    async with delivering(store, transport, max_in_flight=1) as running:
        await running.schedule_many(messages(1000, due=0.5))
        await emptied(store, within=80)
    assert len({*transport.probes(since=0)}) > 10
    back, *order = [int(id.split("-")[1]) for id in transport.ids]
    assert order == [number for number in range(1000) if number != back]


@run_virtually
async def test_after_an_outage_however_long_the_probed_go_first_too() -> None:
    """Also those that were probed more than once, and fires of series."""
    store, transport = WakingStore(), Broken(end=3600, takes=0.0001)
    options: dict[str, Any] = {"max_in_flight": 1, "batch_size": 10}
    async with delivering(store, transport, **options) as running:
        series = Every(timedelta(days=1), missed="skip", grace=timedelta(days=1))
        await running.schedule_many(
            message(
                id=f"event-{number}",
                due=0.5 + number / 1000,
                recurrence=series if number % 3 == 1 else None,
            )
            for number in range(200)
        )
        await until(lambda: len(transport.ended) == 200, within=3700)
    probes = transport.probes(since=0)
    assert len(probes) > 600
    assert len({*probes}) == 10
    assert min(probes.count(id) for id in {*probes}) >= len(probes) // 10 - 1
    back, *order = [int(id.split("-")[1]) for id in transport.ids]
    assert order == [number for number in range(200) if number != back]


@run_virtually
async def test_it_is_found_back_within_the_longest_pause() -> None:
    store, transport = WakingStore(), Broken(end=1000)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(20))
        await emptied(store, within=1005.2)


@run_virtually
async def test_what_is_in_flight_meanwhile_may_end() -> None:
    """One that the broker accepts late says nothing of now: the outage goes on."""
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "long":
            await asyncio.sleep(float(envelope.payload))
        elif 1 <= now() < 60:
            raise TransportUnavailable("gone")

    transport = Probed(publish)
    options: dict[str, Any] = {"plugins": [witness], "recovery": Backoff(max_retries=0)}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(
            [message("long", payload=str(number * 2).encode()) for number in range(1, 14)]
        )
        await running.schedule_many(messages(50, "short", due=1.5))
        await asyncio.sleep(1.6)
        claims = len(store.limits)
        await emptied(store, within=100)
    in_the_outage = store.limits[claims:][:12]
    assert in_the_outage == [*range(in_the_outage[0], in_the_outage[0] + 12)]
    assert not witness.failed


@run_virtually
async def test_one_that_fails_as_another_ends_the_outage() -> None:
    """Both at the same moment, the loop has no time to look in between."""
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.message_id == "slow" and len(transport.times("slow")) == 1:
            await asyncio.sleep(5)
            raise TransportUnavailable("gone")
        if envelope.message_id == "probe":
            if len(transport.times("probe")) == 1:
                raise TransportUnavailable("gone")
            await asyncio.sleep(5 - now())

    transport = Probed(publish)
    async with delivering(store, transport) as running:
        await running.schedule_many([message(id="slow"), message(id="probe")])
        await asyncio.sleep(6)
        await running.schedule(message(id="late"))
        await emptied(store)
    assert sorted(transport.ids) == ["late", "probe", "slow"]


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_poison_that_breaks_the_connection_ends_dead_and_the_innocent_are_delivered(
    kind: type[Probed],
) -> None:
    """Who sends it loses the connection, with all that is in flight on it."""
    store, broken = WakingStore(), asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "poison":
            broken.set()
            broken.clear()
            raise TransportUnavailable("the connection broke")
        lost = asyncio.ensure_future(broken.wait())
        done, _ = await asyncio.wait([lost], timeout=0.05)
        lost.cancel()
        if done:
            raise TransportUnavailable("the connection broke")

    transport = kind(publish)
    recovery = Backoff(initial=SECOND, maximum=SECOND, max_retries=2, jitter=0)
    options: dict[str, Any] = {"recovery": recovery, "batch_size": 20, "max_in_flight": 20}
    async with delivering(store, transport, **options) as running:
        poison = message("poison", id="p", due=-1 + 40.5e-6)  # between number 40 and number 41
        await running.schedule_many([*messages(100), poison])
        await running.schedule_many([message("later", due=number) for number in range(100)])
        await emptied(store, within=200)
        dead = await running.list(Filter(state=State.DEAD))
    assert [each.id for each in dead] == ["p"]
    assert len(transport.ids) == len({*transport.ids}) == 200


@run_virtually
async def test_poison_alone_is_found_out_by_a_transport_that_knows_its_connection() -> None:
    store = WakingStore()

    class Checked(Probed):
        async def check(self) -> Sequence[str]:
            return []

    async def publish(envelope: Envelope) -> None:
        raise TransportUnavailable("the connection broke")

    transport = Checked(publish)
    async with delivering(store, transport, recovery=ONCE) as running:
        await running.schedule(message(id="p"))
        await emptied(store, within=600)
        assert (await running.get("p")).last_error == "TransportUnavailable: the connection broke"
    assert len(transport.begun) >= 4


@run_virtually
async def test_no_message_is_blamed_in_an_outage_in_which_others_failed_too() -> None:
    """Nor the one that is left when the others are cancelled, whatever the check says."""
    store = WakingStore()

    class Checked(Broken):
        async def check(self) -> Sequence[str]:
            return []

    transport = Checked(end=100)
    async with delivering(store, transport, recovery=ONCE) as running:
        await running.schedule_many([message(id="a"), message(id="b")])
        await until(lambda: transport.times("a") and transport.times("b"))
        await running.cancel("b")
        tried = len(transport.times("a"))
        await until(lambda: len(transport.times("a")) >= tried + 5, within=1000)
        found = await running.get("a")
        assert (found.retry_count, found.last_error) == (0, None)
        await emptied(store, within=1000)
    assert transport.ids == ["a"]


@run_virtually
async def test_one_in_flight_at_three_losses_of_the_connection_counts_as_failed() -> None:
    store, failures = WakingStore(), list[float]()
    losses = [5.0, 20.0, 35.0]

    async def publish(envelope: Envelope) -> None:
        if any(loss <= now() < loss + 2 for loss in losses):
            raise TransportUnavailable("gone")
        if envelope.message_id == "long":
            await asyncio.sleep(min(each for each in losses if each > now()) - now())
            raise TransportUnavailable("lost")

    def policy(failure: Failure) -> Verdict:
        failures.append(now())
        assert failure.message.id == "long"
        return Retry(SECOND * 100)

    options: dict[str, Any] = {"recovery": policy, "publish_timeout": SECOND * 99}
    async with delivering(store, Probed(publish), **options) as running:
        await running.schedule(message(id="long"))
        for _ in range(40):  # older ones, so that they are the probes
            await asyncio.sleep(1)
            await running.schedule(message(due=-100))
        assert failures == [35]
        await asyncio.sleep(1)
        (left,) = await running.list()
        assert (left.id, left.retry_count) == ("long", 1)


def outage_of(transport: Probed) -> Outage:
    return Outage(transport, hold=lambda _: None, resume=lambda _: None, wake=lambda: None)


@run_virtually
async def test_what_breaks_the_connection_alone_acquits_what_was_in_flight_beside_it() -> None:
    outage = outage_of(Probed())
    error = TransportUnavailable("gone")
    blamed = set[str]()
    for _ in range(3):
        blamed |= {key for key in ("poison", "a", "b") if outage.lost(error, key, attended=True)}
        outage.try_with("poison")
        outage.lost(error, "poison", attended=False)
        outage.try_with("c")
        outage.accepted("c", probe=outage.number)
    assert blamed == {"poison"}


@run_virtually
async def test_a_delivery_forgives_the_losses_before_it() -> None:
    outage = outage_of(Probed())
    error = TransportUnavailable("gone")
    assert not outage.lost(error, "x", attended=True)
    assert not outage.lost(error, "x", attended=True)
    outage.accepted("x", probe=0)
    assert outage.active
    assert not outage.lost(error, "x", attended=True)
    assert not outage.lost(error, "x", attended=False)
    assert not outage.lost(error, "x", attended=True)
    assert outage.lost(error, "x", attended=True)


@run_virtually
async def test_only_a_check_that_says_so_holds_a_message_liable_that_is_alone() -> None:
    class Checked(Probed):
        answers: ClassVar[list[Any]] = [[], ["gone"], [], ValueError("?"), [], [], []]

        async def check(self) -> Sequence[str]:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]  # as it is told

    outage = outage_of(Checked())
    await outage.open()
    outage.lost(TransportUnavailable("gone"), "x", attended=True)
    liable = []
    for key in "xxxxxyx":
        assert await outage.ready_to_probe()
        outage.try_with(key)
        liable.append(outage.attended)
    assert liable == [False, False, True, False, True, False, False]


@run_virtually
async def test_what_is_remembered_of_losses_is_bounded() -> None:
    outage = outage_of(Probed())
    for key in range(25_000):
        outage.lost(TransportUnavailable("gone"), key, attended=True)
    assert len(outage._losses) == 10_000
    assert 24_999 in outage._losses


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses(first=0.1, longest=1)
    assert [pauses.next() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1])
    pauses.reset()
    assert pauses.next() == 0.1


class Shut(Probed):
    """Cannot be opened at first; says why in the way it is told."""

    def __init__(self, *errors: Exception | None) -> None:
        super().__init__()
        self.errors = list(errors)

    async def open(self) -> None:
        await super().open()
        if self.errors:
            error = self.errors.pop(0)
            if error is None:
                await asyncio.Event().wait()
            else:
                raise error


@run_virtually
async def test_a_transport_that_is_down_at_start_is_an_outage() -> None:
    store, transport = WakingStore(), Shut(*[TransportUnavailable("down")] * 5)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(50))
        await asyncio.sleep(0.5)
        assert not transport.begun
        assert store.count("claim") == 0
        health = await running.health()
        reason = "the transport is unavailable: TransportUnavailable: down"
        assert (health.status, health.reason) == (Status.DEGRADED, reason)
        await emptied(store)
    assert transport.opened == 6
    assert transport.closed == 1


@run_virtually
async def test_health_tells_why_it_was_away_last_and_no_secrets() -> None:
    store = WakingStore()
    gone = TransportUnavailable("refused by nats://user:geheim@broker")
    transport = Shut(gone, ValueError("token=geheim is void"), *[TransportUnavailable("shut")] * 3)
    async with delivering(store, transport) as running:
        reasons = list[str]()
        await running.schedule(message())  # without one there is nothing to look for it with
        async with asyncio.timeout(60):
            while "the transport is" in (health := await running.health()).reason:
                assert health.status is Status.DEGRADED
                if health.reason not in reasons:
                    reasons.append(health.reason)
                await asyncio.sleep(0.01)
    assert [each.partition(": ")[2].partition(":")[0] for each in reasons] == [
        "TransportUnavailable", "ValueError", "TransportUnavailable",
    ]  # fmt: skip
    assert "geheim" not in str(reasons)
    assert "broker" in reasons[0]
    assert reasons[2].endswith("shut")


@run_virtually
async def test_any_other_error_of_opening_is_raised_by_start() -> None:
    store, transport = WakingStore(), Shut(PermissionError("bad password"), ValueError("again"))
    running = scheduler(store, transport)
    with pytest.raises(PermissionError, match="bad password"):
        await running.start()
    with pytest.raises(ValueError, match="again"):
        async with running.running():
            raise AssertionError("it cannot have started")
    async with running.running():
        await running.schedule(message())
        await emptied(store)
    assert transport.closed == 3


@run_virtually
async def test_an_outage_at_start_outlasts_odd_errors_and_hanging() -> None:
    errors = [TransportUnavailable("down"), ConnectionError("odd"), None, asyncio.CancelledError()]
    store, transport = WakingStore(), Shut(*errors)  # type: ignore[arg-type]  # no Exception that one
    async with delivering(store, transport) as running:
        await running.schedule(message())
        await emptied(store)
        assert 30 < now() < 35
        assert running._engine is not None
        assert running._engine.loop.trouble is None
    assert transport.opened == 5


@run_virtually
async def test_a_transport_that_hangs_at_start_is_an_outage_too() -> None:
    store, transport = WakingStore(), Shut(None)
    async with delivering(store, transport) as running:
        assert now() == 30
        await running.schedule(message(due=40))
        await emptied(store)
    assert transport.opened == 2


@run_virtually
async def test_a_probe_that_hangs_is_put_back_uncounted() -> None:
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        if len(transport.begun) == 1:
            raise TransportUnavailable("gone")
        if now() < 30:
            await asyncio.Event().wait()

    transport = Probed(publish)
    options: dict[str, Any] = {"publish_timeout": SECOND * 5, "plugins": [witness]}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(1))
        await running.schedule_many(messages(10, due=0.01), replace=True)
        await asyncio.sleep(30)
        assert transport.most == 1  # one at a time
        await emptied(store)
    assert not witness.failed
    assert len(transport.begun) >= 10 + 5
    probes = [each.message_id for time, each in transport.begun if time < 30][1:]
    assert len({*probes}) == len(probes)


@pytest.mark.parametrize("kind", [Broken, Looked])
@run_virtually
async def test_a_probe_that_the_transport_refuses_ends_the_outage(kind: type[Broken]) -> None:
    """It answers: whatever it has against that message, it is there."""
    store, witness = WakingStore(), Witness()
    transport = kind(end=0)

    async def publish(envelope: Envelope) -> None:
        if len(transport.begun) == 1:
            raise TransportUnavailable("gone")
        if envelope.event_name == "bad":
            raise TransportError("not this one")

    transport._publish = publish
    options: dict[str, Any] = {"recovery": lambda _: Bury("bad"), "plugins": [witness]}
    async with delivering(store, transport, max_in_flight=1, **options) as running:
        await running.schedule_many([message("bad", due=-2, id="bad"), *messages(10)])
        await emptied(store, within=0.2)
        assert (await running.get("bad")).state is State.DEAD
    assert len(transport.ended) == 10


@pytest.mark.parametrize("kind", [Looked, Deceived])
@run_virtually
async def test_a_probe_of_a_standing_connection_that_hangs_is_counted(kind: type[Broken]) -> None:
    """The connection stands, so that it is the message's own."""
    store, witness = WakingStore(), Witness()
    transport = kind(end=0)

    async def publish(envelope: Envelope) -> None:
        if len(transport.begun) == 1:
            raise TransportUnavailable("gone")
        if envelope.attempt == 1:
            await asyncio.Event().wait()

    transport._publish = publish
    options: dict[str, Any] = {"publish_timeout": SECOND, "plugins": [witness], "recovery": ONCE}
    async with delivering(store, transport, **options) as running:
        await running.schedule(message())
        await emptied(store)
    assert [str(each.error) for batch in witness.failed for each in batch] == [
        "publish took longer than 1 s"
    ]


@run_virtually
async def test_an_outage_with_nothing_to_deliver_is_over_with_the_next_message() -> None:
    store, transport = WakingStore(), Broken(start=0, end=5)
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x"))
        await asyncio.sleep(1)
        assert await running.cancel("x")
        await asyncio.sleep(20)
        await running.schedule(message(due=21))
        await emptied(store, within=5.1)
    assert len(transport.ended) == 1


@run_virtually
async def test_a_second_outage_is_like_the_first() -> None:
    store, witness = WakingStore(), Witness()
    transport = Broken()

    async def publish(envelope: Envelope) -> None:
        if int(now() / 10) % 2:
            raise TransportUnavailable("gone")

    transport._publish = publish
    async with delivering(store, transport, plugins=[witness], recovery=ONCE) as running:
        await running.schedule_many([message(due=number * 0.05) for number in range(1200)])
        await emptied(store, within=70)
    assert len(transport.ended) == 1200
    assert not witness.failed


@run_virtually
async def test_while_it_is_opened_again_what_is_done_is_settled() -> None:
    """Opening may hang; what else there is to do does not wait for it."""
    store, transport = WakingStore(), Shut(TransportUnavailable("down"), None)
    async with delivering(store, transport) as running:
        engine = running._engine
        assert engine is not None
        await running.schedule(message(id="x"))
        await asyncio.sleep(1)
        assert transport.opened == 2
        # Claimed by hand, for nothing is while it is away.
        batch = await engine.deliveries.claim(1)
        assert batch.claims
        engine.workers.send_back("as if it had been in flight")
        await asyncio.sleep(0.1 + SOON)
        assert (await running.get("x")).state is State.SCHEDULED
        assert transport.opened == 2
        await emptied(store)


@pytest.mark.parametrize("why", ["expired", "missed"])
@run_virtually
async def test_what_is_not_published_uses_up_no_probe(why: str) -> None:
    store, transport = WakingStore(), Broken(start=1, end=60)
    fire = Every(timedelta(hours=1), missed="skip", grace=SECOND)
    more: dict[str, Any] = {"expires_at": at(30)} if why == "expired" else {"recurrence": fire}
    async with delivering(store, transport) as running:
        await running.schedule_many([message("old", due=2, **more) for _ in range(100)])
        await running.schedule_many(messages(50, "new", due=40))
        await asyncio.sleep(70)
        assert sum(each.event_name == "new" for _, each in transport.begun) >= 50
        assert (await running.health()).details["dead"] == (100 if why == "expired" else 0)
