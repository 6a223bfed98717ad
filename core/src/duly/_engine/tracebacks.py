"""Tracebacks of what handlers raise: where something goes wrong, without a flood of them."""

import time
from typing import Final

from duly._telemetry.logging import get_logger
from duly._values.wording import decided_text
from duly.errors import DulyError

__all__ = ["Tracebacks"]

_EVERY: Final = 60.0  # seconds
_REMEMBERED: Final = 256  # errors

log = get_logger()

Place = tuple[str, str, int, str]
"""The event name, the file and the line that raised, and the class of what it raised."""


class Tracebacks:
    """Logs that of an error as a warning, of one that is like it not again within a minute.

    Errors are alike if they are of one class, raised at one line, for one event name. Further ones
    are logged on the level DEBUG. One that duly's own code raised, or a handler on purpose as
    Rejected, needs none.
    """

    def __init__(self) -> None:
        self._logged: dict[Place, float] = {}

    def tell(self, error: Exception, *, message_id: str, event_name: str) -> None:
        """Called for each attempt that failed; nothing is told if the user words the errors."""
        if decided_text(error) is not None or error.__traceback__ is None:
            return
        wanted = not isinstance(error, DulyError) and self._is_new(_place(error, event_name))
        tell = log.warning if wanted else log.debug
        tell("delivery_traceback", message_id=message_id, event_name=event_name, exc_info=error)

    def _is_new(self, place: Place) -> bool:
        now = time.monotonic()
        logged = self._logged.pop(place, None)
        new = logged is None or now - logged >= _EVERY
        self._logged[place] = now if logged is None or new else logged
        if len(self._logged) > _REMEMBERED:
            del self._logged[next(iter(self._logged))]
        return new


def _place(error: Exception, event_name: str) -> Place:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    file = "" if last is None else last.tb_frame.f_code.co_filename
    return event_name, file, 0 if last is None else last.tb_lineno, type(error).__qualname__
