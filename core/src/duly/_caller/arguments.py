"""Checks of arguments that verbs share; each raises an InvalidArgument that says what to do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from duly._values.plain import encodable, shown, text_of, whole
from duly.errors import DulyError, DuplicateMessage, InvalidArgument, InvalidMessage
from duly.event import Event
from duly.message import UNTOUCHED, Filter, Message, State, first_due, with_changes

__all__ = [
    "all_or_none",
    "as_filter",
    "as_flag",
    "as_id",
    "as_ids",
    "as_iterable",
    "as_message",
    "as_number",
    "chunks",
]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_MANY: Final = 10_000  # messages that can be stored all or none
_MANY_BYTES: Final = 64 * 1024 * 1024
_CHUNK: Final = 500  # messages that are sent together though stored each on its own
_CHUNK_BYTES: Final = 8 * 1024 * 1024


def as_id(value: object) -> str:
    """A message id as given to a verb. It may exceed 255 characters: duly makes longer ones."""
    id = text_of(value)
    if id is None:
        hint = ": give its .id" if isinstance(value, Message) else ""
        raise InvalidArgument(f"a message id is text, not {type(value).__name__}{hint}")
    if not id:
        raise InvalidArgument("the message id is empty")
    if not encodable(id):
        raise InvalidArgument(f"message id {shown(id)} cannot be encoded as UTF-8")
    return id


def as_ids(values: object) -> Sequence[str]:
    """Message ids as given to a verb for many, each once."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgument(f"ids must be a collection of ids, not {type(values).__name__}")
    return list(dict.fromkeys(map(as_id, values)))


def as_number(value: object, name: str, *, at_least: int, at_most: int) -> int:
    """A whole number within bounds, both inclusive."""
    number = whole(value)
    if number is None:
        raise InvalidArgument(f"{name} must be a whole number, not {shown(value)}")
    if not at_least <= number <= at_most:
        raise InvalidArgument(f"{name} must be from {at_least} to {at_most}, not {shown(number)}")
    return number


def as_flag(value: object, name: str) -> bool:
    """True or False and nothing that merely counts as one of them."""
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be True or False, not {shown(value)}")
    return value


def as_filter(value: object) -> Filter:
    """A filter."""
    if not isinstance(value, Filter):
        raise InvalidArgument(
            f"a filter is a duly.Filter, as Filter(event_name='mail'), not {type(value).__name__}"
        )
    return value


def as_message(value: object, max_payload: int, *, ended: bool = False) -> Message:
    """A message as it is scheduled: what duly manages is as new, whatever it was before."""
    if not isinstance(value, Message):
        raise InvalidMessage(
            f"a message is a duly.Message, not {type(value).__name__}{_how_to_make_one(value)}"
        )
    if len(value.payload) > max_payload:
        raise InvalidMessage(
            f"the payload of {value.id!r} has {len(value.payload)} bytes, max_payload is "
            f"{max_payload}: send a reference to the data, or raise max_payload"
        )
    if not ended and is_over(value):
        raise InvalidMessage(f"{value.recurrence!r} can never fire: its until has passed")
    return _fresh(value)


def _how_to_make_one(value: object) -> str:
    if isinstance(value, Event):
        return f": that of {value.name} is event.message(payload, scheduled_at=...)"
    if type(value).__module__ != "builtins":  # a model, maybe
        return ": event.message(payload, scheduled_at=...) of a duly.Event makes one of a payload"
    return ""


def is_over(message: Message) -> bool:
    """Whether it is a series that ends before its first fire."""
    recurrence = message.recurrence
    if recurrence is None or recurrence.until is None:
        return False
    return message.scheduled_at > recurrence.until


def _fresh(message: Message) -> Message:
    due = first_due(message)
    if (
        message.state is State.SCHEDULED
        and not message.retry_count
        and not message.occurrence_count
        and not message.postpone_count
        and message.last_error is None
        and message._delivery_id is None  # noqa: SLF001  # what duly manages is forgotten here
        and not message.trace_context
        and message.next_attempt_at == due
    ):
        return message
    return with_changes(
        message, **UNTOUCHED, next_attempt_at=due, trace_context=_NOTHING, _delivery_id=None
    )


def all_or_none(
    values: Iterable[object], max_payload: int, *, ended: bool = False
) -> Sequence[Message]:
    """Messages that can be stored in one step; with ``ended`` those of a declare.

    Raises:
        InvalidArgument: more than 10,000 messages or 64 MiB of payload.
        DuplicateMessage: an id twice.
    """
    messages: dict[str, Message] = {}
    size = 0
    for value in as_iterable(values):
        message = as_message(value, max_payload, ended=ended)
        size += len(message.payload)
        if len(messages) >= _MANY or size > _MANY_BYTES:
            raise InvalidArgument(
                "one declare takes at most 10,000 series and 64 MiB: divide them among several by"
                if ended
                else "schedule_many stores all or none of at most 10,000 messages and 64 MiB; "
                "atomic=False takes any number, in chunks"
            )
        if message.id in messages:
            raise given_twice(message.id)
        messages[message.id] = message
    return list(messages.values())


def chunks(
    values: Iterable[object], max_payload: int
) -> Iterator[tuple[Sequence[Message], DulyError | None]]:
    """Messages to store each on its own, some hundred at a time, with the first refusal."""
    messages: dict[str, Message] = {}
    refused: DulyError | None = None
    size = 0
    for value in as_iterable(values):
        try:
            message = as_message(value, max_payload)
            if message.id in messages:
                raise given_twice(message.id)
        except DulyError as error:
            refused = refused or error
            continue
        messages[message.id] = message
        size += len(message.payload)
        if len(messages) >= _CHUNK or size >= _CHUNK_BYTES:
            yield list(messages.values()), refused
            messages, refused, size = {}, None, 0
    if messages or refused is not None:
        yield list(messages.values()), refused


def given_twice(id: str) -> DuplicateMessage:
    """The error for an id that stands twice in one call."""
    return DuplicateMessage(f"message id {id!r} is given twice")


def as_iterable(values: object) -> Iterable[object]:
    """Something to iterate over, and not a single message."""
    if isinstance(values, Message) or not isinstance(values, Iterable):
        raise InvalidArgument(f"messages must be an iterable, not {type(values).__name__}")
    return values
