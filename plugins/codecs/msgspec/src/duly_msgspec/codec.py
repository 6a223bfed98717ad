"""Structs and the like as JSON, by msgspec."""

from typing import Any, Final, Generic, TypeVar

import msgspec

from duly import InvalidArgument, InvalidMessage, Rejected
from duly_msgspec.comparing import difference
from duly_msgspec.errors import told
from duly_msgspec.own import unchecked

__all__ = ["MsgspecCodec"]

T = TypeVar("T")


class MsgspecCodec(Generic[T]):
    """Between JSON and values of a type that msgspec can check, as ``codec=`` of an event.

    msgspec checks what it reads, not what it writes. So what is written is read again at once and
    compared, and nothing is stored that could not be read, or would be read as something else.

    Raises:
        InvalidArgument: msgspec cannot check all of the type.
    """

    content_type: Final = "application/json"

    def __init__(self, type: Any) -> None:  # noqa: A002  # as in a sentence
        found = unchecked(type)
        if found is not None:
            raise InvalidArgument(f"msgspec cannot check values of {found.__qualname__}")
        # Sets are in one order, which Python gives anew in each process; so are dictionaries.
        self._encoder = msgspec.json.Encoder(order="deterministic")
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type)

    def encode(self, payload: T) -> bytes:
        """JSON in UTF-8."""
        data = self._encoder.encode(payload)
        try:
            read = self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise InvalidMessage(
                f"what it would be written as is not valid: {told(error)}"
            ) from None
        where = difference(payload, read)
        if where is not None:
            raise InvalidMessage(f"{where} would not be read again as it is")
        return data

    def decode(self, data: bytes) -> T:
        """The value; what a class raises that is no ValueError or TypeError goes through."""
        try:
            return self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            text = told(error)
        except UnicodeDecodeError:
            text = "it is not JSON"
        except RecursionError:
            text = "it is nested too deeply"
        raise Rejected(text)
