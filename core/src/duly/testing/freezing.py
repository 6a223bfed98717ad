"""Processes that can be frozen: none of their tasks takes a step until they are thawed."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["Frost", "Gated"]

T = TypeVar("T")


class Frost:
    """Whether the tasks of a process stand still, as by SIGSTOP."""

    def __init__(self) -> None:
        self.lasting = False
        self._held: list[asyncio.Future[None]] = []

    def begin(self) -> None:
        """Let no task take another step."""
        self.lasting = True

    def end(self) -> None:
        """Let them go on, in the order in which they were stopped."""
        self.lasting = False
        held, self._held = self._held, []
        for future in held:
            if not future.done():
                future.set_result(None)

    def hold(self) -> Any:
        """What a task is to wait for instead of taking its next step."""
        future = asyncio.get_running_loop().create_future()
        self._held.append(future)
        return future.__await__().send(None)


class Gated(Coroutine[Any, Any, T]):
    """A coroutine, for a task, that takes no step while its process is frozen."""

    def __init__(self, work: Coroutine[Any, Any, T], frost: Frost) -> None:
        self._work = work
        self._frost = frost
        self._error: BaseException | None = None  # that came while it stood still

    def send(self, value: Any) -> Any:
        if self._frost.lasting:
            return self._frost.hold()
        if self._error is not None:
            error, self._error = self._error, None
            return self._work.throw(error)
        return self._work.send(value)

    def throw(self, error: Any, *more: Any) -> Any:
        if self._frost.lasting:
            self._error = error
            return self._frost.hold()
        return self._work.throw(error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        raise NotImplementedError("made for tasks, which take the steps themselves")

    def __str__(self) -> str:
        return str(self._work)
