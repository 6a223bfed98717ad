"""Cases that count connections at the gate: each that was opened is closed, whatever happens."""

import asyncio
import contextlib
import socket
from pathlib import Path

from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness
from duly.transport import Transport


class ConnectionCases(TransportHarness, needs="duly_gate"):
    """After ``close`` no connection is left."""

    async def test_opened_by_many_it_leaves_no_connection(self, desk: Bench) -> None:
        transport = await desk.make()
        await desk.soon(asyncio.gather(*(transport.open() for _ in range(10))))
        await desk.soon(asyncio.gather(*(transport.open() for _ in range(10))))
        await desk.publish(envelope := desk.envelope(), by=transport)
        await desk.arrived(envelope)
        await self._none_left(desk, transport)

    async def test_opening_cancelled_leaves_no_connection(self, desk: Bench) -> None:
        transport = await desk.make()
        for steps in range(20):
            opening = asyncio.ensure_future(transport.open())
            for _ in range(steps):
                await asyncio.sleep(0.0005 * (steps % 2))
            opening.cancel()
            await desk.opens_or_tells(opening, cancelled=True)
            await desk.soon(transport.close())
        await self._none_left(desk, transport)

    async def test_opening_cancelled_in_silence_leaves_no_connection(self, desk: Bench) -> None:
        transport = await desk.make()
        desk.gate.freeze()
        for _ in range(3):
            openings = [asyncio.ensure_future(transport.open()) for _ in range(3)]
            await asyncio.wait(openings, timeout=0.05)
            for opening in openings:
                opening.cancel()
            for opening in openings:
                await desk.opens_or_tells(opening, cancelled=True)
        desk.gate.thaw()
        await self._none_left(desk, transport)

    async def test_connections_that_are_cut_leave_none(self, desk: Bench) -> None:
        for _ in range(3):
            await desk.gate.cut()
            await desk.goes_on()
        await self._none_left(desk)

    async def test_closed_in_silence_it_leaves_no_connection(self, desk: Bench) -> None:
        """A broker that does not answer is left soon, without a goodbye."""
        before = _connections(desk.gate.port)
        transport = await desk.another()
        await desk.publish(desk.envelope(), by=transport)
        desk.gate.freeze()
        large = [desk.envelope(bytes(self.largest)) for _ in range(8)]  # more than a socket takes
        publishes = [asyncio.ensure_future(transport.publish(each)) for each in large]
        await asyncio.wait(publishes, timeout=0.05)
        await desk.soon(transport.close())
        for outcome in await desk.soon(asyncio.gather(*publishes, return_exceptions=True)):
            desk.told(outcome)
        for _ in range(round(self.patience * 100)):
            if (left := _connections(desk.gate.port) - before) <= 0:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"connections are left after close while nobody answered: {left}")

    async def _none_left(self, desk: Bench, *others: Transport) -> None:
        for transport in (desk.transport, *others):
            await desk.soon(transport.close())
        for _ in range(round(self.patience * 100)):
            if desk.gate.connections <= desk.connections:
                return
            await asyncio.sleep(0.01)
        left = desk.gate.connections - desk.connections
        raise AssertionError(f"connections are left after close: {left}")


def _connections(port: int) -> int:
    """How many of this process go to a port; a frozen gate does not see their end."""
    number = 0
    for file in list(Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError):  # closed meanwhile, or no socket, or not connected
            ours = socket.socket(fileno=int(file.name))
            try:
                number += ours.getpeername()[1:2] == (port,)
            finally:
                ours.detach()
    return number
