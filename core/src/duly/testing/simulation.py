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

from duly.store import Clock, Store
from duly.testing.clock import VirtualTimeLoop
from duly.testing.crashes import MakeStore
from duly.testing.journal import Journal
from duly.testing.world import World

__all__ = ["live", "simulate"]


def simulate(make_store: MakeStore, seed: int, kind: type[World] = World) -> Journal:
    """Run the world of one seed; the journal of what happened there.

    ``kind`` may be a :class:`~duly.testing.crowded.Crowded` one.

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
            return await live(make, seed, kind)
        finally:
            for store in stores:
                await store.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


async def live(
    make_store: Callable[[Clock], Awaitable[Store]], seed: int, kind: type[World] = World
) -> Journal:
    """Run the world of one seed on the running virtual loop; the journal of what happened.

    ``make_store`` is called once, for a store that is empty and open.

    Raises:
        AssertionError: as with :func:`simulate`.
    """
    try:
        return await kind(random.Random(seed)).live(make_store)  # noqa: S311  # keeps no secret
    except (AssertionError, ExceptionGroup) as error:
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        raise AssertionError(f"seed {seed}: {cause}") from error
