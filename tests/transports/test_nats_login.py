"""Who connects to NATS, and over TLS: all by URL, from files of the test's own."""

import asyncio
import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import nkeys
import pytest
from tests.servers.certificates import Certificates
from tests.servers.nats import NatsServer
from tests.servers.talk import talking
from tests.transports.envelopes import envelope
from tests.transports.test_nats_answers import back

from duly import InvalidArgument, TransportError, TransportUnavailable
from duly_nats.plugin import jetstream_from_url, nats_from_url


def url(server: NatsServer, login: str = "", query: str = "") -> str:
    return f"nats://{login}127.0.0.1:{server.port}?timeout=1{query}"


async def passes(text: str) -> None:
    """It connects and publishes."""
    transports = nats_from_url(text), jetstream_from_url(text.replace("nats:", "jetstream:"))
    for transport in transports:
        await transport.open()
        assert await transport.check() == []
        if transport is transports[0]:
            await transport.publish(envelope())
        await transport.close()


async def refused(text: str, said: str) -> None:
    """A wrong login is told of at once, and holds no secret."""
    transport = nats_from_url(text)
    with pytest.raises(TransportError, match=said) as told:
        await transport.open()
    assert type(told.value) is TransportError
    assert "wrong" not in str(told.value)
    await transport.close()


class TestPasswordsAndTokens:
    async def test_a_user_and_a_password(self):
        with NatsServer('authorization { user: us@er, password: "pass:word" }') as server:
            await passes(url(server, "us%40er:pass%3Aword@"))
            await refused(url(server, "us%40er:wrong@"), "(?i)authorization violation")
            await refused(url(server), "(?i)authorization violation.*key file")

    async def test_a_token(self):
        with NatsServer('authorization { token: "to/ken" }') as server:
            await passes(url(server, "to%2Fken@"))
            await refused(url(server, "wrong@"), "(?i)authorization violation")

    async def test_a_password_that_is_changed_while_it_runs_is_an_outage(self):
        with NatsServer("authorization { user: u, password: p }") as server:
            transport = nats_from_url(url(server, "u:p@"))
            await transport.open()
            server.kill()
            settings = server._file.read_text()
            server._file.write_text(settings.replace("password: p", "password: q"))
            server.start()
            for _ in range(2):
                with pytest.raises(TransportUnavailable):
                    await transport.publish(envelope())
            (reason,) = await transport.check()
            assert "authorization violation" in reason.lower()
            server.kill()
            server._file.write_text(settings)
            server.start()
            await back(transport)
            await transport.close()


class TestKeys:
    async def test_a_seed(self, tmp_path: Path):
        seed, public = user_key()
        file = tmp_path / "user.nk"
        file.write_bytes(seed + b"\n")
        with NatsServer(f"authorization {{ users: [ {{ nkey: {public} }} ] }}") as server:
            await passes(url(server, query=f"&nkey_file={file}"))
            file.write_bytes(user_key()[0])
            await refused(url(server, query=f"&nkey_file={file}"), "(?i)authorization violation")

    async def test_a_file_that_holds_none(self, tmp_path: Path):
        (tmp_path / "user.nk").write_text("nonsense")
        (tmp_path / "user.creds").write_text("nonsense")
        with NatsServer() as server:
            for option in ("nkey_file", "creds_file"):
                file = tmp_path / f"user.{'nk' if option == 'nkey_file' else 'creds'}"
                transport = nats_from_url(url(server, query=f"&{option}={file}"))
                with pytest.raises(InvalidArgument, match=f"{option}: .* holds no"):
                    await transport.open()
                await transport.close()

    async def test_credentials(self, tmp_path: Path):
        operator, account = key(b"O"), key(b"A")
        seed, public = user_key()
        file = tmp_path / "user.creds"
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt(account, public, 'user')}\n"
            "------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
        )
        name = account.public_key.decode()
        settings = (
            f"operator: {jwt(operator, operator.public_key.decode(), 'operator')}",
            f"resolver: MEMORY\nresolver_preload: {{ {name}: {jwt(operator, name, 'account')} }}",
        )
        with NatsServer(*settings, jetstream=False) as server:
            await passes(url(server, query=f"&creds_file={file}"))
            await refused(url(server), "(?i)authorization violation")


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[NatsServer]:
    """It encrypts, and asks for certificates."""
    cert, key = certificates.server
    files = f'cert_file: "{cert}", key_file: "{key}", ca_file: "{certificates.ca}"'
    with NatsServer(f"tls {{ {files}, verify: true }}") as server:
        yield server


