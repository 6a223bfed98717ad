"""A message as a topic and as properties of MQTT 5, whatever text it holds."""

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
# Characters for which MQTT allows others to break the connection (section 1.5.4): control
# characters and code points that stand for no character; the byte order mark, for which paho breaks
# it; and the percent sign, with which these are encoded.
_NO_CHARACTERS: Final = "\ufeff\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)
_UNFIT: Final = re.compile(f"[\x00-\x1f\x7f-\x9f{_NO_CHARACTERS}]")
_ENCODED: Final = re.compile(f"[%\x00-\x1f\x7f-\x9f{_NO_CHARACTERS}]")
# In a topic also characters with a meaning there: wildcards, and the mark of the broker's topics.
_ENCODED_IN_TOPICS: Final = re.compile(rf"^\$|[%+#\x00-\x1f\x7f-\x9f{_NO_CHARACTERS}]")


def topic_template(text: str) -> Template:
    """The topic of the messages of each event name; what is special in a name is encoded.

    Raises:
        InvalidArgument: a template that cannot become a topic.
    """
    if (wrong := re.search("[+#\ud800-\udfff]", text) or _UNFIT.search(text)) is not None:
        raise InvalidArgument(f"topic: {text!r} holds {wrong[0]!r}, which no topic may")
    if len(text.encode()) > LONGEST:
        raise InvalidArgument(f"topic: it has more than {LONGEST} bytes")
    return Template(text, option="topic", encode=_in_topic)


def properties_of(envelope: Envelope, *, name: bool, expiry: timedelta | None) -> bytes:
    """The properties of MQTT 5: a content type, and each header as a user property.

    ``name``: the event name is among them, because the topic does not tell it. ``expiry`` is how
    long the broker keeps the message for subscribers that are away.

    Raises:
        MalformedPacketError: a header that is too long, or that cannot be encoded.
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
        # A trace value has an encoding of its own, and stays as it is.
        plain = header in trace and not _UNFIT.search(value)
        yield _encoded(shown), value if plain else _encoded(value)


def _encoded(text: str) -> str:
    return _ENCODED.sub(lambda found: quote(found[0], safe=""), text)


def _in_topic(text: str) -> str:
    return _ENCODED_IN_TOPICS.sub(lambda found: quote(found[0], safe=""), text)
