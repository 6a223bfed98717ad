"""Everything at once, at random but always the same: whatever happens, nothing is lost."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.core.engine_kit import (
    WakingStore,
    WatchedStore,
    at,
    emptied,
    kill,
    message,
    now,
    scheduler,
)

from duly import (
    Backoff,
    Cancellation,
    Envelope,
    Every,
    Filter,
    Message,
    Scheduler,
    SchedulerStateError,
    State,
    StoreUnavailable,
    TransportUnavailable,
)
from duly.moment import to_microseconds
from duly.testing.clock import run_virtually

TROUBLE = 60.0  # seconds of it
LEASE = timedelta(seconds=3)


class Weather:
    """When what fails. ``dice`` decides, so that a number tells a whole story."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._store = self._periods()
        self._transport = self._periods()

    def _periods(self) -> Sequence[tuple[float, float, str]]:
        dice, periods, end = self._dice, [], 0.0
        while end < TROUBLE:
            begin = end + dice.expovariate(1 / 8)
            end = begin + dice.expovariate(1 / 4)
            periods.append((begin, min(end, TROUBLE), dice.choice(["down", "hang", "lose"])))
        return periods

    def _now(self, periods: Sequence[tuple[float, float, str]]) -> str | None:
        return next((kind for begin, end, kind in periods if begin <= now() < end), None)

    async def at_the_store(self, verb: str, done: bool) -> None:
        kind = self._now(self._store)
        if self._dice.random() < 0.1:
            await asyncio.sleep(self._dice.uniform(0, 0.2))
        if kind == "down" and not done:
            raise StoreUnavailable("down")
        if kind == "hang" and not done:
            await asyncio.Event().wait()
        if kind == "lose" and done and self._dice.random() < 0.5:
            raise StoreUnavailable("the answer is lost")

    @property
    def transport_gone(self) -> bool:
        return self._now(self._transport) == "down"


