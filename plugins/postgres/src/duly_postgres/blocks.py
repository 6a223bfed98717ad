"""Transactions and savepoints by statements of our own.

asyncpg's own cannot begin inside a transaction that a plain ``BEGIN`` has begun.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

__all__ = ["Block"]


class Block:
    """What is done in it is done as a whole or not at all."""

    def __init__(
        self, execute: Callable[[str], Awaitable[object]], begin: str, end: str, undo: str
    ) -> None:
        self._execute = execute
        self._begin, self._end, self._undo = begin, end, undo

    @classmethod
    def savepoint(cls, execute: Callable[[str], Awaitable[object]]) -> Self:
        """A part of a transaction; if they are nested, the name means the innermost."""
        release = "RELEASE SAVEPOINT duly"
        return cls(execute, "SAVEPOINT duly", release, f"ROLLBACK TO SAVEPOINT duly; {release}")

    async def __aenter__(self) -> None:
        await self._execute(self._begin)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._execute(self._end if kind is None else self._undo)