class TestTLS:
    async def test_certificates_of_both_sides(self, server, certificates):
        cert, key = certificates.client
        files = f"&tls=true&tls_ca={certificates.ca}&tls_cert={cert}&tls_key={key}"
        await passes(url(server, query=files))

    async def test_a_client_that_shows_none(self, server, certificates):
        transport = nats_from_url(url(server, query=f"&tls=true&tls_ca={certificates.ca}"))
        with pytest.raises(TransportUnavailable):
            await transport.open()
        await transport.close()

    async def test_a_server_that_nobody_vouches_for(self, server):
        transport = nats_from_url(url(server, query="&tls=true"))
        with pytest.raises(TransportUnavailable, match="(?i)certificate"):
            await transport.open()
        await transport.close()

    async def test_a_server_under_another_name(self, server, certificates):
        cert, key = certificates.client
        files = f"&tls=true&tls_ca={certificates.ca}&tls_cert={cert}&tls_key={key}"
        transport = nats_from_url(url(server, query=files).replace("127.0.0.1", "127.0.0.2"))
        with pytest.raises(TransportUnavailable):
            await transport.open()
        await transport.close()

    @pytest.mark.parametrize("login", ["user:the-secret@", "the-secret@", ""])
    async def test_nothing_is_said_to_a_server_without(self, certificates, login):
        """Whoever is in between could claim that there is no TLS."""
        heard = bytearray()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            info = {"server_id": "x", "version": "2.10.0", "max_payload": 1048576, "headers": True}
            writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
            while line := await reader.readline():
                heard.extend(line)
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")

        async with talking(listen) as port:
            text = f"nats://{login}127.0.0.1:{port}?tls=true&tls_ca={certificates.ca}"
            transport = nats_from_url(text)
            with pytest.raises(TransportUnavailable, match="secure connection not available"):
                await transport.open()
            await transport.close()
        assert b"the-secret" not in heard
        assert b"PUB" not in heard


# --- keys and tokens as the server's own tools make them


def key(kind: bytes) -> nkeys.KeyPair:
    """A key pair for an operator (O), an account (A) or a user (U)."""
    prefix = {
        b"O": nkeys.PREFIX_BYTE_OPERATOR,
        b"A": nkeys.PREFIX_BYTE_ACCOUNT,
        b"U": nkeys.PREFIX_BYTE_USER,
    }
    return nkeys.from_seed(bytearray(nkeys.encode_seed(secrets.token_bytes(32), prefix[kind])))


def user_key() -> tuple[bytes, str]:
    """The seed of a user and the public key."""
    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    return bytes(seed), nkeys.from_seed(bytearray(seed)).public_key.decode()


def jwt(issuer: nkeys.KeyPair, subject: str, kind: str) -> str:
    """What an issuer says of a subject, signed."""
    limits = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1, "imports": -1,
              "exports": -1, "wildcards": True} if kind == "account" else {}  # fmt: skip
    claims = {
        "jti": secrets.token_hex(8), "iat": 1_700_000_000, "iss": issuer.public_key.decode(),
        "name": kind, "sub": subject, "nats": {"type": kind, "version": 2, "limits": limits},
    }  # fmt: skip
    if kind == "user":
        claims["nats"] = {"type": kind, "version": 2, "subs": -1, "data": -1, "payload": -1}
    parts = [_encoded({"typ": "JWT", "alg": "ed25519-nkey"}), _encoded(claims)]
    signature = issuer.sign(".".join(parts).encode())
    return ".".join([*parts, base64.urlsafe_b64encode(signature).decode().rstrip("=")])


def _encoded(facts: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(facts).encode()).decode().rstrip("=")
