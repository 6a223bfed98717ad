"""What becomes of a webhook by what is answered, and where webhooks go at all."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from tests.servers.certificates import Certificates
from tests.servers.talk import talking
from tests.transports.webhook_receiver import Receiver

from duly import InvalidArgument, Rejected, TransportError, TransportUnavailable
from duly.transport import Envelope
from duly_webhook import WebhookTransport
from duly_webhook.addresses import Addresses, is_public
from duly_webhook.plugin import transport_from_url

ENVELOPE = Envelope(message_id="a", event_name="b", scheduled_at=datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


async def publish(transport: WebhookTransport, envelope: Envelope = ENVELOPE) -> str:
    try:
        await transport.open()
        return await transport.publish(envelope)
    finally:
        await transport.close()


def hook(receiver: Receiver, **options: Any) -> WebhookTransport:
    return WebhookTransport(
        f"http://127.0.0.1:{receiver.port}/hook?key=1", allow_private=True, **options
    )


async def answered(receiver: Receiver, status: int, **headers: str) -> Any:
    """The receipt, or what was raised."""
    receiver.answers.append(web.Response(status=status, headers=headers, body=b"x" * 100_000))
    try:
        return await publish(hook(receiver))
    except TransportError as error:
        return error


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_accepted(receiver, status):
    assert await answered(receiver, status) == str(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 499])
async def test_never(receiver, status):
    error = await answered(receiver, status)
    assert type(error) is Rejected
    assert str(status) in str(error)


@pytest.mark.parametrize(
    "status", [301, 302, 304, 307, 308, 408, 425, 429, 500, 502, 503, 504, 600]
)
async def test_not_this_time(receiver, status):
    error = await answered(receiver, status, Location=f"http://127.0.0.1:{receiver.port}/other")
    assert type(error) is TransportError
    assert error.retry_after is None
    assert str(status) in str(error)
    assert receiver.coming == 1  # no redirect was followed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("17", 17), ("86401", 86400), ("9" * 400, 86400), ("-1", None), ("1.5", None),
     ("soon", None), ("", None), ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
     ("Fri, 31 Dec 9999 23:59:59 GMT", 86400), ("Fri, 99 Dec 9999 23:59:59 GMT", None),
     (f"Fri, {'9' * 20} Dec 2030 23:59:59 GMT", None)],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_that_is_asked_for(receiver, status, text, seconds):
    error = await answered(receiver, status, **{"Retry-After": text})
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))


async def test_a_pause_until_a_moment(receiver):
    moment = datetime.now(UTC) + timedelta(minutes=10)
    error = await answered(receiver, 503, **{"Retry-After": format_datetime(moment, usegmt=True)})
    assert timedelta(minutes=9) < error.retry_after <= timedelta(minutes=10)


async def test_no_answer_in_time(receiver):
    receiver.held.clear()
    with pytest.raises(TransportError, match="does not answer in time") as told:
        await publish(hook(receiver, timeout=timedelta(milliseconds=100)))
    assert type(told.value) is TransportError


async def test_an_endless_answer_is_accepted_and_left_alone(receiver):
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + bytes(100_000))
            await writer.drain()
            await reader.read()
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (
            await publish(WebhookTransport(f"http://127.0.0.1:{port}", allow_private=True)) == "200"
        )


@pytest.mark.parametrize("said", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
async def test_an_answer_that_is_none(said):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            writer.write(said)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportError):
            await publish(WebhookTransport(f"http://127.0.0.1:{port}", allow_private=True))


async def test_an_answer_before_all_was_read():
    """As servers do that have a limit: the message is to blame, and not the connection."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            writer.write(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
            writer.write_eof()
            await reader.read()

    large = Envelope(
        message_id="a", event_name="b", scheduled_at=ENVELOPE.scheduled_at, payload=bytes(2**23)
    )
    async with talking(refuse) as port:
        with pytest.raises(Rejected, match="413"):
            await publish(WebhookTransport(f"http://127.0.0.1:{port}", allow_private=True), large)