class World:
    """A store, schedulers that come and go, and all that anybody knows of the messages."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.weather = Weather(self.dice)
        self.store: WatchedStore = self.dice.choice([WakingStore, WatchedStore])()
        self.store.faults.append(self.weather.at_the_store)
        self.published: dict[str, list[float]] = {}
        self.accepted: set[str] = set()
        self.early: list[Envelope] = []
        self.cancelled: dict[str, float] = {}
        self.scheduled: dict[str, Message] = {}

    # --- as a transport

    async def open(self) -> None:
        if self.weather.transport_gone:
            raise TransportUnavailable("gone")

    async def close(self) -> None:
        await asyncio.sleep(self.dice.choice([0, 0, 0.1]))

    async def publish(self, envelope: Envelope) -> str | None:
        dice = self.dice
        self.published.setdefault(envelope.delivery_id, []).append(now())
        if at(now()) < envelope.scheduled_at:
            self.early.append(envelope)
        if self.weather.transport_gone:
            raise TransportUnavailable("gone")
        fate = dice.random() if now() < TROUBLE else 1.0
        if fate < 0.02:
            await asyncio.sleep(60)
        elif fate < 0.03:
            while now() < TROUBLE + 20:  # ignores its cancellation
                try:
                    await asyncio.sleep(5)
                except asyncio.CancelledError:
                    continue
        elif fate < 0.1:
            raise ValueError("failed")
        elif fate < 0.3:
            await asyncio.sleep(dice.expovariate(1 / 0.3))
        if envelope.event_name == "poison" and envelope.attempt < 10:
            raise ValueError("poison")
        self.accepted.add(envelope.delivery_id)
        return None

    # --- what goes on

    def scheduler(self) -> Scheduler:
        dice = self.dice
        return scheduler(
            self.store,
            self,
            stuck_duration=LEASE,
            store_timeout=timedelta(seconds=dice.choice([0.5, 2])),
            publish_timeout=timedelta(seconds=dice.choice([1, 10])),
            max_in_flight=dice.choice([1, 3, 8, 50]),
            batch_size=dice.choice([1, 5, 20]),
            recovery=Backoff(max_retries=None, maximum=timedelta(seconds=4), max_lapses=1000),
        )

    async def come_and_go(self) -> None:
        """A scheduler that is stopped or killed, and started again, as long as there is trouble."""
        while now() < TROUBLE:
            running = self.scheduler()
            start = asyncio.create_task(running.start())
            await asyncio.wait([start], timeout=self.dice.uniform(0.1, 25))
            if self.dice.random() < 0.5 and running._run is not None:
                await kill(running)
            else:
                await running.stop(timedelta(seconds=self.dice.choice([0, 1])))
            await asyncio.wait([start])
            if not start.cancelled() and start.exception() is not None:
                expected = StoreUnavailable | TransportUnavailable | SchedulerStateError  # killed
                assert isinstance(start.exception(), expected)
            await asyncio.sleep(self.dice.uniform(0, 1))

    async def call(self) -> None:
        """A caller who schedules, and now and then cancels."""
        client, dice = scheduler(self.store.inner, self), self.dice
        for number in range(150):
            await asyncio.sleep(dice.expovariate(3))
            each = message(
                dice.choice(["a", "a", "b", "c", "poison"]),
                now() + dice.choice([-1, 0, 0, 0.5, 5]),
                id=f"{number}",
                recurrence=Every(timedelta(seconds=1), max_occurrences=3, missed="all")
                if dice.random() < 0.1
                else None,
            )
            await client.schedule(each)
            self.scheduled[each.id] = each
            if dice.random() < 0.1:
                victim = dice.choice([*self.scheduled])
                if await client.cancel(victim, missing_ok=True) is not Cancellation.UNKNOWN:
                    self.cancelled[victim] = now()

    def occurrences(self, of: Message) -> list[str]:
        """The delivery ids that must have been accepted."""
        if of.recurrence is None:
            return [of.delivery_id]
        names, fire = list[str](), of.scheduled_at
        for _ in range(of.recurrence.max_occurrences or 1):
            names.append(f"{of.delivery_id.rpartition(':')[0]}:{to_microseconds(fire)}")
            fire = of.recurrence.following(fire) or fire
        return names


class Crowded(World):
    """Publishes many at a time."""

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[object]:
        return await asyncio.gather(*map(self.publish, envelopes), return_exceptions=True)


class Checked(World):
    """Knows, as a rule, whether the connection stands."""

    async def check(self) -> Sequence[str]:
        if self.dice.random() < 0.1:
            await asyncio.sleep(self.dice.choice([0.3, 100]))
        if self.dice.random() < 0.1:
            raise ValueError("it does not know")
        return ["gone"] if self.weather.transport_gone else []


async def story(seed: int) -> World:
    world = [World, Crowded, Checked][seed % 3](seed)
    async with asyncio.timeout(3600):
        await asyncio.gather(world.call(), *(world.come_and_go() for _ in range(2)))
        assert now() >= TROUBLE
        async with world.scheduler().running() as last:
            await emptied(world.store, within=120)
            assert await last.list(Filter(state=State.DEAD)) == []
    return world


@pytest.mark.parametrize("seed", range(12))
@run_virtually
async def test_whatever_happens_nothing_is_lost(seed: int) -> None:
    world = await story(seed)
    assert not world.early
    wanted = {
        name
        for each in world.scheduled.values()
        if each.id not in world.cancelled
        for name in world.occurrences(each)
    }
    assert wanted <= world.accepted
    # What was cancelled was not started long after: a holder hears of it when it renews.
    for id, when in world.cancelled.items():
        for name in world.occurrences(world.scheduled[id]):
            assert all(
                time <= when + LEASE.total_seconds() for time in world.published.get(name, [])
            )
    await asyncio.sleep(30)  # in which those end that were abandoned
    assert asyncio.all_tasks() == {asyncio.current_task()}
