"""What a transport's author tells the cases: how to make a transport, and what came out of it."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from string import ascii_lowercase
from types import MappingProxyType
from typing import ClassVar, Final

import attrs
import pytest_asyncio

from duly.testing.transports.bench import Bench
from duly.transport import Transport

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Received:
    """What a real consumer got, read by its own means and not by the transport's."""

    event_name: str
    payload: bytes
    headers: Mapping[str, str] = _NOTHING


class TransportHarness(ABC):
    """The base of all cases. Derive from the suite or some of its themes and fill this in."""

    scale: ClassVar[float] = 1.0
    """Sizes and repetitions of the larger cases are multiplied by it: below 1 for slow brokers."""

    patience: ClassVar[float] = 10.0
    """Seconds within which anything that is to happen must have happened."""

    largest: ClassVar[int] = 1024 * 1024
    """The largest payload that must pass, in bytes."""

    event_name: ClassVar[str] = "orders.reminder"
    """The event name of all cases that do without a special one."""

    odd_event_names: ClassVar[Sequence[str]] = (
        "plain",
        "UPPER.lower-1_2",
        "größe.übersicht",
        "注文.\U0001f4e6",
        "with space/and:others%20?#*>+",
        "x" * 255,
    )
    """Event names that must pass as well. A broker that cannot take such a name needs another
    way to tell it to the consumer."""

    secrets: ClassVar[Sequence[str]] = ()
    """Passwords and the like that the transport was made with, and must keep to itself."""

    namespace: str
    """A fresh name of twelve lower-case letters for each case, good for a queue or a topic."""

    @abstractmethod
    async def make_transport(self) -> Transport:
        """One more transport to the destination of this case, not open yet."""

    @abstractmethod
    async def received(self, number: int) -> Sequence[Received]:
        """All that the consumer got in this case, as soon as there are ``number`` or more.

        May wait for ever when there are fewer: the cases look at the time.
        """

    async def listen(self) -> None:  # noqa: B027  # where nothing needs preparing
        """Prepare the destination and start its consumer; called once, before all else."""

    async def drop(self) -> None:  # noqa: B027  # where nothing is left
        """End the consumer and remove the destination; called when all transports are closed."""

    def many(self, number: int) -> int:
        """So many at scale 1, and never fewer than 5."""
        return max(5, round(number * self.scale))

    def bench(self) -> Bench:
        """A bench with a fresh destination, to be entered with ``async with``."""
        self.namespace = "".join(secrets.choice(ascii_lowercase) for _ in range(12))
        return Bench(self)

    @pytest_asyncio.fixture(loop_scope="function", name="desk")
    async def _desk(self) -> AsyncIterator[Bench]:
        async with self.bench() as bench:
            yield bench
