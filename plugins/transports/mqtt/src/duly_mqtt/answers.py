"""The packets that a broker sends to a publisher, taken apart."""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

from duly_mqtt.packets import Version
from duly_mqtt.properties import MalformedPacketError, Property, unpacked

__all__ = ["Answer", "Kind", "Splitter", "Welcome", "answer_of", "goodbye_of", "welcome_of"]

_LARGEST: Final = 2**20  # bytes; a client without subscriptions gets nothing large
_SHORTEST: Final = 2  # bytes of a CONNACK, and of an acknowledgement


class Kind(IntEnum):
    """The kinds of packets that a broker sends to a client without subscriptions."""

    CONNACK = 2
    PUBACK = 4
    PUBREC = 5
    PUBCOMP = 7
    PINGRESP = 13
    DISCONNECT = 14


# By the first byte, which tells only the kind.
_KINDS: Final = {kind << 4: kind for kind in Kind}


class Answer(NamedTuple):
    """A broker's answer: a reason code of MQTT 5, 0 if it gives none, and a text of its own."""

    code: int
    text: str = ""


class Welcome(NamedTuple):
    """CONNACK: the answer to CONNECT. Limits are those of 3.1.1 if the broker tells none."""

    answer: Answer
    session_present: bool = False
    receive_maximum: int = 65535
    maximum_packet_size: int | None = None
    maximum_qos: int = 2
    retain_available: bool = True
    keepalive: int | None = None


class Splitter:
    """Splits the bytes that come in into packets."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The packets that are now complete: kind and content.

        Raises:
            MalformedPacketError: not a packet, or one that a publisher never gets.
        """
        self._data += data
        while self._data:
            kind = _KINDS.get(self._data[0])
            if kind is None:
                raise MalformedPacketError(f"{self._data[0]:#04x}, which starts no answer")
            head, size = self._lengths()
            if not head or len(self._data) < head + size:
                return
            content = bytes(self._data[head : head + size])
            del self._data[: head + size]
            yield kind, content

    def _lengths(self) -> tuple[int, int]:
        """The length of the head, 0 while it is not complete, and of the content."""
        size = 0
        for place, digit in enumerate(self._data[1:5]):
            size |= (digit & 127) << (7 * place)
            if digit < 128:
                if size > _LARGEST:
                    break
                return place + 2, size
        else:
            if len(self._data) < 5:  # the first byte and four of the length
                return 0, 0
        raise MalformedPacketError("a packet that is too large")


def welcome_of(content: bytes, version: Version) -> Welcome:
    """A CONNACK.

    Raises:
        MalformedPacketError: it is malformed.
    """
    if len(content) < _SHORTEST:
        raise MalformedPacketError("a CONNACK that ends too early")
    present, code = bool(content[0] & 1), content[1]
    if len(content) == _SHORTEST:  # that of 3.1.1
        if version == "5" and not code:  # a broker that has ignored the version
            code = _REFUSED_VERSION
        # Some answer with a code of MQTT 5, but without the properties that belong to it.
        return Welcome(Answer(code if code >= 0x80 else _OLD_CODES.get(code, 0x80)), present)
    if version != "5":
        raise MalformedPacketError("a CONNACK of MQTT 5, which nobody asked for")
    told = unpacked(content[2:])
    if 0 in (told.get(Property.RECEIVE_MAXIMUM), told.get(Property.MAXIMUM_PACKET_SIZE)):
        raise MalformedPacketError("a limit of 0, which MQTT forbids")
    return Welcome(
        Answer(code, _text(told)),
        present,
        receive_maximum=told.get(Property.RECEIVE_MAXIMUM, 65535),
        maximum_packet_size=told.get(Property.MAXIMUM_PACKET_SIZE),
        maximum_qos=told.get(Property.MAXIMUM_QOS, 2),
        retain_available=bool(told.get(Property.RETAIN_AVAILABLE, 1)),
        keepalive=told.get(Property.SERVER_KEEP_ALIVE),
    )


def answer_of(content: bytes) -> tuple[int, Answer]:
    """A PUBACK, PUBREC or PUBCOMP: the number of the packet that it answers, and what it says.

    Raises:
        MalformedPacketError: it is malformed.
    """
    if len(content) < _SHORTEST:
        raise MalformedPacketError("an acknowledgement that ends too early")
    return int.from_bytes(content[:2], "big"), _answer(content[2:])


def goodbye_of(content: bytes) -> Answer:
    """A DISCONNECT, which only brokers of MQTT 5 send.

    Raises:
        MalformedPacketError: it is malformed.
    """
    return _answer(content)


def _answer(content: bytes) -> Answer:
    """A reason code and properties, either of which may be left out."""
    told = unpacked(content[1:]) if len(content) > 1 else {}
    return Answer(content[0] if content else 0, _text(told))


def _text(told: Mapping[int, Any]) -> str:
    text: str = told.get(Property.REASON, "")
    return text


# Of 3.1.1, in the words of MQTT 5.
_REFUSED_VERSION: Final = 1
_OLD_CODES: Final = {0: 0x00, 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
