"""Whether this code may go on: another process may have made the schema too new for it."""

import asyncio
import math
from typing import Final

from duly import StoreError
from duly_postgres.connection import Executor
from duly_postgres.ddl import VERSION
from duly_postgres.names import Names

__all__ = ["Usable", "newer"]

_EVERY: Final = 30.0  # seconds between two looks

_USABLE_FROM: Final = "SELECT max(usable_from) FROM {version}"


def newer(names: Names, usable_from: int) -> StoreError:
    """The error for a schema that is made for a later version."""
    return StoreError(
        f"PostgreSQL, {names}: its schema is usable from version {usable_from} on, this "
        f"duly-postgres has version {VERSION}: upgrade it"
    )


class Usable:
    """Asked before claims and the verbs of callers; it looks now and then.

    Settling and renewing go on, so that what was published is not published twice.
    """

    def __init__(self) -> None:
        self._look_at = -math.inf  # loop time

    def known(self) -> None:
        """Take note that it was checked just now."""
        self._look_at = asyncio.get_running_loop().time() + _EVERY

    async def see(self, db: Executor, names: Names) -> None:
        """Look, if it is time.

        Raises:
            StoreError: the schema is usable from a later version on.
        """
        if asyncio.get_running_loop().time() < self._look_at:
            return
        ((usable_from,),) = await db.fetch(names(_USABLE_FROM))
        if isinstance(usable_from, int) and usable_from > VERSION:
            raise newer(names, usable_from)  # looked at each time from now on
        self.known()
