"""Calls a handler as a scheduler would, without one: for tests of the handler."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from duly.errors import InvalidArgument
from duly.event import Event
from duly.local import LocalTransport, duly_transports
from duly.message import Message
from duly.moment import after
from duly.transport import Envelope

__all__ = ["perform"]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_PREFIX: Final = "*"


async def perform(
    function: Callable[..., object],
    payload: Any = None,
    *,
    transport: LocalTransport | None = None,
    event: Event[Any] | str | None = None,
    attempt: int = 1,
    occurrence: int = 0,
    id: str | None = None,
    metadata: Mapping[str, str] = _NOTHING,
    scheduled_at: datetime | None = None,
) -> Any:
    """Call a handler with a payload; return what it returns, raise what it raises.

        await duly.testing.perform(remind, OrderReminder(order_id=17), transport=transport)

    All is as in a delivery: a payload of an :class:`duly.Event` is written and read by its codec,
    the handler gets what it takes, within all that ``transport.wrap`` was given. Its timeout, its
    ``max_in_flight`` and its ``recovery`` are the scheduler's affair.

    ``transport`` is where the handler is registered, by default what ``local://`` stands for.
    ``event`` says which of its events is meant where it has several or a prefix. Without a typed
    event the payload is bytes. ``attempt`` counts from 1, ``occurrence`` from 0; ``scheduled_at``
    is now unless given.

    Raises:
        InvalidArgument: the function is not registered there, or not under that name, or it must be
            said under which.
        InvalidMessage: the payload does not fit the event.
    """
    where = duly_transports()["local"]("local://") if transport is None else transport
    if not isinstance(where, LocalTransport):
        raise InvalidArgument(f"transport must be a LocalTransport, not {type(where).__name__}")
    name, typed = _event_of(function, where, event)
    at = after() if scheduled_at is None else scheduled_at
    if typed is not None:
        message = typed.message(payload, scheduled_at=at, id=id, metadata=metadata)
    else:
        data = b"" if payload is None else payload
        message = Message(name, data, scheduled_at=at, id=id, metadata=metadata)
    envelope = Envelope(
        message_id=message.id,
        event_name=name,
        payload=message.payload,
        metadata=message.metadata,
        scheduled_at=message.scheduled_at,
        occurrence=occurrence,
        attempt=attempt,
        delivery_id=message.delivery_id,
    )
    return await where.call(envelope)


def _event_of(
    function: object, transport: LocalTransport, event: Event[Any] | str | None
) -> tuple[str, Event[Any] | None]:
    """The event name under which to call a handler, and the event if it has a type."""
    names = transport.registered(function)
    called = getattr(function, "__qualname__", repr(function))
    if not names:
        raise InvalidArgument(f"{called} is not registered in {transport!r}: give transport=")
    if event is None:
        exact = [name for name in names if not name.endswith(_PREFIX)]
        if len(exact) != 1:
            raise InvalidArgument(f"{called} is registered under {', '.join(names)}: give event=")
        return exact[0], names[exact[0]]
    name = event.name if isinstance(event, Event) else event
    matching = [
        each
        for each in names
        if each == name or (each.endswith(_PREFIX) and name.startswith(each[:-1]))
    ]
    if not matching:
        raise InvalidArgument(f"{called} is registered under {', '.join(names)}, not {name!r}")
    return name, names.get(name)
