"""A history as its owner sees it: made, waited for, closed."""

import asyncio
import functools
import os
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from duly import InvalidArgument
from duly_history.database import Database
from duly_history.migrations import make_ready
from duly_history.reading import Reading
from duly_history.recorder import Recorder

__all__ = ["GIVEN", "Keeping"]

GIVEN: Final = weakref.WeakSet["Keeping"]()
"""All that there are in this process."""


def _before_fork() -> None:
    for each in GIVEN:
        each.recorder.before_fork()


def _after_fork() -> None:
    for each in GIVEN:
        each.recorder.after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _now() -> datetime:
    return datetime.now(UTC)


class Keeping(Reading):
    """Made of its settings, waited for and closed; :class:`duly_history.History` says how."""

    def __init__(
        self,
        url: str,
        *,
        keep: timedelta = timedelta(days=7),
        keep_changes: timedelta = timedelta(days=365),
        of: Sequence[str] = ("*",),
        messages: bool = True,
        audit: bool = True,
        most_waiting: int = 100_000,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._database = Database(url)
        self._clock = clock
        self.is_plugin = False
        """Whether a client was given it, and has told it something: it may be there to be read."""
        options: dict[str, Any] = {
            "keep": keep, "keep_changes": keep_changes, "of": of, "messages": messages,
            "audit": audit, "most_waiting": most_waiting, **self._database.options,
        }  # fmt: skip
        _check(**options)
        self.recorder = Recorder(self._database, clock=clock, **options)
        GIVEN.add(self)

    def __repr__(self) -> str:
        return f"History({self._database.place!r})"

    @property
    def url(self) -> str:
        """Where it is kept, as it was given."""
        return self._database.text

    async def migrate(self) -> None:
        """Make the tables where they are missing.

        Raises:
            HistoryUnavailable: the database cannot be reached.
            HistoryError: it refuses.
        """
        self._database.auto_migrate, before = True, self._database.auto_migrate
        try:
            await asyncio.to_thread(make_ready, self._database)
        finally:
            self._database.auto_migrate = before

    async def flush(self) -> None:
        """Wait until all that was told until now is in the database.

        Raises:
            HistoryUnavailable: the database cannot be reached; what waits goes on waiting.
            HistoryError: it refuses.
        """
        await asyncio.wrap_future(self.recorder.writer().flush())

    async def close(self) -> None:
        """Write what waits, in some seconds at most.

        At the end of the process that is done anyway. What is told later begins anew.
        """
        await asyncio.to_thread(functools.partial(self.recorder.close, wait=True))
        self._database.engine.dispose()


def _check(
    *,
    keep: object,
    keep_changes: object,
    of: Sequence[str],
    messages: object,
    audit: object,
    most_waiting: object,
) -> None:
    for name, value in (("keep", keep), ("keep_changes", keep_changes)):
        if not isinstance(value, timedelta) or value <= timedelta(0):
            raise InvalidArgument(f"{name} must be a timedelta above 0, not {value!r}")
    if isinstance(of, str) or not all(isinstance(each, str) and each for each in of):
        raise InvalidArgument(f"of must be a list of event names and prefixes, not {of!r}")
    for each in of:
        if "*" in each and each != "*" and (not each.endswith(".*") or "*" in each[:-1]):
            raise InvalidArgument(f"of: {each!r} is no prefix: one ends in .*, as 'orders.*'")
    for name, value in (("messages", messages), ("audit", audit)):
        if not isinstance(value, bool):
            raise InvalidArgument(f"{name} must be True or False, not {value!r}")
    if not isinstance(most_waiting, int) or isinstance(most_waiting, bool) or most_waiting < 1:
        raise InvalidArgument(f"most_waiting must be a whole number from 1, not {most_waiting!r}")
