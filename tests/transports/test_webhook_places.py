"""Where no webhook goes: metadata services of clouds, other paths than its template's.

No address of a metadata service is ever called here: what would call it is asked what it refuses.
"""

import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.transports.webhook_receiver import Receiver

from duly import InvalidArgument, Rejected
from duly.transport import Envelope
from duly_webhook import WebhookTransport
from duly_webhook.addresses import AddressError, Addresses, Resolver
from duly_webhook.errors import translated
from duly_webhook.metadata_services import SERVICES
from duly_webhook.plugin import transport_from_url


def envelope(event_name: str, **more: Any) -> Envelope:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    return Envelope(message_id="a", event_name=event_name, scheduled_at=moment, **more)


def address_info(address: str) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (address, 80))


@pytest.mark.parametrize("provider", SERVICES)
@pytest.mark.parametrize("allow_private", [True, False])
def test_no_socket_for_a_metadata_service(provider: str, allow_private: bool) -> None:
    addresses = Addresses(allow_private=allow_private)
    for address in SERVICES[provider]:
        with pytest.raises(AddressError, match="is an address of a cloud's metadata service"):
            addresses.new_socket(address_info(address))


@pytest.mark.parametrize(
    "address",
    ["::ffff:168.63.129.16", "64:ff9b::a83f:8110", "2002:a83f:8110::", "fe80::a9fe:a9fe%eth0",
     "::ffff:169.254.169.254"],
)  # fmt: skip
def test_other_spellings_of_them(address: str) -> None:
    assert "metadata service" in (Addresses(allow_private=True).refusal(address) or "")


def test_their_neighbours_are_as_private_as_ever() -> None:
    for address in ("169.254.169.1", "fd00:ec2::1", "100.100.100.1", "10.0.0.1", "127.0.0.1"):
        assert Addresses(allow_private=True).refusal(address) is None
        assert "private" in (Addresses(allow_private=False).refusal(address) or "")
    assert Addresses(allow_private=False).refusal("168.63.129.17") is None


@pytest.mark.parametrize("alone", [True, False])
def test_what_is_said_of_them(alone: bool) -> None:
    try:
        Addresses(allow_private=False).new_socket(address_info("168.63.129.16"))
    except AddressError as refused:
        error = translated(refused, "http://168.63.129.16/", alone=alone)
    assert "allow_private" not in str(error)
    assert "metadata service" in str(error)
    assert isinstance(error, Rejected) is not alone


async def test_a_name_that_stands_for_one_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [address_info(each) for each in ("169.254.169.254", "127.0.0.1")]

    monkeypatch.setattr("asyncio.BaseEventLoop.getaddrinfo", getaddrinfo)
    resolver = Resolver(Addresses(allow_private=True))
    assert [each["host"] for each in await resolver.resolve("both.test")] == ["127.0.0.1"]


# --- a template's path is not left

DOTS = [
    "..", ".", "../../admin", "a/../../admin", "a/.", "..;", "..;a=1/admin", "%2e%2e", "%2E",
    "%252e%252e%252f", "..\\admin", "a\\..", "\u2025/x", "\uff0e\uff0e/x", "..%00", "..\t", " ..", "..?x", ".#",
    "%c0%ae%c0%ae/x", "a%2f..%2fb", "a%5c..",
]  # fmt: skip


@pytest.mark.parametrize("name", DOTS)
@pytest.mark.parametrize("path", ["/hooks/{event_name}", "/hooks/{event_name}/in"])
async def test_names_that_lead_out_of_a_path(path: str, name: str) -> None:
    receiver = Receiver()
    await receiver.start()
    transport = WebhookTransport(f"http://127.0.0.1:{receiver.port}{path}", allow_private=True)
    await transport.open()
    with pytest.raises(Rejected, match="the event name means . or .."):
        await transport.publish(envelope(name))
    assert receiver.coming == 0
    await transport.close()
    await receiver.stop()


@pytest.mark.parametrize("name", ["a..b", "...", ".a", "a.", "a/b", "..a/..b", "100%", "%", "a;b"])
async def test_names_that_stay(name: str) -> None:
    receiver = Receiver()
    await receiver.start()
    transport = WebhookTransport(
        f"http://127.0.0.1:{receiver.port}/hooks/{{event_name}}", allow_private=True
    )
    await transport.open()
    assert await transport.publish(envelope(name)) == "202"
    await transport.close()
    await receiver.stop()


async def test_dots_that_a_template_completes() -> None:
    receiver = Receiver()
    await receiver.start()
    base = f"http://127.0.0.1:{receiver.port}"
    dotted = WebhookTransport(f"{base}/hooks/.{{event_name}}/", allow_private=True)
    query = WebhookTransport(f"{base}/hooks?name={{event_name}}", allow_private=True)
    await dotted.open()
    await query.open()
    with pytest.raises(Rejected):
        await dotted.publish(envelope("."))
    assert await query.publish(envelope("../..")) == "202"
    await dotted.close()
    await query.close()
    await receiver.stop()


@pytest.mark.parametrize("path", ["/a/../b", "/./{event_name}", "/%2e%2e/{event_name}", "/.."])
def test_templates_that_lead_out_themselves(path: str) -> None:
    with pytest.raises(InvalidArgument, match=r"its path has \. or \.\. in it"):
        WebhookTransport(f"https://example.com{path}")


# --- headers that proxies obey

OBEYED = [
    "X-Original-URL", "x-rewrite-url", "X-HTTP-Method-Override", "x-http-method",
    "X-Forwarded-For", "x-forwarded-host", "x_forwarded_proto", "Forwarded", "x-real-ip",
    "Accept-Encoding", "accept_encoding", "content_length", "CE_Type",
]  # fmt: skip


async def headers_of(options: str, *names: str) -> Any:
    receiver = Receiver()
    await receiver.start()
    transport = transport_from_url(f"http://127.0.0.1:{receiver.port}/?allow_private=true{options}")
    await transport.open()
    await transport.publish(envelope("a", metadata=dict.fromkeys(names, "forged")))
    await transport.close()
    await receiver.stop()
    return receiver.requests[0]


async def test_headers_that_proxies_obey_are_not_for_metadata() -> None:
    got = await headers_of("", *OBEYED)
    assert [name for name in OBEYED if got.headers.get(name) == "forged"] == []
    assert [got.told.headers[f"metadata-{name}"] for name in OBEYED] == ["forged"] * len(OBEYED)
    assert got.headers.getall("accept-encoding") == ["identity"]


async def test_some_of_them_may_be_allowed() -> None:
    got = await headers_of("&allow_headers=X-Forwarded-For,x-original-url", *OBEYED)
    forged = [name for name in OBEYED if got.headers.get(name) == "forged"]
    assert forged == ["X-Original-URL", "X-Forwarded-For"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("host", "never be set by metadata"), ("ce-type", "never be set by metadata"),
     ("tenant", "needs no allowance"), ("", "needs no allowance")],
)  # fmt: skip
def test_others_need_no_allowance(name: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=f"allow_headers: '{name}' .*{said}"):
        WebhookTransport("https://example.com", allow_headers=[name])
