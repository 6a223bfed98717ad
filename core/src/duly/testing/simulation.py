"""Random lives: schedulers, a client and a transport in a world where everything goes wrong.

A seed decides all that happens: which calls are delayed, get lost, lose their answer or arrive
when nobody waits for them any more, which publishes fail, when schedulers are killed, and what
the client schedules, cancels, moves and replaces meanwhile. Then the world is healed, and when
nothing is left to deliver, the rules R1 to R4 must have been kept. The same seed goes the same
way again::

    simulate(lambda clock: MyStore(clock=clock), seed=17)

Time is virtual; a store that uses threads, files or sockets takes its real time, and then a seed
goes nearly the same way again.
"""

import asyncio
import contextvars
import random
from datetime import timedelta
from typing import Any, Final, TypeVar

import attrs

from duly.errors import Rejected, StoreUnavailable, TransportError, TransportUnavailable
from duly.message import Filter, State
from duly.recovery import Backoff
from duly.store import Clock, Store
from duly.testing.clock import VirtualTimeLoop, virtual_clock
from duly.testing.crashes import MakeStore
from duly.testing.history import History
from duly.testing.processes import Process, adopt_tasks, emptied
from duly.testing.restless import Restless
from duly.testing.views import Act
from duly.transport import Envelope

__all__ = ["simulate"]

T = TypeVar("T")

_TROUBLED: Final = 7.0  # virtual seconds until the world is healed
_PATIENCE: Final = 120.0  # virtual seconds after it in which all must be delivered
_LONGEST_DELAY: Final = 1.5  # seconds; a call is given up after one
_STORE_TIMEOUT: Final = timedelta(seconds=1)
_LEASE: Final = timedelta(seconds=1)


