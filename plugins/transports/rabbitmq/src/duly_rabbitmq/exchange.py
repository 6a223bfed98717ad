"""The exchange that messages are published to, declared only if that was asked for."""

from typing import Final

import aiormq
import attrs

from duly.errors import InvalidArgument

__all__ = ["KINDS", "Exchange"]

KINDS: Final = ("direct", "fanout", "headers", "topic")
_LONGEST: Final = 255  # bytes


@attrs.frozen
class Exchange:
    """An exchange by its name; the empty one is the broker's own, which knows queues by name.

    With ``kind``, one of direct, fanout, headers and topic or that of a plugin (``x-...``), it is
    declared, durable, with each connection to the broker. Without ``kind`` it must exist.

    Raises:
        InvalidArgument: an unknown kind, a name over 255 bytes, or one that only the broker may
            declare.
    """

    name: str = ""
    kind: str | None = None

    def __attrs_post_init__(self) -> None:
        if len(self.name.encode()) > _LONGEST:
            raise InvalidArgument(f"exchange: a name has at most {_LONGEST} bytes")
        if self.kind is None:
            return
        if self.kind not in KINDS and not self.kind.startswith("x-"):
            raise InvalidArgument(f"declare: it is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not self.name or self.name.startswith("amq."):
            raise InvalidArgument(f"declare: the exchange {self.name!r} is the broker's own")

    async def declare(self, channel: aiormq.Channel) -> None:
        """Make it if it is missing and that was asked for."""
        if self.kind is not None:
            await channel.exchange_declare(self.name, exchange_type=self.kind, durable=True)

    async def look(self, channel: aiormq.Channel) -> None:
        """Check that it exists; if not, the broker closes the channel."""
        if self.name:
            await channel.exchange_declare(self.name, passive=True)
