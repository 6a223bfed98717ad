"""The codecs of core: bytes, text, and JSON of plain values and dataclasses."""

import json
from typing import Any, Final

import attrs

from duly._events.containers import shape_of
from duly._events.shapes import Misfit, Shape
from duly._values.message import as_payload
from duly._values.plain import encodable
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
    """JSON (RFC 8259) of values of one shape: no blanks, text as it is, no NaN and no infinity."""

    shape: Shape
    content_type: str = "application/json"

    def encode(self, payload: Any) -> bytes:
        """Its bytes in UTF-8."""
        try:
            return _WRITER.encode(self.shape.plain(payload)).encode()
        except Misfit as misfit:
            raise InvalidMessage(str(misfit)) from None
        except RecursionError:
            raise InvalidMessage("it holds itself, or is nested too deeply") from None

    def decode(self, data: bytes) -> Any:
        """The value; what one of its classes raises goes through."""
        try:
            plain = json.loads(data, parse_constant=_no_number)
        except RecursionError:
            raise Rejected("it is nested too deeply") from None
        except ValueError:
            raise Rejected("it is not JSON") from None
        try:
            return self.shape.value(plain)
        except Misfit as misfit:
            raise Rejected(str(misfit)) from None


_WRITER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
)


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def built_in(kind: Any) -> Codec[Any] | None:
    """The codec for a type that core can write; None: it cannot."""
    if kind is bytes:
        return BytesCodec()
    if kind is str:
        return TextCodec()
    shape = shape_of(kind)
    return None if shape is None else JsonCodec(shape)
