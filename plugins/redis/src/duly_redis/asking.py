"""Asking several shards side by side, and going on with those that answer."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from duly import StoreError, StoreUnavailable
from duly.store import PartlyUnavailable
from duly_redis.calls import Calls
from duly_redis.keys import Shard
from duly_redis.knocking import knock

__all__ = ["Asking"]

# Seconds to wait for the others when one shard has answered. On a slow disk the append-only file
# may hold a server up for two seconds: such a server is not away.
_PATIENCE: Final = 2.5
_DOUBT: Final = 1.0  # seconds without any answer until all others are asked whether they are there

T = TypeVar("T")


class _NoAnswer(PartlyUnavailable):
    """A shard has not answered, long after others have."""


class Asking:
    """Asks shards by their numbers, and notes those that do not answer."""

    def __init__(self, calls: Calls, shards: Sequence[Shard]) -> None:
        self._calls = calls
        self._shards = shards

    def present(self) -> Sequence[int]:
        """The shards to ask; all of them when none answers."""
        away = self._calls.away
        return [number for number, shard in enumerate(self._shards) if shard not in away]

    async def all(
        self,
        asking: Mapping[int, Coroutine[Any, Any, T]],
        drop: Callable[[int, T], None] | None = None,
    ) -> Mapping[int, T]:
        """The answers of shards that answer; ``drop`` is called with them if this raises.

        Raises:
            StoreUnavailable: no shard of the store answers.
            StoreError: a shard refuses.
        """
        if len(self._shards) == 1:
            return {number: await each for number, each in asking.items()}
        found: dict[int, T] = {}
        silent: StoreError | None = None
        refusal: StoreError | None = None
        for number, answer in (await self.each(asking, drop)).items():
            if isinstance(answer, StoreUnavailable):
                self._calls.away.note(self._shards[number], answer)
                silent = answer
            elif isinstance(answer, StoreError):
                refusal = answer
            else:
                found[number] = answer
        error = refusal or (silent if not found and self._calls.away.all else None)
        if error is not None:
            if drop is not None:
                for number, each in found.items():
                    drop(number, each)
            raise error
        return found

    async def each(
        self,
        asking: Mapping[int, Coroutine[Any, Any, T]],
        drop: Callable[[int, T], None] | None = None,
    ) -> Mapping[int, T | StoreError]:
        """The answer of each, or its error. A shard silent long after another answered is noted.

        ``drop`` is called with the answers so far if the caller gives up first.
        """
        tasks = {number: asyncio.ensure_future(each) for number, each in asking.items()}
        try:
            await self._wait(tasks)
        except BaseException:
            for number, task in tasks.items():
                answered = not task.cancelled() and task.exception() is None
                if answered and drop is not None:
                    drop(number, task.result())
            raise
        answers = {number: _answer(task) for number, task in tasks.items()}
        for number, answer in answers.items():
            if isinstance(answer, _NoAnswer):
                self._calls.away.note(self._shards[number], answer)
        return answers

    async def _wait(self, tasks: Mapping[int, "asyncio.Task[Any]"]) -> None:
        """Return when all are done, the last of them because they were cancelled."""
        waited: set[asyncio.Task[Any]] = set(tasks.values())
        others: set[asyncio.Task[Any]] = set()
        doubt: float | None = _DOUBT
        try:
            while waited:
                done, left = await asyncio.wait(
                    waited | others, timeout=doubt, return_when=asyncio.FIRST_COMPLETED
                )
                waited, others = waited & left, others & left
                failures = [each.exception() for each in done]
                if waited and None in failures:
                    await asyncio.wait(waited, timeout=_PATIENCE)
                    break
                if not done:
                    doubt = None
                    others = {
                        asyncio.ensure_future(knock(self._calls.client, shard))
                        for number, shard in enumerate(self._shards)
                        if number not in tasks
                    }
        finally:
            unfinished = [task for task in (*tasks.values(), *others) if not task.done()]
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished)


def _answer(task: "asyncio.Task[T]") -> T | StoreError:
    if task.cancelled():
        return _NoAnswer(f"no answer within {_PATIENCE:g} s, while others have answered")
    error = task.exception()
    if isinstance(error, StoreError):
        return error
    return task.result()
