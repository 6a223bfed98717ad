"""Drawing permits from the store, for names that people limit."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from duly._caller import ability_answers as answers
from duly._caller.calls import StoreCalls
from duly._engine.in_hand import Hands
from duly._engine.lane import Lane
from duly._engine.limits import Cap
from duly._engine.permits import LEASE, FlightCap, Permits, RateCap, drawn, shared
from duly._engine.store_time import StoreTime
from duly._engine.worker import finish
from duly._engine.workers import Workers
from duly._telemetry.logging import get_logger
from duly._values.controls import Rules, permit_note
from duly._values.error_text import error_text
from duly._values.publishing import Interrupted, Job
from duly.errors import StoreError
from duly.store import SupportsMovingTime, SupportsNotes

__all__ = ["Drawing"]

_PACE: Final = 0.025  # seconds between two looks at who waits for permits
_TIMEOUT: Final = 1.0
_AGAIN: Final = 0.5  # seconds after trouble
_RENEW: Final = 5.0
_MARGIN: Final = 1.0  # seconds by which what is leased is given up before the lease ends
_IDLE: Final = 0.2  # seconds for which more is held than is used
_TRIES: Final = 5
_AT_ONCE: Final = 8  # notes that are seen to
_LAST_WORDS: Final = 2.0  # seconds
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_Cap = Cap[Lane[Job]]
_RateCap = RateCap[Lane[Job]]
_FlightCap = FlightCap[Lane[Job]]
_Work = tuple[_RateCap | _FlightCap, Callable[[], Awaitable[None]]]

log = get_logger()


class Drawing:
    """Sees to it that names under a limit have permits, as long as anything of them waits here.

    ``owner`` is this scheduler.
    """

    def __init__(
        self, calls: StoreCalls, workers: Workers, hands: Hands, time: StoreTime, *, owner: str
    ) -> None:
        self._calls = calls
        self._workers = workers
        self._lanes = workers.lanes
        self._hands = hands
        self._time = time
        self._owner = owner
        self._clock = asyncio.get_running_loop().time
        self._permits: Permits[Lane[Job]] = Permits()
        self._limited = asyncio.Event()
        self._trouble: set[_Cap] = set()  # of those whose notes could not be read or written

    def control(self, rules: Rules) -> None:
        """Take other rules than before; what is paused and waits here is put back."""
        if isinstance(self._calls.store, SupportsMovingTime):  # a test, which waits for no slot
            rules = Rules({**rules.controls})
            rules.rates = {}
        self._permits = Permits(rules, self._permits)
        self._trouble &= {*self._permits.all}
        held_back = self._lanes.held_back
        for job in self._lanes.control(rules, self._permits, self._clock()):
            finish(job, None, Interrupted("paused", held_back.pause))
        self._workers.stir()
        if self._permits:
            self._limited.set()
        else:
            self._limited.clear()

    async def run(self) -> None:
        """Draw what is wanted, again and again."""
        while True:
            await self._limited.wait()
            if not any(cap.leased for cap in self._permits.in_flight.values()):
                await self._hands.some.wait()
            await self._look()
            await asyncio.sleep(_PACE)

    async def end(self) -> None:
        """Give back what is leased: others need not wait for the end of the lease."""
        leased = [
            (cap, partial(self._lease, name, cap, 0))
            for name, cap in self._permits.in_flight.items()
            if cap.leased
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self._together(leased)

    async def _look(self) -> None:
        wanted, now = self._wanted(), self._clock()
        work: list[_Work] = []
        for name, cap in self._permits.in_flight.items():
            number = min(cap.allowed, cap.used + wanted[cap], max(cap.used, self._lanes.slots.most))
            if self._is_due(cap, number, now):
                work.append((cap, partial(self._lease, name, cap, number)))
        for name, rate in self._permits.rates.items():
            missing = wanted[rate] - rate.drawn
            if missing > 0 and rate.again_at <= now:
                work.append((rate, partial(self._draw, name, rate, missing)))
        await self._together(work)
        self._open()

    async def _together(self, work: Sequence[_Work]) -> None:
        for first in range(0, len(work), _AT_ONCE):
            await asyncio.gather(*(self._careful(*each) for each in work[first : first + _AT_ONCE]))
            self._open()

    def _open(self) -> None:
        """Let those start for whom there are permits now."""
        now = self._clock()
        opened = [cap for cap in self._permits.all if cap.blocked and cap.is_open(now)]
        for cap in opened:
            self._lanes.turns.open(cap)
        if opened:
            self._workers.stir()

    def _wanted(self) -> Counter[_Cap]:
        """How many jobs wait for each cap, of lanes that wait for nothing else but a slot.

        A name of which we may have none in flight draws no rate: it would be wasted.
        """
        wanted: Counter[_Cap] = Counter()
        blocked = (lane for cap in self._permits.all for lane in cap.blocked)
        for lane in {*self._lanes.turns.waiting, *blocked}:
            shut = any(isinstance(cap, FlightCap) and not cap.most for cap in lane.caps)
            for cap in lane.caps:
                if not (shut and isinstance(cap, RateCap)):
                    wanted[cap] += len(lane.jobs)
        return wanted

    def _is_due(self, cap: _FlightCap, number: int, now: float) -> bool:
        """Whether to ask for another number than we hold, or for the same once more."""
        if number >= cap.leased:
            cap.idle_since = now
        more = number > cap.most and cap.renew_at - _RENEW + _PACE <= now
        fewer = number < cap.leased and now - cap.idle_since >= _IDLE
        due = more or fewer or (cap.leased > 0 and cap.renew_at <= now)
        return due and cap.again_at <= now

    async def _draw(self, name: str, cap: _RateCap, wanted: int) -> None:
        note = permit_note("rate", name)
        for _ in range(_TRIES):
            value, revision, now = await self._read(note)
            here = self._clock()  # no earlier than the store's now: no slot comes too early
            later = now + int(cap.lead * 1e6)  # before that nobody could use one
            next_at, slots = drawn(value.get("next"), later, cap.rate, wanted)
            if not slots:
                cap.again_at = here + (next_at - later) / 1e6
                # Left by a slower rate or a clock that was ahead: written down, or it is never met.
                if next_at == value["next"] or await self._write(note, {"next": next_at}, revision):
                    return
                continue
            if await self._write(note, {"next": next_at}, revision):
                cap.add((here + (slot - now) / 1e6 for slot in slots), self._clock() - here)
                return

    async def _lease(self, name: str, cap: _FlightCap, number: int) -> None:
        note, number = permit_note("in_flight", name), max(number, cap.used)
        cap.most = min(cap.most, number)  # none is used while the store hears that it is free
        for _ in range(_TRIES):
            sent = self._clock()
            value, revision, now = await self._read(note)
            held, ours = shared(value, now, self._owner, cap.allowed, number)
            if await self._write(note, held, revision):
                cap.most = cap.leased = ours
                cap.renew_at, cap.idle_since = sent + _RENEW, self._clock()
                cap.valid_until = sent + LEASE / 1e6 - _MARGIN
                return

    async def _read(self, note: str) -> tuple[Mapping[str, Any], str | None, int]:
        store = self._store
        async with asyncio.timeout(_TIMEOUT):
            found = answers.note(await self._calls(store.read_note, note))
        now = self._time.now() if found is None else found.now
        try:
            value = {} if found is None else json.loads(found.value)
        except ValueError as error:
            raise StoreError(f"the note {note!r} cannot be read: {error}") from error
        return value, None if found is None else found.revision, (now - _EPOCH) // _MICROSECOND

    async def _write(self, note: str, value: Mapping[str, Any], revision: str | None) -> bool:
        content = json.dumps(value).encode()
        async with asyncio.timeout(_TIMEOUT):
            answer = await self._calls(self._store.write_note, note, content, revision)
        return answers.written(answer) is not None

    async def _careful(
        self, cap: _RateCap | _FlightCap, work: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # without permits nothing starts: tried again
            if not self._trouble:
                log.warning("permits_unavailable", error=error_text(error))
            self._trouble.add(cap)
            cap.again_at = self._clock() + _AGAIN
        else:
            self._trouble.discard(cap)

    @property
    def _store(self) -> SupportsNotes:
        store: Any = self._calls.store
        assert isinstance(store, SupportsNotes)  # noqa: S101  # else nobody has heard of a rule
        return store
