"""Carries out what is written down, in this process or in another: whoever holds the note."""

import asyncio
import contextvars
import logging
import os
import secrets
import socket
from contextlib import suppress
from typing import Final

import msgspec

from duly import Client, DulyError, Unsupported
from duly.moment import to_microseconds
from duly_web.operations.acting import Taken, carry_out
from duly_web.operations.ledger import Entry, Ledger

__all__ = ["Runner"]

_NAP: Final = 5.0  # seconds between two looks, while nothing is known to begin sooner
_HOLD: Final = 60.0  # seconds for which a note is held
_AT_ONCE: Final = 4  # operations

log: Final = logging.getLogger("duly")


class Runner:
    """Looks for operations that are to be carried out, and carries them out, up to four at once.

    ``hold`` is for how many seconds it holds the note of one at a time: so long after a process has
    died another goes on with what it did. It looks every ``nap`` seconds, and when one begins.
    """

    def __init__(self, client: Client, *, hold: float = _HOLD, nap: float = _NAP) -> None:
        self.ledger = Ledger(client)
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        """What it is called where it holds a note."""
        self._client = client
        self._hold = hold
        self._nap = nap
        self._task: asyncio.Task[None] | None = None
        self._working: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()

    def start(self) -> None:
        """Begin to look, unless it does already. Needs a running event loop."""
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._news, self._working = asyncio.Event(), {}
            self._task = loop.create_task(
                self._look_again(), name="duly-web-operations", context=contextvars.Context()
            )

    def tell(self) -> None:
        """Look again now."""
        self._news.set()

    async def stop(self) -> None:
        """Look no more; what is being carried out is left to others, at once."""
        tasks = [each for each in (self._task, *self._working.values()) if each is not None]
        self._task = None
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_again(self) -> None:
        while True:
            self._news.clear()
            pause = self._nap
            try:
                pause = await self._look()
            except Unsupported:
                return  # nothing can be written down here
            except DulyError as error:
                log.warning("operations cannot be looked for: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause)

    async def _look(self) -> float:
        """Begin what is to begin; for how many seconds there is nothing to do."""
        pause = self._nap
        for entry in reversed(await self.ledger.all()):
            record, now = entry.record, to_microseconds(entry.now)
            if record.ended or record.id in self._working:
                continue
            waits = max(record.starts_at, record.held_until) - now
            if waits > 0:
                pause = min(pause, waits / 1_000_000)
            elif len(self._working) < _AT_ONCE:
                await self._begin(entry)
        return pause

    async def _begin(self, entry: Entry) -> None:
        held = await self.ledger.write(
            entry, msgspec.structs.replace(entry.record, **self._holding(entry))
        )
        if held is None:
            return  # another was first
        id = entry.record.id
        task = asyncio.create_task(self._work(held), name=f"duly-web-{id}")
        self._working[id] = task
        task.add_done_callback(lambda _: self._forget(id))

    def _forget(self, id: str) -> None:
        self._working.pop(id, None)
        self._news.set()

    async def _work(self, held: Entry) -> None:
        holding = Taken(self.ledger, held, self.name, self._hold)
        try:
            await carry_out(self._client, holding)
        except asyncio.CancelledError:
            with suppress(DulyError):
                await asyncio.shield(holding.give_back())
            raise
        except DulyError as error:  # the store is away: the note lapses, and somebody goes on
            log.warning("the operation %s was left: %s", held.record.id, error)

    def _holding(self, entry: Entry) -> dict[str, object]:
        until = to_microseconds(entry.now) + round(self._hold * 1_000_000)
        state = "stopping" if entry.record.state == "stopping" else "running"
        return {"holder": self.name, "held_until": until, "state": state}
