"""Whether this code may go on: another process may have made the layout too new for it."""

import asyncio
import math
from typing import Final

from duly_mongo.namespace import Namespace
from duly_mongo.schema import SETTINGS_ID, check_usable

__all__ = ["Usable"]

_EVERY: Final = 30.0  # seconds between two looks


class Usable:
    """Asked before the verbs of callers; it looks now and then. Claims see it by themselves.

    Settling and renewing go on, so that what was published is not published twice.
    """

    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._look_at = asyncio.get_running_loop().time() + _EVERY

    async def space(self) -> Namespace:
        """The namespace, looked at if it is time.

        Raises:
            StoreError: its layout is usable from a later version on.
        """
        clock = asyncio.get_running_loop().time
        if clock() >= self._look_at:
            self._look_at = -math.inf  # looked at each time until it is usable
            settings = await self._space.leases.find_one({"_id": SETTINGS_ID})
            check_usable(self._space, settings or {})
            self._look_at = clock() + _EVERY
        return self._space
