"""Whether the transport is there, and which message breaks its connection.

:mod:`duly._engine.probing` sends messages meanwhile to see whether it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from duly._caller.calls import cancelled_by_itself
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly.errors import TransportUnavailable
from duly.store import Key, SupportsHealth
from duly.transport import Transport

__all__ = ["Outage", "Pauses"]

_LOSSES: Final = 3  # connection losses that one message may be in flight at
_REMEMBERED: Final = 10_000  # messages that were in flight at a loss
_OPENING: Final = 30.0  # seconds that a transport may take to open or to check itself
_CLOSING: Final = 5.0
_MOST_SAYINGS: Final = 64

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
    """Whether the transport is there; ``hold`` and ``resume`` are called when that changes.

    ``wake`` is called with either, ``tell`` with "transport" when it is found away.

    An outage ends with a publish that is answered. If there is nothing to publish, the transport's
    own word is enough to report it as back; the next message is still sent alone until it is
    accepted. Each time its word proves wrong, it takes twice as many to be believed again.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        hold: Callable[[str], None],
        resume: Callable[[str], None],
        wake: Callable[[], None],
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._transport = transport
        self._hold, self._resume, self._wake, self._tell = hold, resume, wake, tell
        self._pauses = Pauses(first=0.1)
        self._losses: dict[Key, int] = {}
        self._trouble: BaseException | None = None
        self._told: tuple[str, str] | None = None  # what was logged last of opening or checking it
        self._stands = False  # whether its own check found nothing just now
        self._says_so = False  # whether all that it can say is that it is there
        self._sayings = 0  # how often it said so in a row
        self._believed_after = 1  # sayings
        self._tried: Key | None = None  # the message that was sent last to see whether it is back
        self._tried_several = False
        self._crowd: set[Key] = set()  # what was in flight when the present one began
        self._broke: set[Key] = set()  # of those, what broke it again, alone
        self.active = False
        """Whether only probes are published."""
        self.away = False
        """Whether it is reported as away; what may be published does not depend on this."""
        self.probes = 0
        """How many publishes were started to see whether it is back."""
        self.number = 0
        """How many outages there were, the present one included."""
        self.attended = True
        """Whether what is published now may be blamed if the connection breaks over it."""

    @property
    def quiet(self) -> bool:
        """Whether a successful publish would change nothing here."""
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

    async def close(self) -> None:
        """Close the transport."""
        await _within(_CLOSING, self._transport.close())

    def lost(self, error: TransportUnavailable, key: Key, *, attended: bool) -> bool:
        """Take note that a publish found the transport gone; whether the message is to blame.

        ``attended`` is what :attr:`attended` was when the publish started. A message that was in
        flight at three losses of a connection is to blame from then on; one that was merely sent
        to see whether the transport is back is not.
        """
        self._begin(error)
        if key == self._tried and key in self._crowd:
            self._broke.add(key)
        if not attended:
            return False
        self._crowd.add(key)
        losses = self._losses.pop(key, 0) + 1
        self._losses[key] = losses  # the latest at the end
        if len(self._losses) > _REMEMBERED:
            del self._losses[next(iter(self._losses))]
        return losses >= _LOSSES

    def unanswered(self, error: Exception, probe: int) -> None:
        """Take note that a publish that was to show whether it is back showed nothing."""
        if self.active and probe == self.number:
            self._begin(error)

    def accepted(self, key: Key, *, probe: int) -> None:
        """Take note that the transport accepted a message; ``probe``: sent in which outage."""
        self._losses.pop(key, None)
        self.over(probe)

    def over(self, probe: int) -> None:
        """Take note that the transport answers what was sent in that outage, from 1.

        What was sent before it, or in an earlier one, may well be answered although it is gone.
        """
        if self.active and probe == self.number:
            self.active, self.attended = False, True
            self._resume("outage")
            self._acquit()
            self._pauses.reset()
            self._believed_after = 1
            self._be_back()
            self._wake()

    def _acquit(self) -> None:
        """If one message alone broke the connection, all else in flight then is not to blame."""
        for key in self._crowd - self._broke if self._broke else ():
            losses = self._losses.pop(key, 1) - 1
            if losses:
                self._losses[key] = losses

    def idle(self) -> None:
        """Take note that there is nothing to publish, so that the transport's own word must do."""
        if self.away and self._says_so:
            self._sayings += 1
            if self._sayings >= self._believed_after:
                self._be_back()

    def pause(self) -> float:
        """How many seconds to wait before the next probe."""
        return self._pauses.next()

    async def ready_to_probe(self) -> bool:
        """Whether a message should be sent to see if the transport is back."""
        self._says_so = self._stands = False
        try:  # a transport need not connect anew by itself, and does nothing if it has
            await _within(_OPENING, self._transport.open())
        except TransportUnavailable as error:
            self._trouble, self._sayings = error, 0
            return False
        except Exception as error:  # noqa: BLE001  # it was away before, so it still is
            self._trouble, self._sayings = error, 0
            self._warn("transport_open_failed", error)
            return False
        self._says_so = True
        if isinstance(self._transport, SupportsHealth):
            try:
                self._stands = not await _within(_OPENING, self._transport.check())
            except Exception as error:  # noqa: BLE001  # a check that fails tells of no health
                self._warn("transport_check_failed", error)
            self._says_so = self._stands
        if not self._says_so:
            self._sayings = 0
        return True

    def try_with(self, key: Key) -> None:
        """Take note of a message sent to see whether the transport is back; decide on its blame.

        If the connection stood before and breaks over it, the message broke it, unless it breaks
        over others too: then the transport's own word is worth nothing.
        """
        if self._tried is not None and key != self._tried:
            self._tried_several = True
        self.attended = self._stands and key == self._tried and not self._tried_several
        self._tried = key

    def _begin(self, error: Exception) -> None:
        self._trouble = error
        if not self.active:
            self.active, self.attended = True, False
            self.number += 1
            self._tried, self._tried_several, self._told = None, False, None
            self._crowd, self._broke = set(), set()
            self._hold("outage")
        elif not self.away:  # it said that it was back
            self._believed_after = min(2 * self._believed_after, _MOST_SAYINGS)
        self._sayings = 0
        if not self.away:
            self.away = True
            log.warning("transport_unavailable", error=error_text(error))
            self._tell("transport")
            self._wake()

    def _warn(self, event: str, error: BaseException) -> None:
        """Log what went wrong on the way back; the same again and again only once."""
        told = event, error_text(error)
        if told != self._told:
            self._told = told
            log.warning(event, error=told[1])

    def _be_back(self) -> None:
        self._trouble = None
        if self.away:
            self.away = False
            log.info("transport_back")


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
