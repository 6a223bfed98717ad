"""What nats-py leaves behind when a connection breaks: it has no public way to end all of it."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any, Final

from nats.aio.client import Client

__all__ = ["abort", "end"]

_ENDING: Final = 1.0  # seconds until a peer that takes nothing more is given up
_TASKS: Final = ("_reading_task", "_flusher_task", "_ping_interval_task")


def abort(client: Client) -> None:
    """Cut its connection without telling the peer, which takes nothing more."""
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        # Until Python 3.11.4 asyncio fails at this where TLS was closed before.
        with contextlib.suppress(AttributeError):
            writer.transport.abort()


async def end(client: Client, others: Collection[asyncio.Task[Any]]) -> None:
    """Close it, and then all that it leaves behind if its connection breaks while it closes.

    The ``others``, tasks that wait for its answers, are ended too.
    """
    for task in others:
        task.cancel()
    subscriptions = list(getattr(client, "_subs", {}).values())
    closing = asyncio.ensure_future(client.close())
    await asyncio.wait([closing], timeout=_ENDING)
    abort(client)
    found: list[Any] = [getattr(client, name, None) for name in _TASKS]
    found += [getattr(each, "_wait_for_msgs_task", None) for each in subscriptions]
    tasks = {closing, *others, *(task for task in found if task is not None)} - {
        asyncio.current_task()
    }
    for task in tasks:
        task.cancel()
    done, _ = await asyncio.wait(tasks, timeout=_ENDING)
    for task in done:
        if not task.cancelled():
            task.exception()  # of no use any more, and not to be logged