async def test_a_limit_for_each_host(receiver):
    """One that does not answer keeps nobody from going to another."""
    other = Receiver()
    await other.start()
    transport = WebhookTransport(
        lambda envelope: f"http://127.0.0.1:{envelope.metadata['port']}/",
        allow_private=True, connections=2,
    )  # fmt: skip

    def to(port: int) -> Envelope:
        return Envelope(
            message_id="a", event_name="b", scheduled_at=ENVELOPE.scheduled_at,
            metadata={"port": str(port)},
        )  # fmt: skip

    await transport.open()
    receiver.held.clear()
    held = [asyncio.ensure_future(transport.publish(to(receiver.port))) for _ in range(10)]
    while receiver.coming < 2:  # noqa: ASYNC110  # it only counts
        await asyncio.sleep(0.01)
    assert await asyncio.gather(*(transport.publish(to(other.port)) for _ in range(5)))
    assert receiver.coming == 2
    receiver.held.set()
    assert await asyncio.gather(*held) == ["202"] * 10
    await transport.close()
    await other.stop()


async def test_limited_connections(receiver):
    transport = hook(receiver, connections=3)
    await transport.open()
    receiver.held.clear()
    publishes = [asyncio.ensure_future(transport.publish(ENVELOPE)) for _ in range(10)]
    while receiver.coming < 3:  # noqa: ASYNC110  # it only counts
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert receiver.coming == 3
    receiver.held.set()
    assert await asyncio.gather(*publishes) == ["202"] * 10
    await transport.close()


# --- several places


async def test_a_function_names_the_place(receiver):
    def place(envelope: Envelope) -> str:
        return f"http://127.0.0.1:{receiver.port}{envelope.metadata['path']}"

    transport = WebhookTransport(place, allow_private=True)
    await transport.open()
    for path in ("/a", "/b?c=%20"):
        envelope = Envelope(
            message_id="a", event_name="b", scheduled_at=ENVELOPE.scheduled_at,
            metadata={"path": path},
        )  # fmt: skip
        await transport.publish(envelope)
    assert [each.path for each in receiver.requests] == ["/a", "/b"]
    assert await transport.check() == []
    await receiver.stop()
    with pytest.raises(TransportError) as told:
        await transport.publish(envelope)
    assert type(told.value) is TransportError  # others may be there
    await receiver.start()
    await transport.close()


@pytest.mark.parametrize(
    "place",
    ["", "nonsense", "ftp://example.com/", "http://", "http://a b/", "http://ä/", "http://a:0/",
     "http://a:x/", "http://a/\r\nb: c", "http://a/b c", "http://[a/",
     "http://127.1/"],
)  # fmt: skip
async def test_a_place_that_is_none(place):
    with pytest.raises(Rejected, match="is not a URL"):
        await publish(WebhookTransport(lambda envelope: place))


# --- private addresses


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
     "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "::1", "::",
     "fe80::1", "fe80::1%1", "fc00::1", "fd12::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "ff02::1", "2001:db8::1", "2130706433",
     "127.1", "0x7f.1", "0177.0.0.1", "example.com", "", "fec0::1", "3fff::1", "5f00::1",
     "192.0.0.8", "192.88.99.1", "198.18.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1",
     "64:ff9b:1::7f00:1", "2001:0:7f00:1::1", "fd00:ec2::254"],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::101:101"])
def test_addresses_that_are_public(address):
    assert is_public(address)


HOSTS = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "0x7f.1", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_private_place_is_refused_at_open(receiver, host):
    transport = WebhookTransport(f"http://{host}:{receiver.port}/")
    with pytest.raises((InvalidArgument, TransportUnavailable)):
        await transport.open()
    assert receiver.coming == 0
    await transport.close()


async def test_what_is_said_of_it(receiver):
    transport = WebhookTransport(f"http://localhost:{receiver.port}/")
    with pytest.raises(
        InvalidArgument, match="localhost.* private .* unless allow_private is true"
    ):
        await transport.open()
    (reason,) = await transport.check()
    assert "private" in reason


@pytest.mark.parametrize("host", HOSTS)
async def test_a_private_place_of_many_is_refused_for_good(receiver, host):
    with pytest.raises(Rejected, match="private address.*allow_private"):
        await publish(WebhookTransport(lambda envelope: f"http://{host}:{receiver.port}/"))
    assert receiver.coming == 0


