"""MongoDB: mongod where somebody has it, else SecantusDB from its wheel, as a process of its own.

SecantusDB speaks MongoDB's protocol, with transactions and change streams, and is slow: keep
collections under 500 documents, and measure nothing on it.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from tests.servers.finding import given, missing, served
from tests.servers.process import Server, program, wait_until

HINT = "install secantusdb, or mongod"
STANDARD = 27017
NAME = "duly"  # of the replica set


def mongo_program() -> str | None:
    """The server from the PATH, or from its wheel beside this Python."""
    return program("mongod", "secantusd-py", folders=[Path(sys.executable).parent])


class MongoServer(Server):
    """A server of the tests' own, the only member of a replica set or, ``alone``, of none."""

    def __init__(self, *settings: str, alone: bool = False, port: int | None = None) -> None:
        if mongo_program() is None:
            missing("mongodb", HINT)
        super().__init__(port)
        self._program = mongo_program() or ""
        self._settings = settings
        self._alone = alone

    @property
    def real(self) -> bool:
        """Whether it is MongoDB itself."""
        return Path(self._program).name == "mongod"

    @property
    def url(self) -> str:
        """Its address as a client wants it, as far as the port."""
        return f"mongodb://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        if self.real:
            member = [] if self._alone else ["--replSet", NAME]
            return [
                self._program, "--port", str(self.port), "--bind_ip", "127.0.0.1",
                "--dbpath", data, "--quiet", *member, *self._settings,
            ]  # fmt: skip
        return [
            self._program, "--port", str(self.port), "--host", "127.0.0.1",
            "--storage-path", data, "--log-level", "WARNING", "--cache-size", "256M",
            *(["--standalone"] if self._alone else []), *self._settings,
        ]  # fmt: skip

    def start(self) -> None:
        super().start()
        if self.real and not self._alone:
            self._make_set()

    def _make_set(self) -> None:
        with self.direct() as client:
            member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
            try:
                client.admin.command("replSetInitiate", {"_id": NAME, "members": [member]})
            except OperationFailure as error:
                if error.code != 23:  # else it was one before
                    raise
            wait_until(lambda: client.admin.command("hello")["isWritablePrimary"])

    def direct(self, **options: Any) -> "MongoClient[dict[str, Any]]":
        """A client that speaks to it whatever it is, for what is done behind the store's back."""
        return MongoClient(self.url, directConnection=True, **options)


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """A MongoDB to share with others: keep to databases of your own, and clean up behind you.

    A member of a replica set; its address as far as the port.
    """
    if url := given("mongodb"):
        yield url
    elif served(STANDARD):
        yield f"mongodb://127.0.0.1:{STANDARD}"
    else:
        with MongoServer() as server:
            yield server.url


@pytest.fixture(scope="session")
def lone_mongo_url() -> Iterator[str]:
    """One that is no member of a replica set: without transactions and change streams."""
    with MongoServer(alone=True) as server:
        yield server.url


@pytest.fixture
def empty_mongo() -> Iterator[str]:
    """The address of a MongoDB with nothing in it, as far as the port."""
    with MongoServer() as server:
        yield server.url
