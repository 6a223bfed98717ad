"""Every await a crash point: a scheduler is killed at each of them, and nothing is lost by it.

A story is told: messages are scheduled, claimed, published, settled, renewed, recovered, retried,
cancelled, moved, replaced, buried, replayed. It is told once undisturbed, to count the calls of
its store and its transport; then again and again, and each time the scheduler is killed at the
next of these calls: before it was carried out, or after, when the answer has not arrived. Another
scheduler goes on with the same messages; whoever got no answer asks again. When nothing is left
to deliver, the rules must have been kept, R1 to R4 above all.

:class:`duly.testing.crash_cases.CrashPointCases` runs it for any store, like the other conformance
cases. If a store can be made without sockets and without a running loop, a function is enough::

    def test_every_await_may_be_the_last(tmp_path):
        files = itertools.count()
        crash_everywhere(lambda clock: MyStore(tmp_path / f"{next(files)}.db", clock=clock))

Time is virtual; threads and files of the store are real.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from duly.message import Filter, State
from duly.recovery import Backoff
from duly.store import Batch, Clock, Store
from duly.testing.clock import VirtualTimeLoop, running_clock
from duly.testing.journal import Journal
from duly.testing.processes import Process, adopt_tasks, emptied, undisturbed
from duly.testing.story import Story
from duly.testing.views import Act

__all__ = ["MakeStore", "crash_at", "crash_everywhere", "crash_points", "near_moves", "tell"]

T = TypeVar("T")

MakeStore = Callable[[Clock], Store]
"""Makes a store that tells time by this clock; it is empty, whatever was made before."""

_OPTIONS: Final[dict[str, Any]] = {
    "poll_interval": timedelta(seconds=1),
    "batch_size": 3,
    "max_in_flight": 3,
    "stuck_duration": timedelta(seconds=3),
    "recovery": Backoff(initial=timedelta(seconds=1), jitter=0),
}
_MOVED: Final = " that moved"  # in the name of such a claim
_NEAR: Final = 7  # crash points: its own, and those of the three calls that follow
_PATIENCE: Final = 60.0  # virtual seconds in which all that is left must be delivered


def crash_points(make_store: MakeStore, kind: type[Story] = Story) -> Sequence[str]:
    """Where a story can be cut off, in order: the verb, and whether it was carried out.

    Raises:
        AssertionError: a rule was broken, although nothing was cut off.
    """
    return _run(make_store, None, kind)


def crash_at(make_store: MakeStore, number: int, kind: type[Story] = Story) -> None:
    """Tell a story and kill its scheduler at this crash point, counted from 0.

    Raises:
        AssertionError: a rule was broken; tells which, and what happened to the message.
    """
    _run(make_store, number, kind)


def crash_everywhere(make_store: MakeStore, kind: type[Story] = Story) -> Sequence[str]:
    """Tell a story once for each of its crash points; all of them.

    Raises:
        AssertionError: a rule was broken; tells at which crash point, to try by :func:`crash_at`.
    """
    points = crash_points(make_store, kind)
    for number, name in enumerate(points):
        try:
            crash_at(make_store, number, kind)
        except AssertionError as error:
            raise AssertionError(f"killed at crash point {number}, {name}: {error}") from error
    return points


def near_moves(points: Sequence[str]) -> Sequence[int]:
    """Which of some crash points come just after a claim that has moved messages aside."""
    moved = [number for number, name in enumerate(points) if _MOVED in name]
    near = {number + after for number in moved for after in range(_NEAR)}
    return sorted(each for each in near if each < len(points))


def _run(make_store: MakeStore, fatal: int | None, kind: type[Story]) -> Sequence[str]:
    async def run() -> Sequence[str]:
        clock = running_clock()
        store = make_store(clock)
        await store.open()
        try:
            return await tell(clock, [store, store, store], fatal, strict=True, kind=kind)
        finally:
            await store.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


async def tell(
    clock: Clock,
    stores: Sequence[Store],
    fatal: int | None,
    *,
    strict: bool,
    kind: type[Story] = Story,
) -> Sequence[str]:
    """Tell a story on the running virtual loop and kill at a crash point; all that it passed.

    ``stores`` are three, open, over the same messages: for the onlooker, the first scheduler and
    the second. ``strict`` tells that only virtual time passes: then every outcome that cannot
    vary is checked too.

    Raises:
        AssertionError: a rule was broken.
    """
    adopt_tasks(asyncio.get_running_loop())
    journal, story, points = Journal(clock), kind(clock), _Points(fatal)
    store, *others = stores
    options = {**_OPTIONS, "limits": story.limits}
    ghost = Process("ghost", store, story.receive, undisturbed, journal, **options)
    await story.haunt(ghost.store)
    await ghost.kill()
    first = Process("first", others[0], story.receive, points, journal, **options)
    if not await _live(first, story, store):
        second = Process("second", others[1], story.receive, undisturbed, journal, **options)
        assert await _live(second, story, store)
    journal.check(await store.list(Filter(state=State.DEAD)))
    if fatal is None and strict:
        story.check(journal)
    return points.names


class _Points:
    """Counts the calls that a process makes, and kills it at one of them."""

    def __init__(self, fatal: int | None) -> None:
        self.names: list[str] = []
        self._fatal = fatal

    async def __call__(self, process: Process, verb: str, act: Act[T]) -> T:
        await self._pass(process, f"{verb}: not carried out")
        answer = await act()
        if isinstance(answer, Batch) and answer.moved:
            verb += _MOVED
        await self._pass(process, f"{verb}: carried out, not answered")
        return answer

    async def _pass(self, process: Process, name: str) -> None:
        self.names.append(name)
        if len(self.names) - 1 == self._fatal:
            await process.die()


async def _live(process: Process, story: Story, store: Store) -> bool:
    """Whether a process lived on to the end of the story, and until nothing was left."""
    work = process.run(_work(process, story, store))
    dying = asyncio.ensure_future(process.dying.wait())
    await asyncio.wait([work, dying], return_when=asyncio.FIRST_COMPLETED)
    dying.cancel()
    if process.alive:
        await work
        return True
    await process.kill()
    return False


async def _work(process: Process, story: Story, store: Store) -> None:
    async with process.scheduler.running() as scheduler:
        await story.go_on(scheduler)
        await emptied(store, within=_PATIENCE)
        await story.take_leave(scheduler)
    await emptied(store, within=0)
