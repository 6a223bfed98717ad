"""Events with a type: what a payload is, how it becomes bytes, and what the id is made of."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, overload

from duly._events.finding import codec_for
from duly._events.ids import IdTemplate
from duly._events.payloads import as_codec, kind_named, may_have, misfit_told, value_in
from duly._values.message import as_event_name, as_id, as_payload
from duly._values.plain import shown
from duly._values.wording import text_of, worded
from duly.codec import Codec
from duly.errors import InvalidArgument, InvalidMessage, Rejected
from duly.message import Message
from duly.recurrence import Recurrence
from duly.transport import Envelope

__all__ = ["Event"]

T = TypeVar("T")
_Class = type[T]  # within the class, type is something else

CONTENT_TYPE: Final = "content-type"
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Event(Generic[T]):
    """An event name and what its payloads are.

        reminder = duly.Event("orders.reminder", OrderReminder, id="order-{order_id}")
        await client.schedule(reminder.message(OrderReminder(order_id=17), scheduled_at=...))

    ``type`` is bytes, str, a plain JSON value (dict, list, int, ...) or a dataclass; with
    ``duly-pydantic`` a model of pydantic, with ``duly-msgspec`` a Struct, a class of attrs or a
    TypedDict. Unions and Annotated are written ``duly.Event[int | str]("name", int | str)``.
    ``id`` is a template of message ids, that names fields of the payload. ``codec`` is asked
    instead of core and of plugins, of which no code runs then.

    An event is made at import: its codec is looked up when it is first needed, in what is installed
    in this process; the ``load_plugins`` of a client does not govern that.

    Raises:
        InvalidMessage: the name is none for an event.
        InvalidArgument: the id is no template, or names a field that the type has not; the codec
            is none.
    """

    @overload
    def __init__(
        self,
        name: str,
        type: _Class[T],
        *,
        id: str | None = None,
        codec: Codec[T] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self, name: str, type: Any, *, id: str | None = None, codec: Codec[T] | None = None
    ) -> None: ...

    def __init__(
        self,
        name: str,
        type: Any,  # noqa: A002  # as in a sentence
        *,
        id: str | None = None,
        codec: Codec[T] | None = None,
    ) -> None:
        self._name = as_event_name(name)
        self._type = type
        self._template = None if id is None else IdTemplate(id)
        self._codec = None if codec is None else as_codec(codec, f"{self._name}: codec must be one")
        for field in () if self._template is None else self._template.fields:
            if not self.may_have(field):
                raise InvalidArgument(
                    f"{self._name}: its id names {{{field}}}, which {kind_named(type)} has not"
                )

    @property
    def name(self) -> str:
        """The event name."""
        return self._name

    @property
    def type(self) -> Any:
        """What payloads are."""
        return self._type

    def may_have(self, field: str, /) -> bool:
        """Whether payloads can have a field, a key or an attribute, as far as the type tells."""
        return may_have(self._type, field)

    @property
    def codec(self) -> Codec[T]:
        """What writes and reads payloads.

        Raises:
            PluginError: there is no codec for the type, or two plugins offer one.
        """
        if self._codec is None:
            self._codec = codec_for(self._type)
        return self._codec

    def message(
        self,
        payload: T,
        *,
        scheduled_at: datetime | None = None,
        id: str | None = None,
        metadata: Mapping[str, str] = _NOTHING,
        recurrence: Recurrence | None = None,
        expires_at: datetime | None = None,
    ) -> Message:
        """A message of this event, as :class:`duly.Message` describes it.

        Its id is made by the template, unless one is given. The content type goes along as metadata
        ``content-type``, unless there is one.

        Raises:
            InvalidMessage: the payload does not fit the type, a field of the id is missing or of
                the wrong type, or what :class:`duly.Message` says.
            PluginError: there is no codec for the type.
        """
        codec = self.codec
        data = self._encoded(codec, payload)
        if id is None and self._template is not None:
            id = self._template.id(self._name, lambda field: value_in(payload, field))
        return Message(
            self._name,
            data,
            scheduled_at=scheduled_at,
            id=id,
            metadata=_with_content_type(metadata, codec.content_type),
            recurrence=recurrence,
            expires_at=expires_at,
        )

    def id(self, /, **fields: object) -> str:
        """The id of the message whose payload has these fields: ``reminder.id(order_id=17)``.

        Raises:
            InvalidArgument: the event has no template, or the fields are not those it names.
            InvalidMessage: a value is none for an id, or the id is too long.
        """
        if self._template is None:
            raise InvalidArgument(f"{self._name} makes no ids: give the event id='...-{{field}}'")
        if {*fields} != {*self._template.fields}:
            wanted = ", ".join(self._template.fields) or "none"
            given = ", ".join(fields) or "none"
            raise InvalidArgument(f"the id of {self._name} is made of {wanted}, given: {given}")
        return as_id(self._template.id(self._name, fields.__getitem__))

    def read(self, of: Envelope | Message) -> T:
        """The payload of an envelope or a message.

        Raises:
            Rejected: its bytes cannot be read as the type; the text quotes nothing of them.
            InvalidMessage: a message that was looked up without its payload.
            PluginError: there is no codec for the type.
        """
        codec = self.codec
        if not isinstance(of, Envelope | Message):
            raise InvalidArgument(
                f"{self._name}: read takes an Envelope or a Message, not {shown(of)}"
            )
        payload = of.payload
        try:
            return codec.decode(payload)
        except Rejected as error:
            told = text_of(error)
        except Exception as error:  # noqa: BLE001  # whatever a codec finds wrong
            told = type(error).__name__
        # Without its cause, which may quote the payload, also in a traceback.
        raise Rejected(
            f"{self._name}: the payload cannot be read as {kind_named(self._type)}: {told}"
        ) from None

    def _encoded(self, codec: Codec[T], payload: T) -> bytes:
        try:
            data: object = codec.encode(payload)
        except Exception as error:
            told = text_of(error) if isinstance(error, InvalidMessage) else worded(error)
            raise InvalidMessage(
                f"{self._name}: the payload does not fit {kind_named(self._type)}"
                f"{misfit_told(self._type, payload)}: {told}"
            ) from error
        return as_payload(data)  # type: ignore[arg-type]  # checked there

    def __repr__(self) -> str:
        return f"Event({self._name!r}, {kind_named(self._type)})"


def _with_content_type(metadata: Mapping[str, str], content_type: str) -> Mapping[str, str]:
    try:
        given = dict(metadata)
    except Exception:  # noqa: BLE001  # the message says what is wrong with it
        return metadata
    if any((text_of(key) or "").lower() == CONTENT_TYPE for key in given):
        return metadata
    return {**given, CONTENT_TYPE: content_type}
