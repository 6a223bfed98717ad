"""The Codec contract: how the payload of a typed event becomes bytes, and is read again."""

from typing import Protocol, TypeVar

__all__ = ["Codec"]

T = TypeVar("T")


class Codec(Protocol[T]):
    """Between payloads of one type and their bytes.

    What it writes it must be able to read, and what an earlier version wrote as well: a message may
    rest for a year. The same payload gives the same bytes each time, or a series that is ensured at
    each start would change each time.
    """

    @property
    def content_type(self) -> str:
        """What the bytes are, as in HTTP: ``application/json``. Goes along as metadata."""
        ...

    def encode(self, payload: T, /) -> bytes:
        """The bytes of a payload.

        Raises:
            InvalidMessage: it does not fit the type. Any other error is told as one.
        """
        ...

    def decode(self, data: bytes, /) -> T:
        """The payload that the bytes stand for, of the right type in all its parts.

        Raises:
            Rejected: they cannot be read, with a text that quotes nothing of them, as it is kept
                and logged. Of any other error only the class is told.
        """
        ...
