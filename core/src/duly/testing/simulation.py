"""Random lives: schedulers, clients and a transport in a world where everything goes wrong.

A seed decides all that happens:

- which calls are delayed, get lost, lose their answer or arrive when nobody waits for them,
- which publishes fail or arrive twice,
- when schedulers are killed, frozen or all gone for long,
- how far the clocks of the clients' hosts are off, and how fast the store's clock runs,
- what the clients schedule, cancel, move, replace, replay and purge meanwhile.

Then the world is healed. When nothing is left to deliver, the rules must have been kept: nothing
was lost; nothing was published early, after it had expired, for the wrong occurrence or although
it was truly cancelled; groups are whole; every dead letter is accounted for. The same seed takes
the same course again::

    simulate(lambda clock: MyStore(clock=clock), seed=17)

Time is virtual. A store that uses threads, files or sockets takes real time; then a seed takes
nearly the same course again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from duly.errors import (
    Expired,
    Rejected,
    StoreUnavailable,
    TransportError,
    TransportUnavailable,
)
from duly.message import Filter, State
from duly.recovery import Backoff, Discard, Failure, Policy, Verdict
from duly.store import Clock, Store
from duly.testing.clock import VirtualTimeLoop, running_clock
from duly.testing.crashes import MakeStore
from duly.testing.journal import Journal
from duly.testing.processes import Process, adopt_tasks, emptied
from duly.testing.restless import Restless
from duly.testing.trouble import Trouble
from duly.transport import Envelope

__all__ = ["live", "simulate"]

_TROUBLED: Final = 10.0  # virtual seconds until the world is healed
_PATIENCE: Final = 120.0  # virtual seconds after it in which all must be delivered
_STORE_TIMEOUT: Final = timedelta(seconds=1)
_LEASE: Final = timedelta(seconds=1)
_FROZEN: Final = timedelta(seconds=4)  # at most
_UNHEARD: Final = 30.0  # seconds that a scheduler may go without hearing the store's time


def simulate(make_store: MakeStore, seed: int) -> Journal:
    """Run the world of one seed; the journal of what happened there.

    Raises:
        AssertionError: a rule was broken; tells which, by which seed, and the story of the message.
    """

    async def run() -> Journal:
        stores = list[Store]()

        async def make(clock: Clock) -> Store:
            stores.append(make_store(clock))
            await stores[0].open()
            return stores[0]

        try:
            return await live(make, seed)
        finally:
            for store in stores:
                await store.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


async def live(make_store: Callable[[Clock], Awaitable[Store]], seed: int) -> Journal:
    """Run the world of one seed on the running virtual loop; the journal of what happened.

    ``make_store`` is called once, for a store that is empty and open.

    Raises:
        AssertionError: as with :func:`simulate`.
    """
    try:
        return await _World(random.Random(seed)).live(make_store)  # noqa: S311  # keeps no secret
    except (AssertionError, ExceptionGroup) as error:
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        raise AssertionError(f"seed {seed}: {cause}") from error


class _World:
    """One seed's world."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._trouble = Trouble(dice)
        self._over = asyncio.Event()
        self._pace = dice.choice([1, 1, 1, 0.999, 1.001])  # of the store's clock

    async def live(self, make_store: Callable[[Clock], Awaitable[Store]]) -> Journal:
        adopt_tasks(asyncio.get_running_loop())
        clock = running_clock(pace=self._pace)
        journal = Journal(clock)
        store = await make_store(clock)
        async with asyncio.TaskGroup() as group:
            for slot in "abc"[: self._dice.randint(2, 3)]:
                group.create_task(self._keep(slot, store, journal))
            for number in range(1, self._dice.randint(1, 3) + 1):
                group.create_task(self._use(number, store, journal))
            group.create_task(self._heal(store))
        drift = timedelta(seconds=abs(self._pace - 1) * _UNHEARD)
        dead = await store.list(Filter(state=State.DEAD))
        # An answer may be under way as long as somebody waits for it, also somebody frozen.
        journal.check(
            dead, behind=drift + _STORE_TIMEOUT, ahead=drift, slow=2 * (_STORE_TIMEOUT + _FROZEN)
        )
        return journal

    async def _use(self, number: int, store: Store, journal: Journal) -> None:
        """Be a client until the world is healed."""
        client = self._process(f"client{number}", store, journal)
        clock = self._host_clock(journal.clock)
        restless = Restless(client, self._dice, clock, journal, number=number)
        work = client.run(restless.live())
        await self._trouble.healed.wait()
        if work.done():
            work.result()
        await client.kill()

    def _host_clock(self, clock: Clock) -> Clock:
        """The clock of a client's host: some seconds off, and more so as time goes on."""
        offset = timedelta(seconds=self._dice.choice([0, 0, -3, 0.7, 2]))
        drift = self._dice.choice([0, 0, -0.01, 0.01])
        start = clock()
        return lambda: clock() + offset + (clock() - start) * drift

    async def _heal(self, store: Store) -> None:
        await asyncio.sleep(_TROUBLED)
        self._trouble.healed.set()
        await asyncio.sleep(0)
        await self._trouble.settled()
        await emptied(store, within=_PATIENCE)
        self._over.set()

    async def _keep(self, slot: str, store: Store, journal: Journal) -> None:
        """Start a scheduler again whenever it has died, until all is over."""
        life = 0
        while not self._over.is_set():
            life += 1
            process = self._process(f"{slot}{life}", store, journal)
            work = process.run(process.scheduler.start())
            ends = [
                asyncio.ensure_future(end)
                for end in (process.dying.wait(), self._over.wait(), self._doom())
            ]
            freezing = asyncio.ensure_future(self._freeze(process))
            await asyncio.wait([work, *ends], return_when=asyncio.FIRST_COMPLETED)
            for end in (*ends, freezing):
                end.cancel()
            with suppress(StoreUnavailable):  # it did not open in time: started once more
                if self._over.is_set():
                    await process.run(process.scheduler.stop())
                    await work
                elif work.done():
                    work.result()
            await process.kill()
            dark = self._trouble.happens(self._trouble.odds.dark)
            await asyncio.sleep(self._dice.uniform(2, 5) if dark else self._dice.uniform(0, 1))

    async def _doom(self) -> None:
        """Return when a scheduler is to die of nothing in particular."""
        await asyncio.sleep(self._dice.expovariate(1 / 8))
        if self._trouble.healed.is_set():
            await asyncio.Event().wait()

    async def _freeze(self, process: Process) -> None:
        """Freeze a scheduler now and then, often for longer than its lease."""
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / 2))
            if process.alive and self._trouble.happens(self._trouble.odds.freeze):
                process.freeze()
                try:
                    await asyncio.sleep(self._dice.choice([0.1, 0.9, 2, 4]))
                finally:
                    process.thaw()

    def _process(self, name: str, store: Store, journal: Journal) -> Process:
        return Process(
            name,
            store,
            lambda envelope: self._receive(envelope, journal),
            self._trouble.wire,
            journal,
            poll_interval=timedelta(seconds=1),
            batch_size=self._dice.randint(1, 5),
            max_in_flight=self._dice.randint(1, 5),
            stuck_duration=_LEASE,
            publish_timeout=timedelta(seconds=4),
            store_timeout=_STORE_TIMEOUT,
            recovery=self._policy(),
        )

    def _policy(self) -> Policy:
        backoff = Backoff(
            initial=timedelta(milliseconds=200),
            maximum=timedelta(seconds=1),
            jitter=0,
            max_retries=self._dice.choice([0, 1, 2, 5, 10]),
        )
        discards = self._dice.random() < 0.3

        def decide(failure: Failure) -> Verdict:
            return (
                Discard() if discards and isinstance(failure.error, Expired) else backoff(failure)
            )

        return decide

    async def _receive(self, envelope: Envelope, journal: Journal) -> None:
        """Accept what was published, or not; some of it arrives once more, much later."""
        trouble = self._trouble
        await asyncio.sleep(self._dice.choice([0, 0, 0.05, 0.5, 3]))

        async def arrive() -> None:
            journal.note_publish("arrived", "wire", envelope)

        if trouble.happens(trouble.odds.repeat):
            _ = trouble.send_later(arrive)  # nobody waits for it
        if trouble.happens(trouble.odds.fail):
            await asyncio.sleep(self._dice.choice([0, 0.5, 5]))
            raise self._dice.choice([TransportError, TransportError, Rejected])("not this time")
        if trouble.happens(trouble.odds.away):
            raise TransportUnavailable("gone")
