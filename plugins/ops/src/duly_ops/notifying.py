"""Telling systemd: ready, alive, stopping; nothing where no systemd listens."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

__all__ = ["Notifying", "notify"]

_EVERY: Final = 1.0  # seconds
_MORE_TIME: Final = 30_000_000  # microseconds that a start may take longer, each time

Troubles = Callable[[], Awaitable[Sequence[str]]]


def notify(*lines: str) -> bool:
    """Send lines such as ``READY=1``; whether somebody listens."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return False
    path = f"\0{place[1:]}" if place.startswith("@") else place
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.settimeout(1)
            sending.connect(path)
            sending.send("\n".join(lines).encode("utf-8", "replace"))
    except OSError:  # systemd will see that nothing comes
        return False
    return True


class Notifying:
    """Says when all is ready, again and again that it lives, and once that it stops.

    ``stuck`` and ``unready`` give what is wrong, nothing if nothing is. ``stopping`` tells whether
    all of it stops.
    """

    def __init__(
        self, stuck: Troubles, unready: Troubles, stopping: Callable[[], bool], *, on: bool = True
    ) -> None:
        self._stuck = stuck
        self._unready = unready
        self._stopping = stopping
        self._on = on
        self._ready = self._stops = self._over = False
        self._said = ""

    async def run(self) -> None:
        """Notify for ever."""
        self._ready = self._stops = self._over = False
        while self._on and not self._over and os.environ.get("NOTIFY_SOCKET"):
            await self._once()
            await asyncio.sleep(min(_EVERY, _watched_every() / 3))

    def stop(self) -> None:
        """Nothing more is said, but that it stops if that was not said before."""
        self._over = True
        self._say_that_it_stops()

    def _say_that_it_stops(self) -> None:
        if self._on and not self._stops:
            self._stops = True
            notify("STOPPING=1")

    async def _once(self) -> None:
        lines = []
        if self._stopping():
            self._say_that_it_stops()
        stuck, unready = await self._stuck(), await self._unready()
        if not stuck:
            lines.append("WATCHDOG=1")
            if not self._ready and not self._stops:
                lines.append("READY=1" if not unready else f"EXTEND_TIMEOUT_USEC={_MORE_TIME}")
                self._ready = not unready
        said = f"STATUS={'; '.join(unready or ['delivers'])}"
        if said != self._said:
            lines.append(said)
        self._said = said
        if lines and not self._over:
            await asyncio.to_thread(notify, *lines)


def _watched_every() -> float:
    """How often systemd wants to hear that it lives, in seconds."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) else 60.0
