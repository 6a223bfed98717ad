"""Asking a silent broker whether it is there, and giving up one that stays silent."""

import asyncio
from collections.abc import Callable
from typing import Final

from duly_mqtt.upload import Upload

__all__ = ["KeepAlive"]

_LOOKS: Final = 3  # at a silent broker, half a keep-alive apart


class KeepAlive:
    """Asks after half of so many seconds of silence, gives up after three halves; 0 is never.

    A broker that is taking in a large message over a slow link has nothing to say, and a question
    that is queued behind it has not been asked yet: as long as the upload goes on it is there.
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
        """Begin to listen."""
        self._period = seconds / 2
        if self._period:
            self.look()

    def stop(self) -> None:
        """Whether it is there is of no interest any more."""
        if self._timer is not None:
            self._timer.cancel()

    def heard(self) -> None:
        """The broker has said something."""
        self._silence = 0

    def look(self) -> None:
        """See whether it was silent since the last look.

        Counted in looks, not in seconds: what came while this process was busy is read first.
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
