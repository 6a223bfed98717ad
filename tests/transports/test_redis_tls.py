"""TLS and passwords of the Redis transports, for each topology."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.servers.certificates import Certificates
from tests.servers.finding import lacking
from tests.servers.process import free_port, wait_until
from tests.servers.redis import RedisServer
from tests.transports.envelopes import NAME, envelope

from duly import TransportUnavailable
from duly_redis_streams.plugin import duly_transports, stream_from_url

PASSWORD = "p@ss word"
LOGIN = ":p%40ss%20word@"
FACTORIES = duly_transports()


class SecureRedis(RedisServer):
    """A server that asks for a certificate and a password, and speaks nothing but TLS."""

    def __init__(self, certificates: Certificates, *settings: str) -> None:
        super().__init__(
            "--port", "0", "--tls-auth-clients", "yes", "--requirepass", PASSWORD,
            "--tls-cert-file", str(certificates.server.cert),
            "--tls-key-file", str(certificates.server.key),
            "--tls-ca-cert-file", str(certificates.ca), *settings,
        )  # fmt: skip
        self._certificates = certificates

    def command(self) -> list[str | Path]:
        return [*super().command(), "--tls-port", str(self.port)]

    def ask(self, *command: str | int) -> Any:
        with redis.Redis(
            host="127.0.0.1", port=self.port, password=PASSWORD, decode_responses=True, protocol=2,
            ssl=True, ssl_ca_certs=str(self._certificates.ca),
            ssl_certfile=str(self._certificates.client.cert),
            ssl_keyfile=str(self._certificates.client.key),
        ) as client:  # fmt: skip
            return client.execute_command(*command)

    def start(self) -> None:
        try:
            super().start()
        except AssertionError as error:
            self.close()
            if "tls-" not in str(error):
                raise
            lacking("redis", "this server was built without TLS")


class SecureSentinel(SecureRedis):
    """One that watches such a server, and asks for the same."""

    def __init__(self, certificates: Certificates, primary: SecureRedis) -> None:
        super().__init__(certificates)
        self._file = self.folder / "sentinel.conf"  # it writes what it learns into it
        self._file.write_text(
            f"port 0\ntls-port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f'requirepass "{PASSWORD}"\ntls-auth-clients yes\ntls-replication yes\n'
            f"tls-cert-file {certificates.server.cert}\ntls-key-file {certificates.server.key}\n"
            f"tls-ca-cert-file {certificates.ca}\n"
            f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
            f'sentinel auth-pass main "{PASSWORD}"\n'
        )

    def command(self) -> list[str | Path]:
        return [super().command()[0], self._file, "--sentinel"]


@pytest.fixture(scope="module")
def secure(certificates: Certificates) -> Iterator[SecureRedis]:
    with SecureRedis(certificates) as server:
        yield server


def files(certificates: Certificates) -> str:
    pair = certificates.client
    return f"tls_ca={certificates.ca}&tls_cert={pair.cert}&tls_key={pair.key}"


@pytest.mark.parametrize("scheme", ["rediss+stream", "redis+stream", "rediss+pubsub"])
async def test_a_single_server(secure, certificates, scheme):
    url = f"{scheme}://{LOGIN}127.0.0.1:{secure.port}/?tls=true&timeout=5"
    transport = FACTORIES[scheme](f"{url}&{files(certificates)}")
    await transport.open()
    assert await transport.publish(envelope())
    await transport.close()
    authority, _, pair = files(certificates).partition("&")
    for less in (f"{url}&{pair}", f"{url}&{authority}"):  # whom to trust, and who one is
        with pytest.raises(TransportUnavailable):
            await FACTORIES[scheme](less).open()


async def test_a_certificate_of_another_host(secure, certificates):
    url = f"rediss+stream://{LOGIN}127.0.0.2:{secure.port}/?timeout=5&{files(certificates)}"
    with pytest.raises(TransportUnavailable):
        await stream_from_url(url).open()


async def test_a_cluster(certificates):
    settings = ("--cluster-enabled", "yes", "--tls-cluster", "yes")
    bus = ("--cluster-port", str(free_port()))  # left out, it is 10,000 above the other
    with SecureRedis(certificates, *settings, *bus) as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))
        transport = stream_from_url(
            f"rediss+stream://{LOGIN}127.0.0.1:{node.port}/?topology=cluster&timeout=5"
            f"&{files(certificates)}"
        )
        await transport.open()
        for outcome in await transport.publish_many([envelope(), envelope("other")]):
            assert isinstance(outcome, str)
        await transport.close()
        assert (node.ask("XLEN", NAME), node.ask("XLEN", "other")) == (1, 1)


async def test_sentinel(secure, certificates):
    with SecureSentinel(certificates, secure) as sentinel:
        transport = stream_from_url(
            f"rediss+stream://{LOGIN}127.0.0.1:{sentinel.port}/?topology=sentinel&master=main"
            f"&sentinel_password=p%40ss%20word&timeout=5&{files(certificates)}&stream=of.sentinel"
        )
        while True:  # until it has seen its primary
            try:
                await transport.open()
            except TransportUnavailable:
                continue
            break
        assert await transport.publish(envelope())
        await transport.close()
        assert secure.ask("XLEN", "of.sentinel") == 1
