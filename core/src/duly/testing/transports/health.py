"""Cases for transports that are :class:`~duly.transport.SupportsHealth`; the others skip them."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from duly.testing.transports.bench import Bench
from duly.testing.transports.discretion import check_discretion
from duly.testing.transports.harness import TransportHarness
from duly.transport import SupportsHealth


class HealthCases(TransportHarness):
    """``check`` when all is well, and when the transport is closed."""

    async def test_a_check_finds_nothing_wrong(self, desk: Bench) -> None:
        health = checking(desk)
        assert await checked(desk, health.check()) == []
        await desk.publish(envelope := desk.envelope())
        assert await checked(desk, health.check()) == []
        await desk.arrived(envelope)

    async def test_a_check_of_what_is_closed_raises_nothing(self, desk: Bench) -> None:
        health = checking(desk)
        await desk.soon(desk.transport.close())
        await checked(desk, health.check())


class HealthOutageCases(TransportHarness, needs="duly_outages"):
    """``check`` while the broker is away: there must be a reason, until it is back."""

    async def test_a_check_says_that_it_is_away(self, desk: Bench) -> None:
        health = checking(desk)
        await desk.publish(desk.envelope())
        await desk.take_away()
        for _ in range(2):
            assert await checked(desk, health.check()), "the broker is away: check must say so"
        await desk.bring_back()
        await desk.goes_on()
        while await checked(desk, health.check()):
            await desk.goes_on()


class HealthSilenceCases(TransportHarness, needs="duly_gate"):
    """``check`` while the broker says nothing: it may find that out or wait, and raises nothing."""

    async def test_a_check_of_a_silent_broker(self, desk: Bench) -> None:
        health = checking(desk)
        desk.gate.freeze()
        checks = [asyncio.ensure_future(checked(desk, health.check())) for _ in range(2)]
        await asyncio.wait(checks, timeout=0.1)
        checks[0].cancel()
        desk.gate.thaw()
        await desk.soon(asyncio.wait(checks))
        await checks[1]
        await desk.goes_on()


def checking(desk: Bench) -> SupportsHealth:
    """The transport, if it is a ``SupportsHealth``; otherwise the case is skipped."""
    if not isinstance(desk.transport, SupportsHealth):
        pytest.skip("this transport is no SupportsHealth")
    return desk.transport


async def checked(desk: Bench, check: Awaitable[Any]) -> Sequence[str]:
    """The reasons that a check gives: texts without secrets."""
    try:
        reasons = await desk.soon(check)
    except Exception as error:
        raise AssertionError(f"check must return its reasons, not raise: {error!r}") from error
    assert isinstance(reasons, Sequence), f"check returned {type(reasons).__name__}, no sequence"
    assert not isinstance(reasons, str), "check must return a sequence of reasons, not one text"
    assert all(isinstance(reason, str) and reason for reason in reasons)
    check_discretion(" ".join(reasons), desk.harness.secrets)
    return reasons
