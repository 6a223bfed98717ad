"""RabbitMQ: the machine's to share, or one of the tests' own to stop, block and restart.

A node needs Erlang's name server. A node of the tests' own has one of its own beside it, so that
it meets no other node and leaves nothing behind.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.servers.certificates import Certificates
from tests.servers.finding import given, missing, served
from tests.servers.process import Server, free_port, program

HINT = "install rabbitmq-server"
STANDARD = 5672
PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # where Debian has them without its change of users


def rabbitmq_program(name: str = "rabbitmq-server") -> str | None:
    """A program of RabbitMQ: Debian's, or that on the PATH."""
    if (PROGRAMS / name).exists() and program("erl"):
        return str(PROGRAMS / name)
    return program(name)


class RabbitMQServer(Server):
    """A node of the tests' own that keeps on disk what it has to.

    With certificates it speaks TLS at ``tls_port``, and who shows one that is signed by their
    authority may come in by its common name. ``settings`` are lines of ``rabbitmq.conf``.
    """

    def __init__(self, *settings: str, certificates: Certificates | None = None) -> None:
        if rabbitmq_program() is None:
            missing("rabbitmq", HINT)
        super().__init__()
        self.tls_port = free_port()
        self._distribution, self._names = free_port(), free_port()
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "log.console = true", *settings]
        plugins = ""
        if certificates is not None:
            plugins = "rabbitmq_auth_mechanism_ssl"
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                f"ssl_options.cacertfile = {certificates.ca}",
                f"ssl_options.certfile = {certificates.server.cert}",
                f"ssl_options.keyfile = {certificates.server.key}",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = false",
                "ssl_cert_login_from = common_name",
                "auth_mechanisms.1 = PLAIN",
                "auth_mechanisms.2 = EXTERNAL",
            ]
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, ""]))
        (self.folder / "plugins").write_text(f"[{plugins}].\n")

    @property
    def url(self) -> str:
        """Its address as a client wants it."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def command(self) -> Sequence[str | Path]:
        # In one group of processes, which ends as one.
        names = f"epmd -address 127.0.0.1 -port {self._names}"
        return ["/bin/sh", "-c", f"{names} & exec {rabbitmq_program()}"]

    def environment(self) -> Mapping[str, str]:
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "HOME": str(self.folder),  # the cookie is made there
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_NODENAME": f"duly{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{loopback} +S 1:1",
            "RABBITMQ_CTL_ERL_ARGS": loopback,
        }

    def control(self, *arguments: str) -> str:
        """What ``rabbitmqctl`` says to that."""
        told = subprocess.run(
            [rabbitmq_program("rabbitmqctl") or "rabbitmqctl", "-q", *arguments],
            env={**os.environ, **self.environment()}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """A broker to share with others: keep to names of your own, and clean up behind you."""
    if url := given("rabbitmq"):
        yield url
    elif served(STANDARD):
        yield f"amqp://guest:guest@127.0.0.1:{STANDARD}/"
    else:
        with RabbitMQServer() as server:
            yield server.url


def port_of(url: str) -> int:
    """The port of a broker's address."""
    return urlsplit(url).port or STANDARD


def at_ports(url: str, *ports: int) -> str:
    """The address of the same broker with the same login, at other ports of the loopback."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return parts._replace(netloc=f"{login}{at}{hosts}").geturl()
