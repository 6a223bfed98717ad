"""Keeping claims alive: one timer renews all that one scheduler holds."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta

from duly._caller.calls import StoreCalls
from duly._engine.in_hand import Hand
from duly._engine.lanes import TICK
from duly._engine.outage import Pauses
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly.store import Token

__all__ = ["Leases"]

log = get_logger()


class Leases:
    """Renews the leases of ``hands`` at every third of their length.

    ``hold`` and ``resume`` are called when renewing fails and when it works again: in between no
    publish may start. ``failed`` is called each time that it fails.
    """

    def __init__(
        self,
        calls: StoreCalls,
        hands: dict[Token, Hand],
        *,
        lease: timedelta,
        keep_until: Callable[[float], float],
        hold: Callable[[str], None],
        resume: Callable[[str], None],
        failed: Callable[[], object] = lambda: None,
    ) -> None:
        self._calls = calls
        self._hands = hands
        self._lease = lease
        self._keep_until = keep_until
        self._hold = hold
        self._resume = resume
        self._failed = failed
        self._pauses = Pauses(longest=min(5.0, lease.total_seconds() / 10))

    async def run(self) -> None:
        """Renew for ever, each time early enough that the answer comes while leases are certain."""
        clock = asyncio.get_running_loop().time
        pause = interval = self._lease.total_seconds() / 3
        while True:
            await asyncio.sleep(pause)
            begun = clock()
            try:
                await self.renew()
            except Exception as error:  # noqa: BLE001  # tried again; publishes stop until then
                log.warning("renewal_failed", error=error_text(error))
                self._hold("renewing")
                self._failed()
                pause = self._pauses.next()
            else:
                self._resume("renewing")
                self._pauses.reset()
                took = clock() - begun
                certain = self._keep_until(0.0) - 2 * TICK - took
                pause = max(0.0, min(interval, certain) - took)

    async def renew(self) -> None:
        """Renew all leases once.

        Raises:
            StoreError: the store cannot be reached, or has answered something else; nothing is
                known of the leases.
        """
        hands = list(self._hands.values())
        if not hands:
            return
        sent = asyncio.get_running_loop().time()
        answers = await self._calls.renew([hand.token for hand in hands], self._lease)
        for hand, withdrawn in zip(hands, answers, strict=True):
            if withdrawn is None:
                # Settled in the meantime, or lost: then nothing of it is published any more.
                hand.keep_until = -math.inf
            else:
                hand.keep_until = self._keep_until(sent)
                hand.withdrawn = withdrawn
