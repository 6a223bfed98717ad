"""A server in the test's own process that says what the test wants, however odd."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[int]:
    """The port at which each connection is talked to, and hung up on at the end of the talk.

    When the block ends, so do all talks.
    """
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the other side has hung up, or the block is over
        finally:
            writer.close()
            talks.discard(task)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for task in talks:
            task.cancel()
        if talks:
            await asyncio.wait(talks)
        await asyncio.sleep(0)
