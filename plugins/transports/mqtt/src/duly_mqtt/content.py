"""A message as a topic and as properties of MQTT 5, of whatever text it is."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from duly.errors import InvalidArgument
from duly.template import Template
from duly.transport import Envelope
from duly_mqtt.properties import LONGEST, Property, packed

__all__ = ["CONTENT_TYPE", "EVENT_NAME", "PREFIX", "properties_of", "topic_template"]

EVENT_NAME: Final = "event_name"
PREFIX: Final = "metadata-"
CONTENT_TYPE: Final = "content-type"
# What MQTT gives others leave to break the connection for (section 1.5.4): control characters, and
# code points that stand for no character; and the byte order mark, for which paho breaks it. And
# the percent sign, that these are written with.
_NO_CHARACTERS: Final = "\ufeff\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)
_UNFIT: Final = re.compile(f"[\x00-\x1f\x7f-\x9f{_NO_CHARACTERS}]")
_ENCODED: Final = re.compile(f"[%\x00-\x1f\x7f-\x9f{_NO_CHARACTERS}]")
# In a topic also what has a meaning there: wildcards, and the mark of the broker's own topics.
_ENCODED_IN_TOPICS: Final = re.compile(rf"^\$|[%+#\x00-\x1f\x7f-\x9f{_NO_CHARACTERS}]")


def topic_template(text: str) -> Template:
    """The topic of the messages of each event name; what is special in a name is encoded.

    Raises:
        InvalidArgument: a template that can be no topic.
    """
    if (wrong := re.search("[+#\ud800-\udfff]", text) or _UNFIT.search(text)) is not None:
        raise InvalidArgument(f"topic: {text!r} holds {wrong[0]!r}, which no topic may")
    if len(text.encode()) > LONGEST:
        raise InvalidArgument(f"topic: it has more than {LONGEST} bytes")
    return Template(text, option="topic", encode=_in_topic)


def properties_of(envelope: Envelope, *, name: bool, expiry: timedelta | None) -> bytes:
    """The properties of MQTT 5: a content type, and each header as a user's.

    ``name``: the event name is among them, because the topic does not tell it. ``expiry`` is how
    long the broker keeps the message for who is not there.

    Raises:
        MalformedPacketError: a header that is too long, or no text that can be encoded.
    """
    numbers = {} if expiry is None else {Property.MESSAGE_EXPIRY: int(expiry.total_seconds())}
    kind = next((each for each in envelope.metadata if each.lower() == CONTENT_TYPE), None)
    texts = []
    if kind is not None:
        texts.append((Property.CONTENT_TYPE, _encoded(envelope.metadata[kind])))
    return packed(numbers, texts, _headers(envelope, without=kind, name=name))


def _headers(envelope: Envelope, *, without: str | None, name: bool) -> Iterator[tuple[str, str]]:
    if name:
        yield EVENT_NAME, _encoded(envelope.event_name)
    trace = envelope.trace_context
    for header, value in envelope.headers.items():
        if header == without:
            continue
        shown = header
        if name and (header == EVENT_NAME or header.startswith(PREFIX)):
            shown = PREFIX + header
        # A value of the trace has an encoding of its own, which stays as it is.
        plain = header in trace and not _UNFIT.search(value)
        yield _encoded(shown), value if plain else _encoded(value)


def _encoded(text: str) -> str:
    return _ENCODED.sub(lambda found: quote(found[0], safe=""), text)


def _in_topic(text: str) -> str:
    return _ENCODED_IN_TOPICS.sub(lambda found: quote(found[0], safe=""), text)
