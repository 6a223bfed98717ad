"""Assertions about what is scheduled, with errors that show what is scheduled instead."""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from duly.errors import InvalidArgument
from duly.event import Event as TypedEvent
from duly.message import Message

__all__ = ["Event", "SupportsReading", "assert_not_scheduled", "assert_scheduled"]

_MOST: Final = 20  # messages that an error shows
_LACKING: Final = object()


class SupportsReading(Protocol):
    """A declared event: it knows its name, and what the payload of its messages means."""

    @property
    def name(self) -> str:
        """The event name of its messages."""

    def read(self, message: Message, /) -> Any:
        """The payload as an object; its attributes, or its keys, are what is compared."""


Event: TypeAlias = str | SupportsReading
"""An event name, whose payloads are read as JSON, or an object that can read them."""


def assert_scheduled(messages: Iterable[Message], event: Event, /, **fields: Any) -> Message:
    """Exactly one of the messages is of that event, with these fields in its payload; that one.

    ``assert_scheduled(await client.list(), "orders.reminder", order_id=17)``. Two of them would be
    two deliveries: name more fields to tell them apart. For a plain event name the payload is read
    as JSON; :class:`duly.Event` reads it itself. A field may be compared with anything that can be
    equal, such as ``unittest.mock.ANY``.

    Raises:
        AssertionError: none is, or several are; the text shows what there is.
        InvalidArgument: payloads of the event cannot have such a field, as far as its type tells.
    """
    __tracebackhide__ = True
    _see_fields(event, fields)
    given = _listed(messages)
    found = [message for message in given if not _differences(message, event, fields)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(message.id for message in found)
        raise AssertionError(f"{len(found)} times {_wanted(event, fields)}, not once: {ids}")
    raise AssertionError(f"no {_wanted(event, fields)} among {_shown(given, event, fields)}")


def assert_not_scheduled(messages: Iterable[Message], event: Event, /, **fields: Any) -> None:
    """None of the messages is of that event with these fields in its payload.

    Raises:
        AssertionError: there is one; the text names it.
        InvalidArgument: payloads of the event cannot have such a field, so that none ever would.
    """
    __tracebackhide__ = True
    _see_fields(event, fields)
    for message in _listed(messages):
        if not _differences(message, event, fields):
            raise AssertionError(
                f"{_wanted(event, fields)} is there: {message.id}, due {message.scheduled_at}"
            )


def _listed(messages: Iterable[Message]) -> Sequence[Message]:
    given: object = messages  # whatever it is called
    if inspect.iscoroutine(given):
        given.close()
        raise TypeError("these are no messages yet: await client.list()")
    if not isinstance(given, Iterable):
        raise TypeError(f"a {type(given).__name__} is no messages: give await client.list()")
    return list(messages)


def _see_fields(event: Event, fields: Mapping[str, Any]) -> None:
    if not isinstance(event, TypedEvent):
        return
    for field in fields:
        if not event.may_have(field):
            known = ", ".join(getattr(event.type, "__annotations__", ()))
            hint = f", which has {known}" if known else ""
            raise InvalidArgument(f"{event!r} has no {field} in its type{hint}")


def _name(event: Event) -> str:
    return event if isinstance(event, str) else event.name


def _differences(message: Message, event: Event, fields: Mapping[str, Any]) -> list[str]:
    """In what a message differs from what is wanted: nothing if it does not."""
    if message.event_name != _name(event):
        return [f"its event is {message.event_name!r}"]
    if not fields:
        return []
    try:
        payload = json.loads(message.payload) if isinstance(event, str) else event.read(message)
    except Exception as error:  # noqa: BLE001  # whatever a codec raises tells why it is no match
        kind = "as JSON" if isinstance(event, str) else f"by {event!r}"
        return [f"its payload cannot be read {kind}: {error}"]
    told = []
    for field, wanted in fields.items():
        found = _field(payload, field)
        if found is _LACKING:
            told.append(f"its payload has no {field}")
        elif not (wanted == found):  # noqa: SIM201  # ANY and its like define equality alone
            told.append(f"{field} is {found!r}, not {wanted!r}")
    return told


def _field(payload: Any, field: str) -> Any:
    if isinstance(payload, Mapping):
        return payload.get(field, _LACKING)
    return getattr(payload, field, _LACKING)


def _wanted(event: Event, fields: Mapping[str, Any]) -> str:
    given = ", ".join(f"{field}={value!r}" for field, value in fields.items())
    return f"{_name(event)!r} with {given}" if given else f"{_name(event)!r}"


def _shown(messages: Sequence[Message], event: Event, fields: Mapping[str, Any]) -> str:
    """The messages, those of the event first, each with what is wrong with it."""
    if not messages:
        return "no messages at all"
    near = sorted(messages, key=lambda each: each.event_name != _name(event))
    lines = []
    for message in near[:_MOST]:
        line = f"  {message.event_name!r} {message.id}, due {message.scheduled_at}"
        if message.event_name == _name(event):
            line += f": {', '.join(_differences(message, event, fields))}"
        lines.append(line)
    if len(messages) > _MOST:
        lines.append(f"  and {len(messages) - _MOST} more")
    return "\n".join([f"{len(messages)}:", *lines])
