"""Pub/Sub: a message goes to those who listen to its channel at that moment, and to nobody else."""

from typing import Any, Final, Literal, TypeAlias

from duly.errors import InvalidArgument, TransportError
from duly.template import Template
from duly.transport import Envelope
from duly_redis_streams.content import text_of
from duly_redis_streams.sending import Command
from duly_redis_streams.server import Client, Server
from duly_redis_streams.transport import RedisTransport

__all__ = ["FORMATS", "Format", "PubSubTransport"]

Format: TypeAlias = Literal["json", "payload"]

FORMATS: Final[tuple[Format, ...]] = ("json", "payload")


class PubSubTransport(RedisTransport):
    """Publishes each message to a channel, WITHOUT ANY ACKNOWLEDGEMENT by those who listen.

    Accepted is what the server has passed on, even to nobody; the receipt is the number of
    subscribers. ``server`` is a client of yours, of redis-py's asyncio, which is left open.
    ``channel`` may hold ``{event_name}``. ``format`` is ``"json"``, an object with the headers, or
    ``"payload"``, the payload and nothing else. With ``require_subscriber`` a message that nobody
    listens to is a failed attempt. ``connections`` is how many pipelines are in flight at the same
    time.

    Raises:
        InvalidArgument: a template or a format that is not valid, a number below 1, or
            ``require_subscriber`` in a cluster, whose nodes know only their own subscribers.
    """

    def __init__(
        self,
        server: Server | Client,
        *,
        channel: str = "{event_name}",
        format: Format = "json",  # noqa: A002  # the word of the URL
        require_subscriber: bool = False,
        connections: int = 10,
    ) -> None:
        super().__init__(server, Template(channel, option="channel"), connections)
        if format not in FORMATS:
            raise InvalidArgument(f"format: it is {' or '.join(FORMATS)}, not {format!r}")
        if require_subscriber and self._in_cluster:
            raise InvalidArgument("require_subscriber: in a cluster nobody knows all subscribers")
        self._format = format
        self._required = require_subscriber

    def _command(self, envelope: Envelope, place: str) -> Command:
        content = text_of(envelope) if self._format == "json" else envelope.payload
        return Command(place, ["PUBLISH", place.encode(), content], None, len(content))

    def _receipt(self, answer: Any, place: str) -> str:
        if self._required and not answer:
            raise TransportError(f"{place}: nobody listens")
        return str(answer)
