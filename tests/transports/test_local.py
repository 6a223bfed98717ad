"""The local transports are held to the contract."""

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from duly.local import FunctionTransport, LocalTransport
from duly.testing.transports import HeaderCases, Received, TransportSuite
from duly.transport import Envelope, Transport

pytest_plugins = ["duly.testing"]


class LocalCases(HeaderCases, TransportSuite):
    no_outages = "functions of this process: there is no broker"

    async def listen(self) -> None:
        self._got: list[Received] = []
        self._lock = threading.Lock()

    def take(self, told: Envelope) -> None:
        got = Received(event_name=told.event_name, payload=told.payload, headers=told.headers)
        with self._lock:
            self._got.append(got)

    async def take_soon(self, told: Envelope) -> None:
        await asyncio.sleep(0)
        self.take(told)

    async def received(self, number: int) -> Sequence[Received]:
        while len(self._got) < number:  # noqa: ASYNC110  # threads add to it
            await asyncio.sleep(0.001)
        return list(self._got)

    def local(self, handler: Callable[[Envelope], Any]) -> LocalTransport:
        transport = LocalTransport()
        for name in {self.event_name, *self.odd_event_names}:
            transport.on(name)(handler)
        return transport

    @abstractmethod
    async def make_transport(self) -> Transport: ...


class TestAsyncFunctions(LocalCases):
    async def make_transport(self) -> Transport:
        return self.local(self.take_soon)


class TestPlainFunctions(LocalCases):
    async def make_transport(self) -> Transport:
        return self.local(self.take)


class TestOneAsyncFunction(LocalCases):
    async def make_transport(self) -> Transport:
        return FunctionTransport(self.take_soon)


class TestOnePlainFunction(LocalCases):
    async def make_transport(self) -> Transport:
        return FunctionTransport(self.take)
