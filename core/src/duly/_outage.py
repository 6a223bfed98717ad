"""Waiting out a transport that is gone, and finding the message that breaks the connection.

While it lasts nothing is claimed but a probe now and then, one message, another one each time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from duly._calls import cancelled_by_itself
from duly._logging import get_logger
from duly._outcomes import error_text
from duly.errors import TransportUnavailable
from duly.store import Key, SupportsHealth
from duly.transport import Transport

__all__ = ["Outage", "Pauses"]

_LOSSES: Final = 3  # connection losses that one message may be in flight at
_REMEMBERED: Final = 10_000  # messages that were in flight at a loss
_OPENING: Final = 30.0  # seconds that a transport may take to open or to check itself
_CLOSING: Final = 5.0

log = get_logger()

T = TypeVar("T")


class Pauses:
    """Growing pauses between tries, in seconds: doubled each time, back to the first by reset."""

    def __init__(self, first: float = 0.05, longest: float = 5.0) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """How long to wait before the next try."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """After a try that succeeded."""
        self._next = self._first


class Outage:
    """Whether the transport is there. ``hold`` is called when it is gone, ``wake`` either way."""

    def __init__(
        self, transport: Transport, *, hold: Callable[[str], None], wake: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._hold = hold
        self._wake = wake
        self._pauses = Pauses(first=0.1)
        self._opened = False
        self._losses: dict[Key, int] = {}
        self._trouble: BaseException | None = None
        self.active = False
        self.probes = 0
        """How many publishes were started to see whether it is back."""
        self.number = 0
        """How many outages there were, the present one included."""
        self.attended = True
        """Whether what is published now may be blamed if the connection breaks over it."""

    @property
    def quiet(self) -> bool:
        """Whether there is nothing that a successful publish would change."""
        return not self.active and not self._losses

    @property
    def reason(self) -> str:
        """What was said last of a transport that is away, as it may be shown."""
        said = "" if self._trouble is None else f": {error_text(self._trouble)}"
        return f"the transport is unavailable{said}"

    async def open(self) -> None:
        """Open the transport; one that is away is an outage, not an error."""
        try:
            await _within(_OPENING, self._transport.open())
        except TransportUnavailable as error:
            self._begin(error)
        else:
            self._opened = True

    async def close(self) -> None:
        """Close the transport."""
        self._opened = False
        await _within(_CLOSING, self._transport.close())

    def lost(self, error: TransportUnavailable, key: Key, *, attended: bool) -> bool:
        """Take note that a publish found the transport gone; whether the message is to blame.

        ``attended`` is what :attr:`attended` was when the publish started. A message that was in
        flight at three losses of a connection is to blame from then on; one that was merely sent
        to see whether the transport is back is not.
        """
        self._begin(error)
        if not attended:
            return False
        losses = self._losses.pop(key, 0) + 1
        self._losses[key] = losses  # the latest at the end
        if len(self._losses) > _REMEMBERED:
            del self._losses[next(iter(self._losses))]
        return losses >= _LOSSES

    def accepted(self, key: Key, *, probe: bool) -> None:
        """Take note that the transport accepted a message; ``probe``: one sent in an outage."""
        self._losses.pop(key, None)
        if probe:  # what was sent before may well be answered after the connection broke
            self.over()

    def over(self) -> None:
        """Take note that the transport answers."""
        self._trouble = None
        if self.active:
            self.active, self.attended = False, True
            self._pauses.reset()
            log.info("transport_back")
            self._wake()

    def pause(self) -> float:
        """How many seconds to wait before the next probe."""
        return self._pauses.next()

    async def ready_to_probe(self) -> bool:
        """Whether a message should be sent to see if the transport is back."""
        try:  # a transport need not connect anew by itself, and does nothing if it has
            await _within(_OPENING, self._transport.open())
        except TransportUnavailable as error:
            self._trouble = error
            return False
        except Exception as error:  # noqa: BLE001  # it was away before, so it still is
            self._trouble = error
            log.warning("transport_open_failed", error=error_text(error))
            return False
        if not self._opened:
            self._opened = True
            self.over()
            return False
        if isinstance(self._transport, SupportsHealth):
            # A connection that stands before the probe and breaks over it was broken by it.
            self.attended = False
            try:
                self.attended = not await _within(_OPENING, self._transport.check())
            except Exception as error:  # noqa: BLE001  # a check that fails tells of no health
                log.warning("transport_check_failed", error=error_text(error))
        return True

    def _begin(self, error: TransportUnavailable) -> None:
        self._trouble = error
        if not self.active:
            self.active, self.attended = True, False
            self.number += 1
            self._hold("outage")
            log.warning("transport_unavailable", error=error_text(error))
            self._wake()


async def _within(seconds: float, answer: Awaitable[T]) -> T:
    """The transport's answer; one that takes too long or cancels itself is none."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise TransportUnavailable(f"no answer within {seconds:g} s") from error
    except asyncio.CancelledError as error:
        if not cancelled_by_itself():
            raise
        raise TransportUnavailable("the transport cancelled the call by itself") from error
