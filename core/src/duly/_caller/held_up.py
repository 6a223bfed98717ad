"""Stores groups that somebody else's open transaction holds up, apart from all other groups."""

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs

from duly.errors import DulyError
from duly.store import Group, HeldUp

__all__ = ["HeldUpGroups", "Outcomes", "Put", "own"]

_PAUSE: Final = 0.1  # seconds between two tries
_AT_ONCE: Final = 100  # groups of one try

Outcomes = Sequence[Exception | None]
Put = Callable[[Sequence[Group]], Awaitable[Outcomes]]


@attrs.define(eq=False)
class _Held:
    """One group, and what was said of it last."""

    group: Group
    answer: asyncio.Future[Exception | None]
    last: HeldUp


class HeldUpGroups:
    """Puts all of them together, again and again, each group for ``patience`` seconds."""

    def __init__(self, put: Put, patience: float) -> None:
        self._put = put
        self._patience = patience
        self._waiting: list[_Held] = []
        self._ids: Counter[str] = Counter()
        self._trying: asyncio.Task[None] | None = None
        self._none = asyncio.Event()
        self._none.set()

    def known(self, groups: Sequence[Group]) -> Outcomes | None:
        """What to say at once of groups, if an id among them is known to be held up."""
        if not self._ids or not any(
            message.id in self._ids for group in groups for message in group.messages
        ):
            return None
        return [HeldUp("another transaction holds the message") for _ in groups]

    async def put(self, groups: Sequence[Group], outcomes: Outcomes, asked: float) -> Outcomes:
        """What becomes of groups in the end, given what became of them at first.

        ``asked`` is when the caller asked for them, in loop time.
        """
        loop = asyncio.get_running_loop()
        mine = {
            number: _Held(groups[number], loop.create_future(), outcome)
            for number, outcome in enumerate(outcomes)
            if isinstance(outcome, HeldUp)
        }
        ids = [message.id for each in mine.values() for message in each.group.messages]
        self._ids.update(ids)
        self._none.clear()
        self._waiting += mine.values()
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try_on())
        try:
            left = max(0.0, asked + self._patience - loop.time())
            await asyncio.wait([each.answer for each in mine.values()], timeout=left)
        finally:
            gone = {*mine.values()}
            self._waiting = [each for each in self._waiting if each not in gone]
            self._ids.subtract(ids)
            self._ids = +self._ids
            if not self._ids:
                self._none.set()
        ended = {
            n: each.answer.result() if each.answer.done() else each.last for n, each in mine.items()
        }
        return [ended.get(number, outcome) for number, outcome in enumerate(outcomes)]

    async def drain(self) -> None:
        """Return when none is left that was asked for so far."""
        await self._none.wait()

    async def _try_on(self) -> None:
        while self._waiting:
            await asyncio.sleep(_PAUSE)
            some = self._next()
            if some:
                await self._try(some)

    async def _try(self, some: Sequence[_Held]) -> None:
        try:
            outcomes = await self._put([each.group for each in some])
        except Exception as error:  # noqa: BLE001  # whatever it is, each caller raises it
            outcomes = [own(error) for _ in some]
        for each, outcome in zip(some, outcomes, strict=True):
            if isinstance(outcome, HeldUp):
                each.last = outcome
            elif not each.answer.done():
                each.answer.set_result(outcome)

    def _next(self) -> Sequence[_Held]:
        """Those of the next try, no id twice."""
        taken: list[_Held] = []
        left: list[_Held] = []
        behind: list[_Held] = []  # others of the same id, in the order in which they came
        ids: set[str] = set()
        for each in self._waiting:
            if each.answer.done():
                continue
            mine = {message.id for message in each.group.messages}
            if not ids.isdisjoint(mine):
                behind.append(each)
            elif len(taken) < _AT_ONCE:
                taken.append(each)
            else:
                left.append(each)
            ids |= mine
        # A store may not get as far as the last of many: next time these are the first.
        self._waiting = [*left, *reversed(taken), *behind]
        return taken


def own(error: Exception) -> Exception:
    """A copy of an error of ours: raised by many, one object would gather their tracebacks."""
    if not isinstance(error, DulyError):
        return error
    try:
        made = copy.copy(error)
        made.__cause__ = error.__cause__
    except Exception:  # noqa: BLE001  # an error of a plugin's that cannot be made from its args
        return error
    return made if isinstance(made, Exception) else error
