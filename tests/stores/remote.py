"""A store with a server behind connections, as plain as can be, to plant bugs in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

from duly import StoreError, StoreUnavailable
from duly.store import Batch, Clock, Release, Settle, Store
from duly.testing.stores import StoreSuite
from duly.testing.stores.plain import PlainStore

PASSWORD = "the-password-of-the-server"


class Server:
    """What stands at the other end: the messages, and whether it is there."""

    def __init__(self, clock: Clock | None) -> None:
        self.plain = PlainStore(clock=clock)
        self.connections: list[object] = []
        self.away = False
        self.flows = asyncio.Event()
        self.flows.set()

    async def reach(self) -> None:
        """One way, to the server or back.

        Raises:
            OSError: it is away.
        """
        await asyncio.sleep(0)
        await self.flows.wait()
        if self.away:
            raise ConnectionResetError(f"no route to user:{PASSWORD}@server")

    async def take_back(self, batch: Batch) -> None:
        """Put back what was claimed for nobody, as if that had never been."""
        if batch.token is not None:
            back = {each.key: Release(each.message.next_attempt_at) for each in batch.claims}
            await self.plain.settle([Settle(batch.token, back)])


class RemoteStore:
    """A store that says in the words of the contract when its server is away."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection: object = None
        self.turn = asyncio.Lock()

    async def open(self) -> None:
        async with self.turn:
            if self.connection is None:
                self.connection = await self.connect()

    async def connect(self) -> object:
        connection = object()
        self.server.connections.append(connection)
        try:
            with self.translated():
                for _ in range(3):
                    await self.server.reach()
        except BaseException:
            self.server.connections.remove(connection)
            raise
        return connection

    async def close(self) -> None:
        if self.connection is not None:
            self.server.connections.remove(self.connection)
            self.connection = None

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            raise StoreUnavailable("the server is away") from None

    async def call(self, name: str, *arguments: Any, **more: Any) -> Any:
        """What comes of a verb on the server."""
        if self.connection is None:
            raise StoreError("the store is not open")
        with self.translated():
            await self.server.reach()
            answer = await getattr(self.server.plain, name)(*arguments, **more)
            try:
                await self.server.reach()
            except BaseException:
                if isinstance(answer, Batch):
                    await self.server.take_back(answer)
                raise
        return answer

    async def put(self, groups: Any, **more: Any) -> Any:
        return await self.call("put", groups, **more)

    async def cancel(self, ids: Any, **more: Any) -> Any:
        return await self.call("cancel", ids, **more)

    async def reschedule(self, id: str, at: datetime | None, **more: Any) -> Any:
        return await self.call("reschedule", id, at, **more)

    async def get(self, id: str) -> Any:
        return await self.call("get", id)

    async def list(self, filter: Any, **more: Any) -> Any:
        return await self.call("list", filter, **more)

    async def claim(self, **more: Any) -> Any:
        return await self.call("claim", **more)

    async def renew(self, tokens: Any, lease: Any) -> Any:
        return await self.call("renew", tokens, lease)

    async def settle(self, settles: Any) -> Any:
        return await self.call("settle", settles)

    async def stats(self) -> Any:
        return await self.call("stats")


class RemoteSuite(StoreSuite):
    """All cases over stores of a kind, each with a connection to the server of its namespace."""

    scale = 0.3
    outage_patience = 0.3
    secrets = (PASSWORD,)

    def __init__(self, kind: type[RemoteStore] = RemoteStore) -> None:
        self.kind = kind
        self.servers: dict[str, Server] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        return self.kind(self.servers.setdefault(namespace, Server(clock)))

    @contextlib.asynccontextmanager
    async def outage(self, namespace: str) -> AsyncIterator[None]:
        self.servers[namespace].away = True
        yield
        self.servers[namespace].away = False

    @contextlib.asynccontextmanager
    async def freeze(self, namespace: str) -> AsyncIterator[None]:
        self.servers[namespace].flows.clear()
        yield
        self.servers[namespace].flows.set()

    async def connections(self, namespace: str) -> int:
        return len(self.servers[namespace].connections)
