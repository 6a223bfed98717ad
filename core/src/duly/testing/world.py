"""A world where everything goes wrong, then is healed; its dice decide what happens there."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
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
from duly.testing.clock import running_clock
from duly.testing.journal import Journal
from duly.testing.processes import Process, adopt_tasks, emptied
from duly.testing.restless import NAMES, Restless
from duly.testing.trouble import Trouble
from duly.transport import Envelope, Limits

__all__ = ["World"]

_TROUBLED: Final = 10.0  # virtual seconds until the world is healed
_PATIENCE: Final = 120.0  # virtual seconds after it in which all must be delivered
_STORE_TIMEOUT: Final = timedelta(seconds=1)
_LEASE: Final = timedelta(seconds=1)
_FROZEN: Final = timedelta(seconds=4)  # at most
_UNHEARD: Final = 30.0  # seconds that a scheduler may go without hearing the store's time


class World:
    """One seed's world."""

    names: Sequence[str] = NAMES
    limits: Limits | None = None

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
            group.create_task(self._heal(store, journal))
        drift = timedelta(seconds=abs(self._pace - 1) * _UNHEARD)
        dead = await store.list(Filter(state=State.DEAD))
        # An answer may be under way as long as somebody waits for it, also somebody frozen.
        journal.check(
            dead, behind=drift + _STORE_TIMEOUT, ahead=drift, slow=2 * (_STORE_TIMEOUT + _FROZEN)
        )
        self._judge(journal)
        return journal

    def _judge(self, journal: Journal) -> None:
        """What else the journal must show."""

    async def _use(self, number: int, store: Store, journal: Journal) -> None:
        """Be a client until the world is healed."""
        client = self._process(f"client{number}", store, journal)
        clock = self._host_clock(journal.clock)
        restless = Restless(client, self._dice, clock, journal, number=number, names=self.names)
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

    async def _heal(self, store: Store, journal: Journal) -> None:
        await asyncio.sleep(_TROUBLED)
        self._trouble.healed.set()
        await asyncio.sleep(0)
        await self._trouble.settled()
        await self._go_on(store, journal)
        await emptied(store, within=_PATIENCE)
        await self._conclude(store, journal)
        self._over.set()

    async def _go_on(self, store: Store, journal: Journal) -> None:
        """What else happens when nothing goes wrong any more."""

    async def _conclude(self, store: Store, journal: Journal) -> None:
        """What happens when nothing is left."""

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
            limits=self.limits,
            poll_interval=timedelta(seconds=1),
            batch_size=self._batch_size(),
            max_in_flight=self._slots(),
            stuck_duration=_LEASE,
            publish_timeout=timedelta(seconds=4),
            store_timeout=_STORE_TIMEOUT,
            recovery=self._policy(),
        )

    def _batch_size(self) -> int:
        return self._dice.randint(1, 5)

    def _slots(self) -> int:
        return self._dice.randint(1, 5)

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

    def _takes(self, _envelope: Envelope) -> float:
        """How many seconds the receiver takes."""
        return self._dice.choice([0, 0, 0.05, 0.5, 3])

    async def _receive(self, envelope: Envelope, journal: Journal) -> None:
        """Accept what was published, or not; some of it arrives once more, much later."""
        trouble = self._trouble
        await asyncio.sleep(self._takes(envelope))

        async def arrive() -> None:
            journal.note_publish("arrived", "wire", envelope)

        if trouble.happens(trouble.odds.repeat):
            _ = trouble.send_later(arrive)  # nobody waits for it
        if trouble.happens(trouble.odds.fail):
            await asyncio.sleep(self._dice.choice([0, 0.5, 5]))
            raise self._dice.choice([TransportError, TransportError, Rejected])("not this time")
        if trouble.happens(trouble.odds.away):
            raise TransportUnavailable("gone")
