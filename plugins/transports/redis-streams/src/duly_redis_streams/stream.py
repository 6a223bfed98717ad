"""Streams: each message is an entry, added by XADD."""

from datetime import timedelta
from typing import Any, Final

from duly.errors import InvalidArgument, Rejected, TransportError
from duly.template import Template
from duly.transport import Envelope
from duly_redis_streams.content import entry_of
from duly_redis_streams.scripts import ADD
from duly_redis_streams.sending import Command
from duly_redis_streams.server import Client, Server
from duly_redis_streams.transport import RedisTransport

__all__ = ["StreamTransport"]

_MILLISECOND: Final = timedelta(milliseconds=1)


class StreamTransport(RedisTransport):
    """Adds each message to a stream; accepted is what has an entry id, which is the receipt.

    ``server`` is a client of yours, of redis-py's asyncio, which is left open. ``stream`` is the
    key of the stream, and may hold ``{event_name}``. Streams keep at most ``maxlen`` entries, or
    those younger than ``max_age``; a few more for speed, unless ``exact``. Without ``create`` a
    stream that does not exist yet is a failed attempt. With ``deduplicate`` the server remembers
    deliveries for that long, and adds none a second time. ``connections`` is how many pipelines are
    in flight at the same time.

    Raises:
        InvalidArgument: a template that is not valid, a number below 1, or both ``maxlen`` and
            ``max_age``.
    """

    def __init__(
        self,
        server: Server | Client,
        *,
        stream: str = "{event_name}",
        maxlen: int | None = None,
        max_age: timedelta | None = None,
        exact: bool = False,
        create: bool = True,
        deduplicate: timedelta | None = None,
        connections: int = 10,
    ) -> None:
        super().__init__(server, Template(stream, option="stream"), connections)
        if maxlen is not None and max_age is not None:
            raise InvalidArgument("maxlen and max_age: a stream is trimmed by one of them")
        if exact and maxlen is None and max_age is None:
            raise InvalidArgument("exact: it says how to trim by maxlen or max_age")
        if maxlen is not None and maxlen < 1:
            raise InvalidArgument("maxlen has to be above 0")
        self._age = _milliseconds(max_age, "max_age")
        self._memory = _milliseconds(deduplicate, "deduplicate")
        self._options: list[str] = [] if create else ["NOMKSTREAM"]
        self._threshold = 0  # its position among the arguments of the script
        operator = "=" if exact else "~"
        if maxlen is not None:
            self._options += ["MAXLEN", operator, str(maxlen)]
        elif self._age:
            self._options += ["MINID", operator, ""]
            self._threshold = 3 + len(self._options)
        self._options.append("*")

    def _command(self, envelope: Envelope, place: str) -> Command:
        key = place.encode()
        arguments: list[Any] = [*self._options, *entry_of(envelope)]
        if not self._memory and not self._threshold:
            arguments = ["XADD", key, *arguments]
        else:
            keys = [key]
            if self._memory:
                keys.append(self._mark(place, envelope.delivery_id).encode())
            numbers = [self._memory, self._age, self._threshold]
            arguments = ["EVAL", ADD, len(keys), *keys, *numbers, *arguments]
        return Command(place, arguments, key, len(envelope.payload))

    def _receipt(self, answer: Any, place: str) -> str:
        if answer is None:
            raise TransportError(f"{place}: there is no such stream, and create is false")
        return answer.decode() if isinstance(answer, bytes) else str(answer)

    def _mark(self, stream: str, delivery_id: str) -> str:
        """The key that remembers a delivery: the length tells where the name of the stream ends."""
        return f"duly:delivery:{{{self._tag(stream)}}}:{len(stream)}:{stream}:{delivery_id}"

    def _tag(self, stream: str) -> str:
        """The hash tag of a stream, so that a cluster puts another key into the same slot."""
        tag, end, _ = stream.partition("{")[2].partition("}")
        if tag and end:
            return tag
        if "}" in stream and self._in_cluster:
            raise Rejected(f"{stream}: in a cluster deduplicate needs a name without such braces")
        return stream


def _milliseconds(duration: timedelta | None, option: str) -> int:
    if duration is None:
        return 0
    if duration < _MILLISECOND:
        raise InvalidArgument(f"{option} has to be above 0")
    return duration // _MILLISECOND
