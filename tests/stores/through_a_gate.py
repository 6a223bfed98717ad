"""A server that can be taken away and frozen: between it and its stores stands a gate."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from duly.testing import Gate
from duly.testing.stores import ConnectionCases, OutageCases, SecretCases, StoreHarness

PASSWORD = "the-password-of-the-tests"
APART = "tried through a gate, in a class of its own"


class ThroughAGate(StoreHarness):
    """A gate for each namespace, before the server that ``self.url`` leads to."""

    secrets = (PASSWORD,)
    url: str

    async def gated(self, namespace: str) -> str:
        """The address of the gate, in which the rest of the URL is as it was."""
        gates: dict[str, Gate] = self.__dict__.setdefault("gates", {})
        parts = urlsplit(self.url)
        if namespace not in gates:
            gates[namespace] = Gate(parts.port or 0)
            await gates[namespace].open()
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{gates[namespace].port}".lstrip("@")
        return parts._replace(netloc=netloc).geturl()

    async def drop(self, namespace: str) -> None:
        await self.gates.pop(namespace).close()
        await super().drop(namespace)

    @property
    def gates(self) -> dict[str, Gate]:
        found: dict[str, Gate] = self.__dict__["gates"]
        return found

    @contextlib.asynccontextmanager
    async def outage(self, namespace: str) -> AsyncIterator[None]:
        await self.gates[namespace].shut()
        yield
        await self.gates[namespace].open()

    @contextlib.asynccontextmanager
    async def freeze(self, namespace: str) -> AsyncIterator[None]:
        self.gates[namespace].freeze()
        yield
        self.gates[namespace].thaw()

    async def connections(self, namespace: str) -> int:
        return self.gates[namespace].connections


class AwayCases(ThroughAGate, OutageCases, ConnectionCases, SecretCases):
    """The cases for which a server has to go, and a look at who is connected to it."""
