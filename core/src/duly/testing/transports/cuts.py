"""Cases for connections that end in the middle: of a handshake, of a publish, of their closing."""

import asyncio
from collections.abc import Awaitable
from typing import Final, get_args

import pytest

from duly.errors import TransportUnavailable
from duly.testing.tcp import How
from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness

_PIECES: Final = 60  # of data, more than opening and publishing take


class CutCases(TransportHarness, needs="duly_gate"):
    """Wherever a connection ends, it is an outage, and the transport goes on."""

    @pytest.mark.parametrize("how", get_args(How))
    async def test_cut_behind_each_piece_of_data(self, desk: Bench, how: How) -> None:
        for pieces in range(_PIECES):
            transport = await desk.make()
            desk.gate.cut_behind(pieces, how)
            opening = await self._outcome(desk, transport.open())
            publish = await self._outcome(desk, transport.publish(envelope := desk.envelope()))
            if desk.gate.cutting:  # opening and publishing took fewer pieces
                break
            for outcome in (opening, publish):
                assert isinstance(outcome, str | None | TransportUnavailable), (
                    f"cut after piece {pieces}: raise TransportUnavailable, not {outcome!r}"
                )
            accepted = desk.told(publish)
            if self.no_confirmations:  # nobody may have told it of the loss yet
                await desk.soon(transport.close())
            await desk.goes_on(by=transport)
            if accepted and not self.no_confirmations:
                await desk.comes(envelope)
            await desk.soon(transport.close())

    async def _outcome(self, desk: Bench, work: Awaitable[object]) -> object:
        (outcome,) = await desk.soon(asyncio.gather(work, return_exceptions=True))
        return outcome