async def test_a_name_that_has_become_private_is_asked_again(receiver, monkeypatch):
    transport = WebhookTransport(f"http://localhost:{receiver.port}/")
    allowing = Addresses(allow_private=True)
    monkeypatch.setattr(transport._place, "_allowed", allowing)  # as it was when it was opened
    with pytest.raises(TransportError, match="private address") as told:
        await publish(transport)
    assert type(told.value) is TransportError
    assert receiver.coming == 0


# --- who asks, and TLS


async def test_user_and_password(receiver):
    url = f"http://us%40er:pass%3Aword@127.0.0.1:{receiver.port}/a?allow_private=true"
    await publish(transport_from_url(url))
    assert receiver.requests[0].headers["authorization"] == "Basic dXNAZXI6cGFzczp3b3Jk"


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        ("jos%C3%A9:%E6%B3%A8%F0%9F%93%A6", "josé:注\U0001f4e6".encode()),  # RFC 7617: UTF-8
        ("jos%E9:%FF", b"jos\xe9:\xff"),  # whatever else a receiver may know
        ("user", b"user:"),
        (":word", b":word"),
        ("a:b:c", b"a:b:c"),
        (":", None),
        ("", None),
    ],
)
async def test_users_and_passwords_of_any_text(receiver: Receiver, login: str, sent: bytes | None):
    url = f"http://{login}@127.0.0.1:{receiver.port}/a@b"
    await publish(transport_from_url(f"{url}?allow_private=true"))
    await publish(WebhookTransport(lambda _: url, allow_private=True))
    for request in receiver.requests:
        told = request.headers.get("authorization")
        assert told == (None if sent is None else f"Basic {base64.b64encode(sent).decode()}")
        assert request.path == "/a@b"


async def test_a_user_that_no_header_has_room_for(receiver: Receiver):
    url = f"http://us%3Aer:geheim@127.0.0.1:{receiver.port}/"
    with pytest.raises(InvalidArgument, match="a user cannot hold a colon") as told:
        transport_from_url(url)
    with pytest.raises(Rejected, match="a user cannot hold a colon") as named:
        await publish(WebhookTransport(lambda _: url, allow_private=True))
    assert "geheim" not in f"{told.value} {named.value}"
    assert receiver.coming == 0


async def test_two_authorizations_at_once(receiver: Receiver):
    url = f"http://user:geheim@127.0.0.1:{receiver.port}/"
    with pytest.raises(InvalidArgument, match="give either a user and a password"):
        WebhookTransport(url, authorization="Bearer abc", allow_private=True)
    transport = WebhookTransport(lambda _: url, authorization="Bearer abc", allow_private=True)
    with pytest.raises(Rejected, match="give either a user and a password") as told:
        await publish(transport)
    assert "geheim" not in str(told.value)
    assert receiver.coming == 0


async def test_a_bearer_token_and_a_query(receiver):
    url = (
        f"http://127.0.0.1:{receiver.port}?allow_private=true&bearer_token=abc&query=a%3D1%26b%3D2"
    )
    await publish(transport_from_url(url))
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Bearer abc"
    assert (request.path, request.query) == ("/", "a=1&b=2")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://", "one host"),
        ("https://a,b/", "one host"),
        (
            "https://a/?stream=x",
            "unknown option 'stream'; known: allow_headers, allow_private, bearer_token, conn",
        ),
        ("https://a/?mode=batched", "mode: it is binary or structured"),
        ("https://a/?source=", "source: "),
        ("https://a/?connections=0", "above 0"),
        ("https://a/?timeout=0", "above 0"),
        ("https://a/?timeout=soon", "number of seconds"),
        ("https://a/?secret=short", "secret: "),
        ("https://a/?bearer_token=%0A", "authorization: "),
        ("https://u:p@a/?bearer_token=a", "either"),
        ("https://a/{name}", "unknown field"),
        ("https://a/?query=a%3D1%23x%26b%3D2", "fragment"),
        ("https://a/?tls=false", "means TLS"),
        ("https://a/?tls_ca=/missing.pem", "no file"),
        ("http://a/?tls=true", "https"),
        ("https://{event_name}/", "host"),
    ],
)
def test_urls_that_are_refused(url, said):
    with pytest.raises(InvalidArgument, match=said) as told:
        transport_from_url(url)
    assert "short" not in str(told.value)


