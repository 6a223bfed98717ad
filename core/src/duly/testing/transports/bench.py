"""The bench on which each case works: an open transport and short words for what is done to it."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from duly.errors import DulyError, TransportUnavailable
from duly.testing.gate import Gate
from duly.testing.transports.discretion import check_discretion
from duly.testing.transports.watchdog import Watchdog
from duly.transport import Envelope, Transport

if TYPE_CHECKING:  # the harness makes benches
    from duly.testing.transports.harness import Received, TransportHarness

T = TypeVar("T")

SCHEDULED_AT: Final = datetime(2030, 1, 1, 12, 30, 15, 123_456, tzinfo=UTC)


class Bench:
    """A fresh destination whose consumer listens, and one open transport to it."""

    transport: Transport

    connections: int
    """Connections at the gate before the first transport is opened, such as the consumer's."""

    def __init__(self, harness: "TransportHarness") -> None:
        self.harness = harness
        self._made: list[Transport] = []
        self._numbers = itertools.count(1)
        self._gate: Gate | None = None
        self._watchdog = Watchdog(harness.standstill)

    async def __aenter__(self) -> Self:
        await self.harness.listen()
        self._gate = None if self.harness.no_gate else self.harness.make_gate()
        if self._gate is not None:
            self.harness.gate = self._gate
            await self._gate.open()
        self._watchdog.start(self._gate)
        try:
            self.connections = 0 if self._gate is None else self._gate.connections
            self.transport = await self.another()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            if self._gate is not None:
                stack.push_async_callback(self._gate.close)
            stack.push_async_callback(self.harness.drop)
            stack.callback(self._watchdog.stop)
            for transport in self._made:
                stack.push_async_callback(self._close, transport)
            if self._gate is not None:
                stack.push_async_callback(self._gate.open)

    async def _close(self, transport: Transport) -> None:
        await self.soon(transport.close())

    @property
    def gate(self) -> Gate:
        """The gate before the broker."""
        assert self._gate is not None, "make_gate() gives no door, and no_gate does not say why"
        return self._gate

    async def make(self) -> Transport:
        """One more transport to the same destination, not open; closed when the case is over."""
        transport = await self.harness.make_transport()
        self._made.append(transport)
        return transport

    async def another(self) -> Transport:
        """One more transport to the same destination, open."""
        transport = await self.make()
        await self.soon(transport.open())
        return transport

    def envelope(self, payload: bytes | None = None, /, **more: Any) -> Envelope:
        """An envelope of a message of its own, with a payload of its own unless one is given."""
        number = next(self._numbers)
        more.setdefault("message_id", f"id-{number}")
        more.setdefault("event_name", self.harness.event_name)
        more.setdefault("scheduled_at", SCHEDULED_AT)
        occurrence = more.get("occurrence", 0)
        more.setdefault("delivery_id", f"{more['message_id']}:{1_000_000 + number}:{occurrence}")
        if payload is None:
            payload = f"payload {number}".encode()
        return Envelope(payload=payload, **more)

    def envelopes(self, number: int) -> Sequence[Envelope]:
        """So many different ones."""
        return [self.envelope() for _ in range(number)]

    async def publish(self, *envelopes: Envelope, by: Transport | None = None) -> None:
        """Publish all at the same time, and look at the receipts."""
        transport = by or self.transport
        receipts = await self.soon(asyncio.gather(*map(transport.publish, envelopes)))
        for receipt in receipts:
            assert receipt is None or isinstance(receipt, str), (
                f"publish returned {receipt!r}, but a receipt is text or None"
            )

    async def arrived(self, *envelopes: Envelope) -> "Sequence[Received]":
        """What the consumer got, which is exactly these, in any order."""
        got = await self.received(len(envelopes))
        wanted = [(envelope.event_name, envelope.payload) for envelope in envelopes]
        found = [(each.event_name, each.payload) for each in got]
        missing, surplus = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        assert not missing, f"did not arrive: {_listed(missing)}, instead: {_listed(surplus)}"
        assert not surplus, f"arrived without being sent, or twice: {_listed(surplus)}"
        return got

    async def received(self, number: int) -> "Sequence[Received]":
        """All that the consumer got, at least so many."""
        got = await self.soon(self.harness.received(number))
        assert len(got) >= number, f"only {len(got)} of {number} arrived"
        return got

    async def comes(self, envelope: Envelope) -> Sequence[bytes]:
        """The payloads of all that the consumer got, as soon as this one is among them."""
        got: Sequence[bytes] = ()
        while envelope.payload not in got:
            got = [each.payload for each in await self.received(len(got) + 1)]
        return got

    def told(self, outcome: object, *, cancelled: bool = False) -> bool:
        """Check the outcome of a publish against the contract; whether it was accepted."""
        if outcome is None or isinstance(outcome, str):
            return True
        if not (cancelled and isinstance(outcome, asyncio.CancelledError)):
            self.check_error(outcome)
        return False

    def check_error(self, error: object) -> None:
        """Check an error against the contract: one of duly's, with a text, that keeps secrets."""
        assert isinstance(error, DulyError), f"raise a TransportError from it: {error!r}"
        assert str(error), f"an error without a text: {error!r}"
        check_discretion(error, self.harness.secrets)

    async def opens_or_tells(self, opening: Awaitable[None], *, cancelled: bool = False) -> None:
        """Wait for an ``open``, which works or raises an error that the contract allows."""
        (outcome,) = await self.soon(asyncio.gather(opening, return_exceptions=True))
        self.told(outcome, cancelled=cancelled)

    async def goes_on(self, *, by: Transport | None = None) -> None:
        """Open and publish until it works, as a scheduler does; then the message arrives."""
        transport, last = by or self.transport, self.envelope()

        async def try_again() -> None:
            while True:
                try:
                    await transport.open()
                    await transport.publish(last)
                except TransportUnavailable as error:
                    self.check_error(error)
                    await asyncio.sleep(0.02)
                else:
                    return

        await self.soon(try_again())
        await self.comes(last)

    async def never_came(self, envelopes: Sequence[Envelope]) -> None:
        """None of these has arrived by the time that others, sent later, have."""
        unwanted = {envelope.payload for envelope in envelopes}
        for _ in range(3):
            await asyncio.sleep(0.05)
            await self.publish(last := self.envelope())
            came = unwanted.intersection(await self.comes(last))
            assert not came, f"came although publish said it failed: {came}"

    async def take_away(self) -> None:
        """Take the broker away."""
        with self._watchdog.paused():
            await self.harness.break_connection()

    async def bring_back(self) -> None:
        """Bring the broker back."""
        with self._watchdog.paused():
            await self.harness.restore_connection()

    async def soon(self, work: Awaitable[T]) -> T:
        """The result of something that must not hang."""
        try:
            async with asyncio.timeout(self.harness.patience) as limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
        raise AssertionError(f"not done within {self.harness.patience} s")


def _listed(counts: Counter[tuple[str, bytes]]) -> str:
    first = [f"{name!r}: {payload[:40]!r}" for name, payload in list(counts)[:5]]
    return f"{counts.total()} ({', '.join(first)})"
