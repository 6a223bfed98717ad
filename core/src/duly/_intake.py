"""Gathering: calls of schedule() made at the same time share one statement.

At most one flush is under way. The first caller waits for nobody; who calls while a flush is under
way goes with the next one. Each is answered after the store did.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs

from duly.errors import DulyError
from duly.store import Group

__all__ = ["Intake"]

_MESSAGES: Final = 1000  # of one flush; a larger group goes alone
_BYTES: Final = 8 * 1024 * 1024

Outcomes = Sequence[Exception | None]


@attrs.define
class _Call:
    groups: Sequence[Group]
    ids: frozenset[str]
    size: int
    answer: asyncio.Future[Outcomes]


class Intake:
    """Gathers groups of messages for ``put``, which takes many and answers one by one."""

    def __init__(self, put: Callable[[Sequence[Group]], Awaitable[Outcomes]]) -> None:
        self._put = put
        self._waiting: list[_Call] = []
        self._flushing: asyncio.Task[None] | None = None

    async def put(self, groups: Sequence[Group]) -> Outcomes:
        """The outcomes of these groups; the ids in them are distinct.

        Raises:
            StoreError: what ``put`` raised for the flush that these groups were part of.
        """
        messages = [message for group in groups for message in group.messages]
        call = _Call(
            groups,
            frozenset(message.id for message in messages),
            sum(len(message.payload) for message in messages),
            asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(call)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await call.answer

    async def drain(self) -> None:
        """Return when every call made so far has been answered."""
        # One that is done may be of an event loop that is gone.
        if self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])

    async def _flush(self) -> None:
        while self._waiting:
            calls = self._take()
            if not calls:  # all of them were cancelled
                continue
            try:
                outcomes = await self._put([group for call in calls for group in call.groups])
            except BaseException as error:
                for call in calls:
                    self._fail(call, error)
                if not isinstance(error, Exception):
                    raise
            else:
                self._answer(calls, outcomes)

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

    def _fail(self, call: _Call, error: BaseException) -> None:
        if call.answer.done():
            return
        if isinstance(error, Exception):
            # Each caller raises its own: one object raised by many would gather their tracebacks.
            call.answer.set_exception(_own(error))
        else:
            call.answer.cancel()


def _own(error: Exception) -> Exception:
    """A copy of an error of ours."""
    if not isinstance(error, DulyError):
        return error
    try:
        own = copy.copy(error)
    except Exception:  # noqa: BLE001  # an error of a plugin's that cannot be made from its args
        return error
    own.__cause__ = error.__cause__
    return own
