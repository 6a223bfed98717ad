"""The packets of MQTT 5 and 3.1.1 that a publisher sends, as bytes."""

from typing import Final, Literal, TypeAlias

from duly_mqtt.properties import Property, packed, string, variable

__all__ = ["PING", "QoS", "Version", "connect", "disconnect", "publish", "pubrel", "repeated"]

Version: TypeAlias = Literal["5", "3.1.1"]
QoS: TypeAlias = Literal[0, 1, 2]

PING: Final = b"\xc0\x00"
_LEVELS: Final[dict[Version, int]] = {"5": 5, "3.1.1": 4}
_DUP: Final = 0x08


def connect(
    version: Version,
    *,
    client_id: str,
    username: str | None,
    password: str | None,
    keepalive: int,
    clean: bool,
    session: int,
) -> bytes:
    """CONNECT; ``keepalive`` and ``session`` in seconds, ``clean`` forgets an earlier session."""
    if password is not None and username is None:
        username = ""  # 3.1.1 has no password without a user name
    flags = clean << 1 | (password is not None) << 6 | (username is not None) << 7
    properties = b""
    if version == "5":
        properties = packed({Property.SESSION_EXPIRY: session} if session else {})
    given = [string(text) for text in (client_id, username, password) if text is not None]
    head = string("MQTT") + bytes((_LEVELS[version], flags)) + keepalive.to_bytes(2, "big")
    return _framed(0x10, head, properties, *given)


def publish(
    topic: str, payload: bytes, *, id: int, qos: QoS, retain: bool, properties: bytes
) -> bytes:
    """PUBLISH; ``id`` is the packet's number from 1 to 65,535, not used with QoS 0.

    ``properties`` are those of MQTT 5, and empty with 3.1.1.

    Raises:
        MalformedPacketError: more than MQTT can carry.
    """
    number = id.to_bytes(2, "big") if qos else b""
    return _framed(0x30 | qos << 1 | retain, string(topic), number, properties, payload)


def repeated(packet: bytes) -> bytes:
    """A PUBLISH that may have arrived before."""
    return bytes((packet[0] | _DUP,)) + packet[1:]


def pubrel(id: int) -> bytes:
    """PUBREL, which completes a message of QoS 2 that the broker has got."""
    return _framed(0x62, id.to_bytes(2, "big"))


def disconnect(version: Version, *, session: bool) -> bytes:
    """DISCONNECT, which also ends the session if there is one."""
    if version == "5" and session:
        return _framed(0xE0, b"\x00", packed({Property.SESSION_EXPIRY: 0}))
    return b"\xe0\x00"


def _framed(first: int, *parts: bytes) -> bytes:
    return b"".join((bytes((first,)), variable(sum(map(len, parts))), *parts))
