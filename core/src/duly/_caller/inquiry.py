"""Asking store and transport how they are, with an answer in time whatever they do."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from duly._values.answers import reasons_of
from duly._values.error_text import error_text
from duly.health import Report

__all__ = ["Inquiry", "Questions", "Replies"]

Questions = dict[str, Callable[[], Awaitable[Any]]]
"""What to ask, by the name under which the answer is found."""


class _Silence:
    """Stands for an answer that has not come."""


_SILENCE: Final = _Silence()


class Replies:
    """What became of each question, by its name; of an error, the error."""

    def __init__(self, answers: Mapping[str, object], limit: float) -> None:
        self._answers = answers
        self._limit = limit

    def __contains__(self, name: str) -> bool:
        """Whether it was asked."""
        return name in self._answers

    def of(self, name: str) -> tuple[Any, str | None]:
        """The answer, or what to say instead of it."""
        answer = self._answers[name]
        if answer is _SILENCE:
            return None, f"did not answer within {self._limit:g} s"
        if isinstance(answer, BaseException):
            return None, error_text(answer)
        return answer, None

    def silent(self, name: str) -> bool:
        """Whether no answer came in time."""
        return self._answers[name] is _SILENCE

    def failed_with(self, name: str, kind: type[Exception]) -> bool:
        """Whether the answer was an error of that kind."""
        return isinstance(self._answers[name], kind)

    def tell(self, name: str, who: str, report: Report) -> None:
        """Report what a ``check()`` of ``who`` has answered, if it was asked."""
        if name not in self._answers:
            return
        answer, trouble = self.of(name)
        if self.silent(name):
            report.odd(f"{who}'s check {trouble}")
        elif trouble is not None:
            report.odd(f"{who}'s check failed: {trouble}")
        else:
            for reason in reasons_of(answer, who):
                report.odd(reason)


class Inquiry:
    """Asks questions side by side, under one time limit.

    A question without an answer is cancelled and not waited for; if it has not even ended by the
    next time, it is not asked again, so that questions do not pile up.
    """

    def __init__(self) -> None:
        self._left: dict[str, asyncio.Task[Any]] = {}  # was cancelled, and goes on

    async def ask(self, questions: Questions, limit: float) -> Replies:
        """The answers that came within ``limit`` seconds."""
        tasks = {
            name: asyncio.create_task(self._ask(name, question), name=f"duly-health-{name}")
            for name, question in questions.items()
        }
        try:
            await asyncio.wait(tasks.values(), timeout=limit)
        finally:
            for name, task in tasks.items():
                if not task.done():
                    task.cancel()
                    if self._still_asked(name) is None:
                        self._left[name] = task
        answers = {
            name: task.result() if task.done() and not task.cancelled() else _SILENCE
            for name, task in tasks.items()
        }
        return Replies(answers, limit)

    def _still_asked(self, name: str) -> "asyncio.Task[Any] | None":
        left = self._left.get(name)
        here = asyncio.get_running_loop()
        return None if left is None or left.done() or left.get_loop() is not here else left

    async def _ask(self, name: str, question: Callable[[], Awaitable[Any]]) -> object:
        left = self._still_asked(name)
        if left is not None:
            await asyncio.wait([left])
        return await _answer(question)


async def _answer(question: Callable[[], Awaitable[Any]]) -> object:
    try:
        return await question()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is told
        return error
