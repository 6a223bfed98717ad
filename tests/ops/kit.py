"""Asking the pages over real HTTP, and listening in systemd's place."""

import asyncio
import http.client
import json
import queue
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from duly import Envelope, Scheduler
from duly_ops import Ops

LOCAL: Final = "127.0.0.1:0"
PATIENCE: Final = 20.0  # seconds


@attrs.frozen
class Page:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def facts(self) -> Any:
        return json.loads(self.body)

    @property
    def samples(self) -> Sequence[Sample]:
        """All that is exposed."""
        families = text_string_to_metric_families(self.text)
        return [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """The only value of that name with these labels; None if there is none."""
        found = [
            each.value
            for each in self.samples
            if each.name == name and labels.items() <= each.labels.items()
        ]
        assert len(found) <= 1, found
        return found[0] if found else None


def fetch(place: str | None, path: str, method: str = "GET", body: bytes | None = None) -> Page:
    """One request at host:port."""
    assert place is not None, "nothing serves"
    connection = http.client.HTTPConnection(place, timeout=PATIENCE)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return Page(response.status, {**response.headers}, response.read())
    finally:
        connection.close()


async def page(place: str | None, path: str, **more: Any) -> Page:
    """The same, while schedulers on this event loop go on."""
    return await asyncio.to_thread(fetch, place, path, **more)


async def until(place: str | None, path: str, status: int) -> Page:
    """Ask again until that is the status."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await page(place, path)).status != status:  # noqa: ASYNC110  # it is asked
            await asyncio.sleep(0.02)
    return answer


async def until_shown(place: str | None, name: str, value: float, **labels: str) -> Page:
    """Ask for metrics until that is the value of one."""
    async with asyncio.timeout(PATIENCE):
        while (shown := await page(place, "/metrics")).value(name, **labels) != value:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
    return shown


async def nothing(envelope: Envelope) -> None:
    """Deliver."""


@asynccontextmanager
async def served(
    store: Any, deliver: Any = nothing, ops: Ops | None = None, **options: Any
) -> AsyncIterator[tuple[Ops, Scheduler]]:
    """A scheduler that runs, its store there or not, and its pages."""
    ops = Ops(LOCAL) if ops is None else ops
    scheduler = Scheduler(store, deliver, plugins=[ops], **options)
    start = asyncio.create_task(scheduler.start())
    try:
        async with asyncio.timeout(PATIENCE):
            while (
                ops.address is None or scheduler.liveness().state == "stopped"
            ):  # a task changes it
                assert not start.done(), start.exception()
                await asyncio.sleep(0.005)
        yield ops, scheduler
    finally:
        await scheduler.stop()
        await start
        await scheduler.close()


@contextmanager
def systemd(folder: Path, monkeypatch: Any, **more: str) -> Iterator["Systemd"]:
    """What a service is told to notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = str(folder / "notify")
        listening.bind(path)
        for name, value in {"NOTIFY_SOCKET": path, **more}.items():
            monkeypatch.setenv(name, value)
        heard = Systemd()
        reading = threading.Thread(target=heard.read, args=[listening], daemon=True)
        reading.start()
        try:
            yield heard
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"", path)
            reading.join(PATIENCE)


class Systemd:
    """Hears what a service says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        """What was heard up to now and looked for."""
        self._said: queue.Queue[str] = queue.Queue()

    def read(self, listening: socket.socket) -> None:
        """Read until there is something empty."""
        while data := listening.recv(65_536):
            for line in data.decode().splitlines():
                self._said.put(line)

    def hear(self, beginning: str) -> str:
        """The next line that begins so; all up to it are kept."""
        while True:
            line = self._said.get(timeout=PATIENCE)
            self.lines.append(line)
            if line.startswith(beginning):
                return line

    def pending(self) -> list[str]:
        """What was said and not looked for."""
        found = []
        while not self._said.empty():
            found.append(self._said.get())
        return found
