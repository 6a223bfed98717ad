"""librdkafka's mock cluster as a program: ``python kafka_mock.py BROKERS [PORT]``.

With a port its one broker tells clients that port of the loopback in place of its own. It prints
``ADDRESS host:port CONTROL port``, and obeys lines at the control port, each answered by one:

``topic NAME PARTITIONS``          creates a topic
``leader TOPIC PARTITION BROKER``  has another broker lead it; they are counted from 1
``down BROKER``, ``up BROKER``     takes a broker away, and brings it back
``errors API CODE [CODE ...]``     the next requests of that API are answered by these errors
``clear``                          ... no more
"""

import contextlib
import ctypes
import socketserver
import sys
from pathlib import Path
from typing import Any

import confluent_kafka


class Cluster:
    """The mock cluster of a producer, by its C functions, of which Python knows none."""

    def __init__(self, brokers: int) -> None:
        self._producer = confluent_kafka.Producer(
            {"bootstrap.servers": "none:1", "test.mock.num.brokers": brokers}
        )
        broker, *_ = self._producer.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"
        self._library = ctypes.CDLL(str(library()))
        # A Python object of this kind starts with its handle of librdkafka.
        handle = ctypes.c_void_p.from_address(id(self._producer) + object.__basicsize__)
        self._library.rd_kafka_handle_mock_cluster.restype = ctypes.c_void_p
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_handle_mock_cluster(handle))

    def obey(self, words: list[str]) -> None:
        match words:
            case ["topic", name, partitions]:
                self._call("topic_create", name.encode(), int(partitions), 1)
            case ["leader", topic, partition, broker]:
                self._call("partition_set_leader", topic.encode(), int(partition), int(broker))
            case ["down" | "up", broker]:
                self._call(f"broker_set_{words[0]}", int(broker))
            case ["advertise", port]:
                self._call("broker_set_host_port", 1, b"127.0.0.1", int(port))
            case ["errors", api, *codes]:
                array = (ctypes.c_int * len(codes))(*map(int, codes))
                self._call(
                    "push_request_errors_array",
                    ctypes.c_int16(int(api)), ctypes.c_size_t(len(codes)), array,
                )  # fmt: skip
            case ["clear"]:
                for number in range(128):
                    self._call("clear_request_errors", ctypes.c_int16(number))
            case _:
                raise ValueError(words)

    def _call(self, name: str, *arguments: Any) -> None:
        self._library[f"rd_kafka_mock_{name}"](self._cluster, *arguments)


def library() -> Path:
    """The librdkafka that came with the wheel."""
    package = Path(confluent_kafka.__file__).parent
    folders = (package.with_name("confluent_kafka.libs"), package / ".dylibs", package)
    return next(file for folder in folders for file in folder.glob("librdkafka*"))


def main() -> None:
    brokers, *advertised = sys.argv[1:]
    cluster = Cluster(int(brokers))
    for port in advertised:
        cluster.obey(["advertise", port])

    class Control(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                for line in self.rfile:
                    cluster.obey(line.decode().split())
                    self.wfile.write(b"done\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Control) as server:
        told = f"ADDRESS {cluster.address} CONTROL {server.server_address[1]}"
        print(told, flush=True)  # noqa: T201  # whoever started it waits for it
        server.serve_forever()


if __name__ == "__main__":
    main()
