"""The schedulers of this process, as they are seen from another thread."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import attrs

from duly import Health, Scheduler, Standing, Status
from duly_ops.exposition import Exposition
from duly_ops.pages import Answer, json_answer, text_answer
from duly_ops.plain import plain

__all__ = ["Watched", "worst"]

_FRESH: Final = 2.0  # seconds for which an answer serves all who ask
_ASKED: Final = timedelta(seconds=4)  # for a scheduler to say how it is doing
_ANSWERS: Final = 5.0  # seconds until one that says nothing is told of
_TOLD: Final = ("code", "text", "act", "about")  # of a finding
_RANKS: Final = ("healthy", "degraded", "unhealthy")


@attrs.frozen(eq=False)
class One:
    """A scheduler and the event loop that it runs on."""

    scheduler: Scheduler
    loop: asyncio.AbstractEventLoop


class Watched:
    """Shows the schedulers that run, the worst of them where there is one answer for all."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._all: dict[int, One] = {}
        self._told: tuple[float, Answer] | None = None
        self._asking: asyncio.Lock | None = None

    def __len__(self) -> int:
        return len(self._all)

    def add(self, scheduler: Scheduler, loop: asyncio.AbstractEventLoop) -> None:
        """Called on the loop of a scheduler that is about to run."""
        self._all = {**self._all, id(scheduler): One(scheduler, loop)}
        self._told = self._asking = None  # of an earlier run, and thread, maybe

    def remove(self, scheduler: Scheduler) -> bool:
        """Called when it runs no more; whether it was watched."""
        known = id(scheduler) in self._all
        self._all = {key: one for key, one in self._all.items() if one.scheduler is not scheduler}
        self._told = None
        return known

    def stops(self) -> bool:
        """Whether all of them stop."""
        states = [one.scheduler.liveness().state for one in self._all.values()]
        return bool(states) and not {*states} - {"stopping", "stopped"}

    def stuck(self) -> list[str]:
        """Which loops have not turned for too long."""
        found = [one.scheduler.liveness() for one in self._all.values()]
        return [
            f"the loop has not turned for {each.last_turn_age.total_seconds():.0f} s"
            for each in found
            if not each.alive and each.last_turn_age is not None
        ]

    def unready(self) -> list[str]:
        """Which do not deliver, and why."""
        found = [one.scheduler.liveness() for one in self._all.values()]
        told = {"opening": "it waits for its store", "stopping": "it stops", "stopped": "it stops"}
        troubles = []
        for each in found:
            if each.state != "running":
                troubles.append(told[each.state])
            elif not each.store_up:
                troubles.append("the store is away")
        return [*troubles, *self.stuck()]

    async def live(self) -> Answer:
        return text_answer(self.stuck())

    async def ready(self) -> Answer:
        return text_answer(self.unready())

    async def metrics(self, accept: str) -> Answer:
        return self._exposition.answer(accept)

    async def health(self) -> Answer:
        if self._asking is None:
            self._asking = asyncio.Lock()
        async with self._asking:
            if self._told is None or time.monotonic() - self._told[0] > _FRESH:
                facts = await asyncio.gather(*map(_facts, tuple(self._all.values())))
                self._told = time.monotonic(), worst(facts)
            return self._told[1]


def worst(facts: Sequence[Mapping[str, Any]]) -> Answer:
    """One answer for several schedulers: the sentence and status of the worst, and all of them."""
    if not facts:
        return json_answer(503, {"status": "unhealthy", "sentence": "No scheduler runs here."})
    of_all = max(facts, key=lambda each: (_RANKS.index(each["status"]), each["code"] != "well"))
    named = {name: of_all[name] for name in ("status", "sentence", "code")}
    status = 503 if of_all["status"] == "unhealthy" else 200
    return json_answer(status, {**named, "schedulers": list(facts)})


async def _facts(one: One) -> Mapping[str, Any]:
    """What one says of itself, in time whatever it does."""
    liveness = one.scheduler.liveness()
    asked = asyncio.run_coroutine_threadsafe(_asked(one.scheduler), one.loop)
    try:
        async with asyncio.timeout(_ANSWERS):
            health, standing = await asyncio.wrap_future(asked)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        with contextlib.suppress(RuntimeError):  # its loop is closed
            asked.cancel()
        text = f"The scheduler does not answer: {type(error).__name__}."
        if isinstance(error, TimeoutError):
            text = f"The scheduler does not answer within {_ANSWERS:g} s."
        health, standing = Health(status=Status.UNHEALTHY, reason=text), None
    told = [] if standing is None else standing.findings
    findings = [{name: getattr(each, name) for name in _TOLD} for each in told]
    return {
        "status": health.status.value,
        "sentence": health.reason if standing is None else standing.sentence,
        "code": "silent" if standing is None else standing.code,
        "findings": findings,
        "reason": health.reason,
        "reasons": plain(health.reasons),
        "details": plain(health.details),
        "liveness": {**plain(liveness), "alive": liveness.alive},
    }


async def _asked(scheduler: Scheduler) -> tuple[Health, Standing]:
    async with asyncio.timeout(_ANSWERS):
        return await asyncio.gather(scheduler.health(timeout=_ASKED), scheduler.standing())
