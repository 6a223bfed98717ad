"""How often somebody may be wrong."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

__all__ = ["Tries"]

_KEPT: Final = 10_000  # addresses


class Tries:
    """Counts wrong tokens by the address they come from: ``most`` within ``seconds``.

    The addresses of one IPv6 network (/64) count as one. The oldest are forgotten first.
    """

    def __init__(
        self,
        most: int = 10,
        seconds: float = 60.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def left(self, address: str) -> float:
        """For how many seconds nothing more is tried from there; 0: go on."""
        now = self._clock()
        times = self._recent(_network(address), now)
        if len(times) < self._most:
            return 0.0
        return max(0.0, times[-self._most] + self._seconds - now)

    def wrong(self, address: str) -> None:
        """Something wrong came from there."""
        network, now = _network(address), self._clock()
        times = self._recent(network, now)
        self._wrong[network] = [*times, now][-self._most :]
        self._wrong.move_to_end(network)
        while len(self._wrong) > _KEPT:
            self._wrong.popitem(last=False)

    def _recent(self, network: str, now: float) -> list[float]:
        return [each for each in self._wrong.get(network, ()) if each > now - self._seconds]


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return address
