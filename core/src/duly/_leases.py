"""Keeping claims alive: one timer renews all that one scheduler holds."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta

from duly._calls import StoreCalls
from duly._hands import Hand
from duly._logging import get_logger
from duly._outage import Pauses
from duly._outcomes import error_text
from duly.store import Token

__all__ = ["Leases"]

log = get_logger()


class Leases:
    """Renews the leases of ``hands`` at every third of their length.

    ``hold`` and ``resume`` are called when renewing fails and when it works again: in between no
    publish may start.
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
    ) -> None:
        self._calls = calls
        self._hands = hands
        self._lease = lease
        self._keep_until = keep_until
        self._hold = hold
        self._resume = resume
        self._pauses = Pauses(longest=min(5.0, lease.total_seconds() / 10))

    async def run(self) -> None:
        """Renew for ever."""
        pause = interval = self._lease.total_seconds() / 3
        while True:
            await asyncio.sleep(pause)
            try:
                await self.renew()
            except Exception as error:  # noqa: BLE001  # tried again; publishes stop until then
                log.warning("renewal_failed", error=error_text(error))
                self._hold("renewing")
                pause = self._pauses.next()
            else:
                self._resume("renewing")
                self._pauses.reset()
                pause = interval

    async def renew(self) -> None:
        """Renew all leases once.

        Raises:
            StoreUnavailable: the store cannot be reached; nothing is known of the leases.
        """
        hands = list(self._hands.values())
        if not hands:
            return
        sent = asyncio.get_running_loop().time()
        answers = await self._calls(
            self._calls.store.renew, [hand.token for hand in hands], self._lease
        )
        for hand, withdrawn in zip(hands, answers, strict=True):
            if withdrawn is None:
                # Settled in the meantime, or lost: then nothing of it is published any more.
                hand.keep_until = -math.inf
            else:
                hand.keep_until = self._keep_until(sent)
                hand.withdrawn = withdrawn
