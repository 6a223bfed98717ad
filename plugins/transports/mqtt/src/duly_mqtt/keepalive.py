"""Asking a silent broker whether it is there, and giving up one that stays silent."""

import asyncio
from collections.abc import Callable
from typing import Final

from duly_mqtt.upload import Upload

__all__ = ["KeepAlive"]

_LOOKS: Final = 3  # checks of a silent broker, half a keep-alive apart


class KeepAlive:
    """Pings after half of so many seconds of silence, gives up after three halves; 0 is never.

    A broker that receives a large message over a slow link sends nothing, and a ping queued behind
    that message has not been sent yet: as long as the upload goes on, the broker is there.
    """

    def __init__(
        self, ask: Callable[[], None], give_up: Callable[[str], None], upload: Callable[[], Upload]
    ) -> None:
        self._ask = ask
        self._give_up = give_up
        self._upload = upload
        self._last = Upload(waits=False, gone=0)
        self._period = 0.0
        self._silence = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Begin to watch the connection."""
        self._period = seconds / 2
        if self._period:
            self.look()

    def stop(self) -> None:
        """Stop watching the connection."""
        if self._timer is not None:
            self._timer.cancel()

    def heard(self) -> None:
        """The broker has sent something."""
        self._silence = 0

    def look(self) -> None:
        """Check whether it was silent since the last check.

        Checks are counted, not seconds: what came while this process was busy is read first.
        """
        last, self._last = self._last, self._upload()
        if self._last.since(last):
            self.heard()
        if self._silence == _LOOKS:
            self._give_up(f"the broker has been silent for {_LOOKS * self._period:g} s")
            return
        if self._silence:
            self._ask()
        self._silence += 1
        self._timer = asyncio.get_running_loop().call_later(self._period, self.look)
