"""What the history tells, where one is kept; what it does not tell is said in words."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from duly import DulyError

if TYPE_CHECKING:
    from duly_history import Changes, Entries, EventFigures, History, Rates

__all__ = ["NOT_KEPT", "LastHour", "Past", "Span"]

T = TypeVar("T")
NOT_KEPT: Final = (
    "What became of messages, and who did what, is not kept here: that takes duly-history."
)
_SPAN: Final = timedelta(minutes=3)
_SPANS: Final = 20
_EVENTS: Final = 1000
_FIRES: Final = 5


@attrs.frozen(kw_only=True)
class Span:
    """How late deliveries were in a span of three minutes, in seconds; None: there were none."""

    start: datetime
    p50: float | None
    p99: float | None


@attrs.frozen(kw_only=True)
class LastHour:
    """What happened in the last hour."""

    rates: "Rates"
    spans: Sequence[Span]
    p99: float | None
    events: "Mapping[str, EventFigures]"


class Past:
    """Asks a history, which may be missing or away."""

    def __init__(self, history: "History | None") -> None:
        self._history = history
        self._spans: dict[datetime, Span] = {}

    @property
    def kept(self) -> bool:
        """Whether there is one."""
        return self._history is not None

    async def last_hour(self) -> tuple[LastHour | None, str]:
        """What happened in the last hour; or why nobody knows."""
        return await self._ask(self._last_hour)

    async def _last_hour(self, history: "History") -> LastHour:
        rates = await history.rates()
        seconds = int(_SPAN.total_seconds())
        latest = int(datetime.now(UTC).timestamp()) // seconds * seconds
        spans = []
        for each in range(_SPANS, -1, -1):
            start = datetime.fromtimestamp(latest - each * seconds, UTC)
            span = self._spans.get(start) if each > 1 else None  # what is over changes no more
            if span is None:
                found = await history.lateness(None, start, until=start + _SPAN)
                span = self._spans[start] = Span(start=start, p50=found.p50, p99=found.p99)
            spans.append(span)
        self._spans = {each.start: each for each in spans}
        whole = await history.lateness()
        events = {each.event_name: each for each in await history.events(limit=_EVENTS)}
        return LastHour(rates=rates, spans=spans, p99=whole.p99, events=events)

    async def life(self, message_id: str) -> "tuple[Entries | None, str]":
        """What became of a message."""
        return await self._ask(lambda history: history.of(message_id))

    async def fires(self, message_id: str) -> "Sequence[Any]":
        """The last deliveries and misses of a series, the latest first."""
        found, _ = await self._ask(
            lambda history: history.search(
                message_id=message_id, what=("delivered", "missed"), limit=_FIRES
            )
        )
        return () if found is None else found.entries

    async def changes(self, **asked: Any) -> "tuple[Changes | None, str]":
        """What people did."""
        return await self._ask(lambda history: history.changes(**asked))

    async def _ask(self, question: Any) -> tuple[Any, str]:
        if self._history is None:
            return None, NOT_KEPT
        try:
            answer: Awaitable[Any] = question(self._history)
            return await answer, ""
        except DulyError as error:
            return None, f"The history does not answer: {error}"
