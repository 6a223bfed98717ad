"""What a transport's author writes for the cases: how to make a transport, and what it sent."""

import inspect
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from string import ascii_lowercase
from types import MappingProxyType
from typing import Any, ClassVar, Final

import attrs
import pytest
import pytest_asyncio

from duly.testing.collecting import forgotten
from duly.testing.gate import Gate
from duly.testing.transports.bench import Bench
from duly.transport import Envelope, Transport

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Received:
    """What a real consumer got, read by its own means and not by the transport's.

    ``envelope`` is what the function for consumers made of it, where the plugin has one.
    """

    event_name: str
    payload: bytes
    headers: Mapping[str, str] = _NOTHING
    envelope: Envelope | None = None


class TransportHarness(ABC):
    """The base of all cases. Derive from the suite or some of its themes and fill this in."""

    scale: ClassVar[float] = 1.0
    """Sizes and repetitions of the larger cases are multiplied by it: below 1 for slow brokers."""

    patience: ClassVar[float] = 30.0
    """Seconds within which anything that is to happen must have happened."""

    standstill: ClassVar[float] = 2.0
    """Seconds that the event loop may stand still; more means that something in it blocks."""

    largest: ClassVar[int] = 1024 * 1024
    """The largest payload that must pass, in bytes."""

    event_name: ClassVar[str] = "orders.reminder"
    """The event name in all cases that need no special one."""

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

    any_event_name: ClassVar[bool] = False
    """Whether :meth:`received` brings messages of every event name, and not only of those that
    are named here."""

    secrets: ClassVar[Sequence[str]] = ()
    """Passwords and the like that the transport was made with, and must keep to itself."""

    no_outages: ClassVar[str] = ""
    """Why the broker cannot be taken away by a test. The cases that need it are skipped with this
    reason."""

    no_gate: ClassVar[str] = ""
    """Why there is no :meth:`make_gate`, where ``no_outages`` does not say it. The cases that need
    it are skipped with this reason."""

    no_confirmations: ClassVar[str] = ""
    """Why ``publish`` returns without knowing that the broker has the message."""

    gate: Gate
    """The gate of this case, where :meth:`make_gate` gave one; transports connect to its port."""

    namespace: str
    """A fresh name of twelve lower-case letters for each case, good for a queue or a topic."""

    def __init_subclass__(cls, needs: str = "", **more: Any) -> None:
        super().__init_subclass__(**more)
        for name, case in list(vars(cls).items()):
            if name.startswith("test_") and inspect.iscoroutinefunction(case):
                if needs:  # a fixture, which skips the cases of this class alone
                    pytest.mark.usefixtures(needs)(case)
                # For those whose asyncio_mode is strict.
                setattr(cls, name, pytest.mark.asyncio(loop_scope="function")(case))
        if cls.__name__.startswith("Test") and (text := forgotten(cls)) is not None:
            raise TypeError(text)

    @abstractmethod
    async def make_transport(self) -> Transport:
        """One more transport to the destination of this case, not open yet."""

    @abstractmethod
    async def received(self, number: int) -> Sequence[Received]:
        """All that the consumer got in this case, as soon as there are ``number`` or more.

        It may wait for ever when there are fewer: the cases have their own timeout.
        """

    async def listen(self) -> None:  # noqa: B027  # where nothing needs preparing
        """Prepare the destination and start its consumer; called once, before all else."""

    def make_gate(self) -> Gate | None:
        """A gate before the broker, not open yet; called after :meth:`listen`.

        The transports of :meth:`make_transport` then connect to ``self.gate.port``, while the
        consumer connects to the broker itself. The cases freeze, cut and shut the gate.
        """
        return None

    async def break_connection(self) -> None:
        """Take the broker away: nobody answers any more, and connections are cut.

        By default the gate is shut: with a gate you need not write this.
        """
        await self._door().shut()

    async def restore_connection(self) -> None:
        """Bring the broker back at the same address."""
        await self._door().open()

    def _door(self) -> Gate:
        gate = getattr(self, "gate", None)
        assert isinstance(gate, Gate), (
            "say how the broker is taken away: write make_gate(), or break_connection() and"
            " restore_connection(); or say why it cannot be by no_outages"
        )
        return gate

    async def drop(self) -> None:  # noqa: B027  # where nothing is left
        """End the consumer and remove the destination; called when all transports are closed."""

    def many(self, number: int) -> int:
        """So many at scale 1, and never fewer than 5."""
        return max(5, round(number * self.scale))

    def bench(self) -> Bench:
        """A bench with a fresh destination, to be entered with ``async with``."""
        self.namespace = "".join(secrets.choice(ascii_lowercase) for _ in range(12))
        return Bench(self)

    @pytest.fixture(name="duly_outages")
    def _duly_outages(self) -> None:
        if self.no_outages:
            pytest.skip(f"no outages: {self.no_outages}")

    @pytest.fixture(name="duly_gate")
    def _duly_gate(self) -> None:
        if why := self.no_gate or self.no_outages:
            pytest.skip(f"no gate: {why}")

    @pytest_asyncio.fixture(loop_scope="function", name="desk")
    async def _desk(self) -> AsyncIterator[Bench]:
        async with self.bench() as bench:
            yield bench