def simulate(make_store: MakeStore, seed: int) -> History:
    """Live through the world of one seed; what happened there.

    Raises:
        AssertionError: a rule was broken; tells which, by which seed, and the story of the message.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        try:
            return runner.run(_World(random.Random(seed)).live(make_store))  # noqa: S311  # no secret
        except (AssertionError, ExceptionGroup) as error:
            cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            raise AssertionError(f"seed {seed}: {cause}") from error


@attrs.frozen
class _Odds:
    """How likely each trouble is, from 0 to 1, per call."""

    delay: float
    drop: float
    lose: float
    belated: float
    crash: float
    fail: float
    away: float
    cut: float

    @classmethod
    def drawn(cls, dice: random.Random) -> "_Odds":
        """Worlds differ: none, some or much of each trouble."""
        return cls(
            delay=dice.choice([0, 0.1, 0.3]),
            drop=dice.choice([0, 0.03, 0.15]),
            lose=dice.choice([0, 0.03, 0.15]),
            belated=dice.choice([0, 0, 0.1]),
            crash=dice.choice([0, 0.005, 0.02]),
            fail=dice.choice([0, 0.1, 0.4]),
            away=dice.choice([0, 0, 0.1]),
            cut=dice.choice([0, 0.02, 0.06]),
        )


class _World:
    """One seed's world."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._odds = _Odds.drawn(dice)
        self._healed = asyncio.Event()
        self._over = asyncio.Event()
        self._cut_until: dict[str, float] = {}  # by process; in loop time
        self._belated: set[asyncio.Task[Any]] = set()
        self._nowhere = contextvars.copy_context()  # of no process

    async def live(self, make_store: MakeStore) -> History:
        loop = asyncio.get_running_loop()
        adopt_tasks(loop)
        clock = virtual_clock(loop)
        history = History(clock)
        store = make_store(clock)
        await store.open()
        try:
            async with asyncio.TaskGroup() as group:
                for slot in "abc"[: self._dice.randint(2, 3)]:
                    group.create_task(self._keep(slot, store, history))
                group.create_task(self._heal(store))
                await self._use(store, history, clock)
            history.check(await store.list(Filter(state=State.DEAD)))
        finally:
            await store.close()
        return history

    async def _use(self, store: Store, history: History, clock: Clock) -> None:
        """Be the client until the world is healed."""
        client = self._process("client", store, history)
        restless = Restless(client.scheduler, self._dice, clock, _STORE_TIMEOUT)
        work = client.run(restless.live())
        await self._healed.wait()
        if work.done():
            work.result()
        await client.kill()

    async def _heal(self, store: Store) -> None:
        await asyncio.sleep(_TROUBLED)
        self._healed.set()
        await asyncio.sleep(0)
        if self._belated:
            await asyncio.wait(self._belated)
        await emptied(store, within=_PATIENCE)
        self._over.set()

    async def _keep(self, slot: str, store: Store, history: History) -> None:
        """Start a scheduler again whenever it has died, until all is over."""
        life = 0
        while not self._over.is_set():
            life += 1
            process = self._process(f"{slot}{life}", store, history)
            work = process.run(process.scheduler.start())
            ends = [
                asyncio.ensure_future(end)
                for end in (process.dying.wait(), self._over.wait(), self._doom())
            ]
            await asyncio.wait([work, *ends], return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            if self._over.is_set():
                await process.run(process.scheduler.stop())
                await work
            elif work.done():
                work.result()
            await process.kill()
            await asyncio.sleep(self._dice.uniform(0, 1))

    async def _doom(self) -> None:
        """Return when a scheduler is to die of nothing in particular."""
        await asyncio.sleep(self._dice.expovariate(1 / 8))
        if self._healed.is_set():
            await asyncio.Event().wait()

    def _process(self, name: str, store: Store, history: History) -> Process:
        return Process(
            name,
            store,
            self._receive,
            self._wire,
            history,
            poll_interval=timedelta(seconds=1),
            batch_size=self._dice.randint(1, 5),
            max_in_flight=self._dice.randint(1, 5),
            stuck_duration=_LEASE,
            publish_timeout=timedelta(seconds=4),
            store_timeout=_STORE_TIMEOUT,
            recovery=Backoff(
                initial=timedelta(milliseconds=200),
                maximum=timedelta(seconds=1),
                jitter=0,
                max_retries=self._dice.choice([2, 5, 10]),
            ),
        )

    def _happens(self, chance: float) -> bool:
        return not self._healed.is_set() and self._dice.random() < chance

    async def _receive(self, envelope: Envelope) -> None:
        """Accept what was published, or not."""
        await asyncio.sleep(self._dice.choice([0, 0, 0.05, 0.5, 3]))
        if self._happens(self._odds.fail):
            await asyncio.sleep(self._dice.choice([0, 0.5, 5]))
            raise self._dice.choice([TransportError, TransportError, Rejected])("not this time")
        if self._happens(self._odds.away):
            raise TransportUnavailable("gone")

    async def _wire(self, process: Process, verb: str, act: Act[T]) -> T:
        if verb == "open":  # what fails here is only started again
            return await act()
        odds, publishing = self._odds, verb == "publish"
        mortal = process.name != "client"
        if self._happens(odds.delay):
            await asyncio.sleep(self._dice.uniform(0, _LONGEST_DELAY))
        if self._happens(odds.drop) or (not publishing and self._is_cut_off(process)):
            raise _lost(publishing)
        if mortal and self._happens(odds.crash):
            await process.die()
        if mortal and not publishing and self._happens(odds.belated):
            # On its way, whether or not anybody waits for the answer.
            answer = await asyncio.shield(self._send_belated(act))
        else:
            answer = await act()
        if mortal and self._happens(odds.crash):
            await process.die()
        if self._happens(odds.delay):
            await asyncio.sleep(self._dice.uniform(0, _LONGEST_DELAY))
        if self._happens(odds.lose):
            raise _lost(publishing)
        return answer

    def _is_cut_off(self, process: Process) -> bool:
        """Whether a process cannot reach the store for a while, longer than a lease or shorter."""
        now = asyncio.get_running_loop().time()
        if self._happens(self._odds.cut):
            self._cut_until[process.name] = now + self._dice.uniform(1, 5)
        return not self._healed.is_set() and now < self._cut_until.get(process.name, now)

    def _send_belated(self, act: Act[T]) -> "asyncio.Task[T]":
        async def send(delay: float) -> T:
            await asyncio.sleep(delay)
            return await act()

        work = send(self._dice.uniform(0, 4))
        task = asyncio.get_running_loop().create_task(work, context=self._nowhere)
        self._belated.add(task)
        task.add_done_callback(self._belated.discard)
        return task


def _lost(publishing: bool) -> Exception:
    return (TransportError if publishing else StoreUnavailable)("the connection broke")
