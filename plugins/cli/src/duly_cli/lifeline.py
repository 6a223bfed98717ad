"""A process ends itself when the one that started it is gone: no scheduler is left behind."""

import contextlib
import os
import signal
import threading
import time
from typing import Final

__all__ = ["hold"]

_LONGEST: Final = 90.0  # seconds for a drain, which ends by itself well before


def hold(lifeline: int) -> None:
    """Drain as after a signal when the pipe ends, whose other end the starter alone holds."""
    os.set_inheritable(lifeline, False)  # what a handler starts must not hold it
    threading.Thread(target=_wait, args=[lifeline], name="duly-lifeline", daemon=True).start()


def _wait(lifeline: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(lifeline, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LONGEST)
    os.kill(os.getpid(), signal.SIGKILL)  # a handler holds it up; its messages come back
