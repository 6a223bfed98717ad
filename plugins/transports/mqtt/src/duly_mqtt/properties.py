"""Properties of MQTT 5: what a packet carries besides its fixed parts, each with a number.

https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html, section 2.2.2
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

__all__ = ["MalformedPacketError", "Property", "packed", "string", "unpacked", "variable"]

LONGEST: Final = 65535  # bytes of a string


class MalformedPacketError(ValueError):
    """Bytes that are no packet, or a string that cannot be in one."""


class Property(IntEnum):
    """The properties that a publisher sends or looks at."""

    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    REASON = 0x1F
    RECEIVE_MAXIMUM = 0x21
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER = 0x26
    MAXIMUM_PACKET_SIZE = 0x27


# All properties, by what follows the number; an unknown one cannot even be skipped.
_NUMBERS: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_TEXTS: Final = {0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F, 0x09, 0x16}  # the last two are bytes
_SUBSCRIPTION: Final = 0x0B


def variable(number: int) -> bytes:
    """A number from 0 to 268,435,455 in one to four bytes, as lengths are given.

    Raises:
        MalformedPacketError: it is larger.
    """
    if number >= 2**28:
        raise MalformedPacketError(f"{number} bytes are more than MQTT can carry")
    digits = bytearray()
    while True:
        number, digit = divmod(number, 128)
        if not number:
            digits.append(digit)
            return bytes(digits)
        digits.append(digit | 128)


def string(text: str) -> bytes:
    """Text as packets hold it: its length, then its bytes.

    Raises:
        MalformedPacketError: more than 65,535 bytes, or half of a surrogate pair.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise MalformedPacketError(f"a text with {text[error.start]!r}, no character") from error
    if len(data) > LONGEST:
        raise MalformedPacketError(f"a text of {len(data)} bytes, of which MQTT takes {LONGEST}")
    return len(data).to_bytes(2, "big") + data


def packed(
    numbers: Mapping[Property, int], texts: Iterable[tuple[Property, str]] = (),
    user: Iterable[tuple[str, str]] = (),
) -> bytes:  # fmt: skip
    """Properties after their length; ``user`` are names and values.

    Raises:
        MalformedPacketError: a text that is too long.
    """
    parts = [
        bytes((name,)) + number.to_bytes(_NUMBERS[name], "big") for name, number in numbers.items()
    ]
    parts += [bytes((name,)) + string(text) for name, text in texts]
    parts += [b"\x26" + string(name) + string(text) for name, text in user]
    found = b"".join(parts)
    return variable(len(found)) + found


def unpacked(data: bytes) -> Mapping[int, Any]:
    """The properties at the end of a packet, by number; those of users are left out.

    Raises:
        MalformedPacketError: they are malformed.
    """
    found: dict[int, Any] = {}
    length, place = _variable(data, 0)
    end = place + length
    if end > len(data):
        raise MalformedPacketError("properties that end too early")
    while place < end:
        name = data[place]
        place += 1
        if (size := _NUMBERS.get(name)) is not None:
            found[name] = int.from_bytes(data[place : place + size], "big")
            place += size
        elif name == _SUBSCRIPTION:
            found[name], place = _variable(data, place)
        elif name in _TEXTS or name == Property.USER:
            texts: list[str] = []
            for _ in range(1 + (name == Property.USER)):
                start = place + 2
                place = start + int.from_bytes(data[place:start], "big")
                texts.append(data[start:place].decode(errors="replace"))
            if name != Property.USER:
                found[name] = texts[0]
        else:
            raise MalformedPacketError(f"an unknown property {name:#x}")
    if place != end:
        raise MalformedPacketError("properties that end too early")
    return found


def _variable(data: Sequence[int], place: int) -> tuple[int, int]:
    """A number of one to four bytes, and the position after it."""
    number = 0
    for position in range(4):
        if place >= len(data):
            break
        digit = data[place]
        place += 1
        number |= (digit & 127) << (7 * position)
        if digit < 128:
            return number, place
    raise MalformedPacketError("a length that does not end")
