"""The codecs of core: bytes, text, and JSON of plain values and dataclasses."""

import json
from collections.abc import Sequence
from typing import Any, Final

import attrs

from duly._events.annotations import Known, beneath, shape_of
from duly._events.nesting import too_deep
from duly._events.shapes import Misfit, Shape
from duly._values.message import as_payload
from duly._values.plain import encodable
from duly._values.wording import worded
from duly.codec import Codec
from duly.errors import InvalidMessage, Rejected

__all__ = ["BytesCodec", "JsonCodec", "TextCodec", "built_in"]


@attrs.frozen
class BytesCodec:
    """Bytes as they are."""

    content_type: str = "application/octet-stream"

    def encode(self, payload: bytes) -> bytes:
        """The same bytes, of any bytes-like object."""
        return as_payload(payload)

    def decode(self, data: bytes) -> bytes:
        """The same bytes."""
        return data


@attrs.frozen
class TextCodec:
    """Text in UTF-8."""

    content_type: str = "text/plain; charset=utf-8"

    def encode(self, payload: str) -> bytes:
        """Its bytes in UTF-8."""
        if type(payload) is not str or not encodable(payload):
            raise InvalidMessage("it must be text that UTF-8 can hold")
        return payload.encode()

    def decode(self, data: bytes) -> str:
        """The text."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Rejected("it is not text in UTF-8") from None


@attrs.frozen
class JsonCodec:
    """JSON (RFC 8259) of values of one shape: no blanks, text as it is, no NaN and no infinity.

    With ``reread`` what is written is read again at once: where a class does something when an
    object of it is made, that may fail, or make another value.
    """

    shape: Shape
    reread: bool
    content_type: str = "application/json"

    def encode(self, payload: Any) -> bytes:
        """Its bytes in UTF-8."""
        data = self._written(payload)
        if self.reread:
            try:
                again = self._written(self.decode(data))
            except Exception as error:
                raise InvalidMessage(f"it could not be read again: {worded(error)}") from error
            if again != data:
                raise InvalidMessage("it would not be read again as it is")
        return data

    def _written(self, payload: Any) -> bytes:
        try:
            data = _WRITER.encode(self.shape.plain(payload)).encode()
        except Misfit as misfit:
            raise InvalidMessage(str(misfit)) from None
        except RecursionError:
            raise InvalidMessage(f"it holds itself, or {_DEEP}") from None
        if too_deep(data):
            raise InvalidMessage(f"it {_DEEP}")
        return data

    def decode(self, data: bytes) -> Any:
        """The value; what one of its classes raises goes through."""
        if too_deep(data):
            raise Rejected(f"it {_DEEP}")
        try:
            plain = _READER.decode(data.decode())
        except ValueError:
            raise Rejected("it is not JSON") from None
        try:
            return self.shape.value(plain)
        except Misfit as misfit:
            raise Rejected(str(misfit)) from None


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _object(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) < len(members):  # which of the two is meant?
        raise ValueError("a name twice in one object")
    return made


_DEEP: Final = "is nested more than 100 deep"
_READER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
_WRITER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
)


def built_in(kind: Any) -> Codec[Any] | None:
    """The codec for a type that core can write; None: it cannot.

    Raises:
        PluginError: it holds a dataclass that cannot be made of its fields.
        NameError: an annotation of a dataclass names what cannot be found.
    """
    plain = beneath(kind)
    if plain is bytes:
        return BytesCodec()
    if plain is str:
        return TextCodec()
    known: Known = {}
    shape = shape_of(type(None) if plain is None else plain, known)
    if shape is None:
        return None
    made = [getattr(each, "__origin__", each) for each in known]
    return JsonCodec(shape, reread=any(hasattr(each, "__post_init__") for each in made))