@pytest.mark.parametrize(
    "target",
    ["", "ftp://a/", "//a/", "http:///a", "http://a:99999/", "http://2130706433/", "http://a/ä"],
)
def test_targets_that_are_refused(target):
    with pytest.raises(InvalidArgument):
        WebhookTransport(target)


async def test_tls(certificates: Certificates):
    receiver = Receiver(ssl=certificates.server_context(ask=True))
    await receiver.start()
    url = f"https://127.0.0.1:{receiver.port}/?allow_private=true&tls_ca={certificates.ca}"
    cert, key = certificates.client
    try:
        assert await publish(transport_from_url(f"{url}&tls_cert={cert}&tls_key={key}")) == "202"
        with pytest.raises(TransportUnavailable):  # which certificate is asked for, it cannot show
            await publish(transport_from_url(url))
        with pytest.raises(TransportUnavailable, match="certificate"):
            await publish(transport_from_url(url.partition("&")[0]))
    finally:
        await receiver.stop()


async def test_renewed_certificates_are_used(tmp_path):
    """The transport stays open while its files and the receiver's change."""
    made = {}
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        made[name] = Certificates(tmp_path / name)
    ca, cert, key = (tmp_path / name for name in ("ca", "cert", "key"))

    def take(these: Certificates) -> None:
        for file, source in ((ca, these.ca), (cert, these.client.cert), (key, these.client.key)):
            file.write_bytes(source.read_bytes())

    take(made["old"])
    files = f"&tls_ca={ca}&tls_cert={cert}&tls_key={key}"
    receiver = Receiver(ssl=made["old"].server_context(ask=True))
    await receiver.start()
    transport = transport_from_url(f"https://127.0.0.1:{receiver.port}/?allow_private=true{files}")
    await transport.open()
    try:
        for _ in range(2):
            assert await transport.publish(ENVELOPE) == "202"
        key.write_text("")  # as one that is written just now
        with pytest.raises(TransportUnavailable, match="tls_cert"):
            await transport.publish(ENVELOPE)
        await receiver.stop()
        renewed = Receiver(ssl=made["new"].server_context(ask=True))
        renewed.port, receiver = receiver.port, renewed
        await receiver.start()
        take(made["new"])
        for _ in range(2):
            assert await transport.publish(ENVELOPE) == "202"
    finally:
        await transport.close()
        await receiver.stop()


async def test_a_host_that_nobody_knows():
    with pytest.raises(TransportUnavailable, match="nowhere.invalid"):
        await publish(WebhookTransport("https://nowhere.invalid/"))


async def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        transport = WebhookTransport(url, allow_private=True)
        (reason,) = await transport.check()
    assert url.rstrip("/") in reason


async def test_not_open():
    with pytest.raises(TransportUnavailable, match="not open"):
        await WebhookTransport("https://example.com").publish(ENVELOPE)


# --- names that stand for several addresses


def stands_for(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name stand for these, of which 127.0.0.1 alone counts as public."""

    async def getaddrinfo(_: Any, __: Any, port: int, **more: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("duly_webhook.addresses.is_public", "127.0.0.1".__eq__)


@pytest.mark.parametrize("order", [1, -1])
async def test_a_private_address_beside_a_public_one_that_is_down(receiver, monkeypatch, order):
    stands_for(monkeypatch, *["127.0.0.1", "127.0.0.2"][::order])
    url = f"http://both.test:{receiver.port}/"
    targets = {TransportUnavailable: url, TransportError: lambda _: url}
    transports = {kind: WebhookTransport(target) for kind, target in targets.items()}
    for transport in transports.values():
        await transport.open()
    await receiver.stop()
    for kind, transport in transports.items():
        with pytest.raises(TransportError) as told:
            await transport.publish(ENVELOPE)
        await transport.close()
        assert type(told.value) is kind


async def test_several_private_addresses_are_refused_for_good(monkeypatch):
    stands_for(monkeypatch, "127.0.0.2", "127.0.0.3")
    with pytest.raises(Rejected, match="private address.*allow_private"):
        await publish(WebhookTransport(lambda _: "http://both.test:1/"))
