"""Who connects to a broker of MQTT, and over TLS: all by URL, from files of the test's own."""

import base64
import hashlib
import os
from collections.abc import Iterator

import pytest
from tests.servers.certificates import Certificates
from tests.servers.mqtt import Mosquitto, mqtt_url
from tests.transports.envelopes import envelope
from tests.transports.test_mqtt_answers import opened

from duly import TransportError, TransportUnavailable
from duly_mqtt.plugin import transport_from_url

__all__ = ["mqtt_url"]  # a fixture is found by its name


class TestLogins:
    @pytest.fixture
    def guarded(self) -> Iterator[Mosquitto]:
        server = Mosquitto("allow_anonymous false", "password_file {folder}/passwords")
        salt = os.urandom(12)
        digest = hashlib.pbkdf2_hmac("sha512", b"pass:word", salt, 101)
        told = [base64.b64encode(each).decode() for each in (salt, digest)]
        (server.folder / "passwords").write_text(f"us@er:$7$101${told[0]}${told[1]}\n")
        with server:
            yield server

    @pytest.mark.parametrize("version", ["", "?version=3.1.1"])
    async def test_a_user_and_a_password(self, guarded: Mosquitto, version: str):
        place = guarded.url.removeprefix("mqtt://")
        async with opened(f"mqtt://us%40er:pass%3Aword@{place}", version[1:]) as transport:
            assert await transport.check() == []
        for login in ("us%40er:wrong@", "", "us%40er@", ":wrong@"):
            transport = transport_from_url(f"mqtt://{login}{place}{version}")
            with pytest.raises(TransportError, match="refuses the connection") as told:
                await transport.open()
            assert type(told.value) is TransportError
            assert "wrong" not in str(told.value)
            await transport.close()


@pytest.fixture(scope="module")
def secured(certificates: Certificates) -> Iterator[Mosquitto]:
    """It asks clients for a certificate, whose common name is their user's."""
    cert, key = certificates.server
    with Mosquitto(
        f"cafile {certificates.ca}", f"certfile {cert}", f"keyfile {key}",
        "require_certificate true", "use_identity_as_username true",
    ) as server:  # fmt: skip
        yield server


class TestTLS:
    def url(self, server: Mosquitto, certificates: Certificates) -> str:
        cert, key = certificates.client
        return f"mqtts://127.0.0.1:{server.port}?tls_ca={certificates.ca}&tls_cert={cert}&tls_key={key}"

    @pytest.mark.parametrize("qos", [0, 1, 2])
    async def test_with_certificates_of_both(
        self, secured: Mosquitto, certificates: Certificates, qos: int
    ):
        transport = transport_from_url(
            f"{self.url(secured, certificates)}&qos={qos}&unmatched=accept"
        )
        await transport.open()
        for size in (0, 1, 100_000, 1_000_000):
            await transport.publish(envelope(payload=bytes(size)))
        assert await transport.publish_many([envelope()] * 50) == [None] * 50
        await transport.close()

    async def test_without_one_of_ours(self, secured: Mosquitto, certificates: Certificates):
        transport = transport_from_url(f"mqtts://127.0.0.1:{secured.port}?tls_ca={certificates.ca}")
        with pytest.raises(TransportUnavailable):
            await transport.open()
        await transport.close()

    async def test_a_broker_that_nobody_vouches_for(self, secured: Mosquitto):
        transport = transport_from_url(f"mqtts://127.0.0.1:{secured.port}")
        with pytest.raises(TransportUnavailable, match="certificate"):
            await transport.open()
        await transport.close()

    async def test_a_broker_of_another_name(self, certificates: Certificates):
        cert, key = certificates.issue("other", "other.example")
        with Mosquitto(f"certfile {cert}", f"keyfile {key}") as server:
            transport = transport_from_url(self.url(server, certificates))
            with pytest.raises(TransportUnavailable, match="mismatch"):
                await transport.open()
            await transport.close()

    async def test_a_broker_that_speaks_plainly(self, mqtt_url: str, certificates: Certificates):
        place = mqtt_url.replace("mqtt://", "mqtts://")
        transport = transport_from_url(f"{place}?tls_ca={certificates.ca}&timeout=2")
        with pytest.raises(TransportUnavailable):
            await transport.open()
        await transport.close()

    async def test_plain_words_to_one_that_wants_tls(self, secured: Mosquitto):
        transport = transport_from_url(f"{secured.url}?timeout=2")
        with pytest.raises(TransportUnavailable):
            await transport.open()
        await transport.close()
