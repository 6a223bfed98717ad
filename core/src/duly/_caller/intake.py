"""Gathering: calls of schedule() made at the same time share one statement.

At most one flush of each event loop is under way. The first caller waits for nobody; calls made
while a flush is under way go with the next one. Each is answered after the store has answered.
While calls come one at a time, each goes by itself. What an open transaction holds up goes apart.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from duly._caller.held_up import HeldUpGroups, Outcomes, Put, own
from duly.store import Group, HeldUp

__all__ = ["Intake"]

_MESSAGES: Final = 1000  # of one flush; a larger group goes alone
_BYTES: Final = 8 * 1024 * 1024


@attrs.define
class _Call:
    groups: Sequence[Group]
    ids: frozenset[str]
    size: int
    answer: asyncio.Future[Outcomes]


class Intake:
    """Gathers groups of messages for ``put``, which takes many and answers one by one.

    It may be called on several event loops at a time: each gathers its own. Groups that are held
    up are put again for ``patience`` seconds.
    """

    def __init__(self, put: Put, patience: float = 10) -> None:
        self._put = put
        self._patience = patience
        self._lines: Mapping[asyncio.AbstractEventLoop, _Line] = {}
        self._lock = threading.Lock()

    async def put(self, groups: Sequence[Group]) -> Outcomes:
        """The outcomes of these groups; the ids in them are distinct.

        Raises:
            StoreError: what ``put`` raised for the flush that these groups were part of.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        return await (self._new_line(loop) if line is None else line).put(groups)

    async def drain(self) -> None:
        """Return when every call made so far on this event loop has been answered."""
        line = self._lines.get(asyncio.get_running_loop())
        if line is not None:
            await line.drain()

    def _new_line(self, loop: asyncio.AbstractEventLoop) -> "_Line":
        line = _Line(self._put, self._patience)
        with self._lock:
            alive = {each: kept for each, kept in self._lines.items() if not each.is_closed()}
            self._lines = {**alive, loop: line}
        return line


class _Line:
    """The calls of one event loop."""

    def __init__(self, put: Put, patience: float) -> None:
        self._put = put
        self._held_up = HeldUpGroups(put, patience)
        self._waiting: list[_Call] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._flushing: asyncio.Task[None] | None = None  # held, or it might be collected
        self._crowded = True  # whether calls come several at a time, judged by the last flush

    async def put(self, groups: Sequence[Group]) -> Outcomes:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        outcomes = self._held_up.known(groups)
        if outcomes is None:
            if self._idle.is_set() and not self._crowded:
                outcomes = await self._put_alone(groups)
            else:
                outcomes = await self._gathered(groups, loop.create_future())
        if any(outcomes) and any(isinstance(outcome, HeldUp) for outcome in outcomes):
            outcomes = await self._held_up.put(groups, outcomes, asked)
        return outcomes

    async def drain(self) -> None:
        await self._idle.wait()
        await self._held_up.drain()

    def _gathered(
        self, groups: Sequence[Group], answer: asyncio.Future[Outcomes]
    ) -> asyncio.Future[Outcomes]:
        """The answer to come, by the next flush."""
        messages = [message for group in groups for message in group.messages]
        ids = frozenset([message.id for message in messages])
        size = sum([len(message.payload) for message in messages])
        self._waiting.append(_Call(groups, ids, size, answer))
        if self._idle.is_set():
            self._start()
        return answer

    async def _put_alone(self, groups: Sequence[Group]) -> Outcomes:
        """A call that meets no other, without the cost of gathering."""
        self._idle.clear()
        try:
            return await self._put(groups)
        finally:
            if self._waiting:
                self._start()
            else:
                self._idle.set()

    def _start(self) -> None:
        self._idle.clear()
        self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._waiting:
                calls = self._take()
                self._crowded = len(calls) > 1
                await self._send(calls)
        except BaseException:  # this task is to end, so nobody would answer those who wait
            for call in self._waiting:
                call.answer.cancel()
            self._waiting.clear()
            raise
        finally:
            self._idle.set()

    async def _send(self, calls: Sequence[_Call]) -> None:
        if not calls:  # all of them were cancelled
            return
        try:
            outcomes = await self._put([group for call in calls for group in call.groups])
            self._answer(calls, outcomes)
        except Exception as error:  # noqa: BLE001  # whatever it is, each caller raises it
            self._fail(calls, error)
        except BaseException:
            for call in calls:
                call.answer.cancel()
            raise

    def _take(self) -> list[_Call]:
        """The calls of the next flush: in order, within bounds, no id twice."""
        taken: list[_Call] = []
        left: list[_Call] = []
        ids: set[str] = set()  # of those taken, and of those that wait for their turn
        messages = size = 0
        for place, call in enumerate(self._waiting):
            if call.answer.cancelled():
                continue
            if not ids.isdisjoint(call.ids):
                left.append(call)
            elif taken and (messages + len(call.ids) > _MESSAGES or size + call.size > _BYTES):
                left += self._waiting[place:]
                break
            else:
                taken.append(call)
                messages += len(call.ids)
                size += call.size
            ids |= call.ids
        self._waiting = left
        return taken

    def _answer(self, calls: Sequence[_Call], outcomes: Outcomes) -> None:
        start = 0
        for call in calls:
            end = start + len(call.groups)
            if not call.answer.done():
                call.answer.set_result(outcomes[start:end])
            start = end

    def _fail(self, calls: Sequence[_Call], error: Exception) -> None:
        for call in calls:
            if not call.answer.done():
                call.answer.set_exception(own(error))
