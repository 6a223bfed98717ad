"""The series that a local transport brings along: functions that are called again and again."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from duly._local.binding import checked
from duly._local.registering import Handlers, Needs, Registered
from duly._values.texts import as_name
from duly.errors import InvalidArgument
from duly.event import Event
from duly.message import Message
from duly.recovery import Policy
from duly.recurrence import Cron, Every, Missed, Recurrence

__all__ = ["OwnSeries"]

F = TypeVar("F", bound=Callable[..., object])

_NOTHING: Final = timedelta(0)
_ONE_MINUTE: Final = timedelta(minutes=1)


class OwnSeries:
    """Functions that are called again and again, and the series that have it so."""

    _handlers: Handlers

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._series: dict[str, Message] = {}

    def cron(
        self,
        expression: str,
        *,
        id: str,
        event: str | Event[Any] | None = None,
        payload: Any = None,
        timezone: str = "UTC",
        jitter: timedelta = _NOTHING,
        missed: Missed = "once",
        grace: timedelta = _ONE_MINUTE,
        max_in_flight: int | None = None,
        timeout: timedelta | None = None,
        recovery: Policy | None = None,
    ) -> Callable[[F], F]:
        """Decorates a function that is called whenever a clock matches a cron expression.

        It is a series of the store like any other, with that ``id`` and the rule of
        :class:`duly.Cron`: whenever a scheduler with this transport starts, the series is
        *ensured* (:meth:`duly.Client.ensure`), so one of all processes calls the function each
        time. The event name is the ``id``, unless there is an ``event``, with its ``payload``. The
        function takes the envelope or nothing; with an :class:`duly.Event` as for :meth:`on`,
        whose ``max_in_flight``, ``timeout`` and ``recovery`` may be given here as well.

        What is no longer in the code stays in the store, as another version may still run: cancel
        it, or use :meth:`duly.Client.declare`.

        Raises:
            InvalidArgument: what is given makes no series, the id has one already in this
                transport, or the name has another function.
        """
        rule = Cron(expression, timezone=timezone, jitter=jitter, missed=missed, grace=grace)
        needs = Needs(max_in_flight=max_in_flight, timeout=timeout, recovery=recovery)
        return self._recurring(rule, id, event, payload, needs)

    def every(
        self,
        interval: timedelta,
        *,
        id: str,
        event: str | Event[Any] | None = None,
        payload: Any = None,
        anchor: datetime | None = None,
        jitter: timedelta = _NOTHING,
        missed: Missed = "once",
        grace: timedelta = _ONE_MINUTE,
        max_in_flight: int | None = None,
        timeout: timedelta | None = None,
        recovery: Policy | None = None,
    ) -> Callable[[F], F]:
        """Decorates a function that is called at each interval, by the rule of :class:`duly.Every`.

        All else is as with :meth:`cron`.
        """
        rule = Every(interval, anchor=anchor, jitter=jitter, missed=missed, grace=grace)
        needs = Needs(max_in_flight=max_in_flight, timeout=timeout, recovery=recovery)
        return self._recurring(rule, id, event, payload, needs)

    def series(self) -> Sequence[Message]:
        """The series to ensure when a scheduler starts."""
        return list(self._series.values())

    def _recurring(
        self,
        rule: Recurrence,
        id: str,
        event: str | Event[Any] | None,
        payload: Any,
        needs: Needs,
    ) -> Callable[[F], F]:
        id = as_name(id, "id")
        typed = event if isinstance(event, Event) else None
        if typed is not None:
            message = typed.message(payload, id=id, recurrence=rule)
        else:
            name: Any = id if event is None else event
            message = Message(name, b"" if payload is None else payload, id=id, recurrence=rule)

        def register(function: F) -> F:
            if message.id in self._series:
                raise InvalidArgument(f"{message.id!r} is a series already in {self!r}")
            handler = checked(function, typed, bare=True)
            self._handlers.put(message.event_name, Registered(handler, needs, typed), self)
            self._series[message.id] = message
            return function

        return register
