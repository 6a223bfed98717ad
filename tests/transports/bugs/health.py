"""Bugs in what a transport says of its health."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import TransportUnavailable


@found_by("test_a_check_finds_nothing_wrong")
class AlwaysFindsSomething(PostboxTransport):
    async def check(self) -> Sequence[str]:
        return ["it has been better"]


@found_by("test_a_check_says_that_it_is_away")
class NeverFindsAnything(PostboxTransport):
    async def check(self) -> Sequence[str]:
        return []


@found_by("test_a_check_says_that_it_is_away")
class SaysOneText(PostboxTransport):
    async def check(self) -> Any:
        return "".join(await super().check())


@found_by("test_a_check_says_that_it_is_away")
class SaysThePassword(PostboxTransport):
    async def check(self) -> Sequence[str]:
        return [f"{self._password}: {each}" for each in await super().check()]


@found_by("test_a_check_of_what_is_closed_raises_nothing")
@found_by("test_a_check_says_that_it_is_away")
class RaisesWhatItFinds(PostboxTransport):
    async def check(self) -> Sequence[str]:
        if reasons := await super().check():
            raise TransportUnavailable(reasons[0])
        return []


@found_by("test_a_check_of_a_silent_broker")
class LosesItsPatience(PostboxTransport):
    async def check(self) -> Sequence[str]:
        async with asyncio.timeout(0.02):
            return await super().check()
