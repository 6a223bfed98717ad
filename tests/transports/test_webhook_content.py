"""What a receiver of webhooks gets: CloudEvents, headers that cannot pose, signatures."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.transports.webhook_receiver import Receiver, Request

from duly import InvalidArgument
from duly.transport import Envelope
from duly_webhook import WebhookTransport
from duly_webhook.signing import keys_of, signature_headers

KEYS = [bytes(range(24)), bytes(range(64))]
SECRETS = ["whsec_" + base64.b64encode(key).decode() for key in KEYS]
SCHEDULED_AT = datetime(2030, 1, 1, 12, 30, 15, 123_456, tzinfo=UTC)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@asynccontextmanager
async def to(receiver: Receiver, **options: Any) -> AsyncIterator[WebhookTransport]:
    path = options.pop("path", "/hook")
    transport = WebhookTransport(
        f"http://127.0.0.1:{receiver.port}{path}", allow_private=True, **options
    )
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close()


def envelope(payload: bytes = b"{}", /, **fields: Any) -> Envelope:
    known: dict[str, Any] = {
        "message_id": "order 17", "event_name": "orders.reminder", "scheduled_at": SCHEDULED_AT,
        "delivery_id": "order 17:1000:2", "occurrence": 2, "attempt": 3,
    }  # fmt: skip
    return Envelope(payload=payload, **known | fields)


async def sent(receiver: Receiver, what: Envelope, **options: Any) -> Request:
    async with to(receiver, **options) as transport:
        assert await transport.publish(what) == "202"
    return receiver.requests[-1]


async def test_binary(receiver):
    got = await sent(receiver, envelope(b"\xff\x00", metadata={"tenant": "7"}), source="/shop a")
    assert got.body == b"\xff\x00"
    wanted = {
        "ce-specversion": "1.0",
        "ce-id": "order%2017:1000:2",
        "ce-source": "/shop%20a",
        "ce-type": "orders.reminder",
        "ce-time": "2030-01-01T12:30:15.123456+00:00",
        "content-type": "application/octet-stream",
        "idempotency-key": "order%2017:1000:2",
        "tenant": "7",
        "duly-message-id": "order 17",
        "duly-attempt": "3",
        "user-agent": "duly-webhook",
    }
    assert {name: got.headers[name] for name in wanted} == wanted


STRUCTURED = {
    "specversion": "1.0",
    "id": "order 17:1000:2",
    "source": "duly",
    "type": "orders.reminder",
    "time": "2030-01-01T12:30:15.123456+00:00",
}


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "a/b+json"]
)
async def test_structured_with_json(receiver, kind):
    payload = b'{"total": 0.1000000000000000000001, "name": "gr\xc3\xb6\xc3\x9fe"}'
    got = await sent(
        receiver, envelope(payload, metadata={"Content-Type": kind}), mode="structured"
    )
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    event = json.loads(got.body)
    assert event == {**STRUCTURED, "datacontenttype": kind, "data": json.loads(payload)}
    assert payload in got.body  # to the last digit
    assert "ce-id" not in got.headers


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"{}", None),
        (b"{}", "text/json"),
        (b"", "application/json"),
        (b"{", "application/json"),
        (b'1, "type": 2', "application/json"),
        (b"NaN", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_structured_with_anything_else(receiver, payload, kind):
    metadata = {} if kind is None else {"content-type": kind}
    got = await sent(receiver, envelope(payload, metadata=metadata), mode="structured")
    event = json.loads(got.body)
    assert base64.b64decode(event.pop("data_base64")) == payload
    assert event == {**STRUCTURED, "datacontenttype": kind or "application/octet-stream"}


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_what_metadata_may_not_set(receiver, mode):
    names = ["Host", "content-length", "Transfer-Encoding", "authorization", "cookie", "ce-id",
             "Webhook-Signature", "duly-delivery-id", "Duly-Attempt", "Idempotency-Key", "expect",
             "metadata-host", "traceparent", "proxy-authorization"]  # fmt: skip
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    got = await sent(
        receiver,
        envelope(metadata=dict.fromkeys(names, "forged"), trace_context={"traceparent": parent}),
        mode=mode, secrets=SECRETS,
    )  # fmt: skip
    forged = {name for name, value in got.headers.items() if value == "forged"}
    assert forged == {
        "metadata-" + "".join(f"%{ord(c):02X}" if c.isupper() else c for c in name)
        for name in names
    }
    assert got.headers["traceparent"] == parent
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_names_that_differ_by_capitals_alone(receiver):
    got = await sent(receiver, envelope(metadata={"Tenant": "1", "tenant": "2", "TENANT": "3"}))
    assert got.told.headers["Tenant"] == "1"
    assert got.told.headers["metadata-tenant"] == "2"
    assert got.told.headers["metadata-TENANT"] == "3"


@pytest.mark.parametrize("name", ["", "größe", "a b", "a:b", "50%", "a\u2028b", "(comment)", "a;b"])
async def test_names_that_are_none_in_http(receiver, name):
    got = await sent(receiver, envelope(metadata={name: "7"}))
    assert got.told.headers[name or "metadata-"] == "7"


async def test_a_trace_is_encoded_by_its_own_rules_alone(receiver):
    baggage = "user=gr%C3%B6%C3%9Fe,tenant=7"
    got = await sent(receiver, envelope(trace_context={"baggage": baggage, "odd": "ö\r\nb: 1"}))
    assert got.headers["baggage"] == baggage
    assert got.headers["odd"] == "%C3%B6%0D%0Ab: 1"


async def test_an_event_name_in_the_path_and_query(receiver):
    got = await sent(
        receiver,
        envelope(event_name="a/b?c&ö{event_name}"),
        path="/x%20y/{event_name}?n={event_name}",
    )
    name = "a%2Fb%3Fc%26%C3%B6%7Bevent_name%7D"
    assert got.path == f"/x%20y/{name}"
    assert got.query == f"n={name}"


# --- signatures


def test_the_example_of_the_specification():
    """As its reference libraries test it."""
    (key,) = keys_of(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    headers = signature_headers(
        [key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("payload", [b"", b"\xff\x00", b'{"a": 1}'])
async def test_signed_by_each_secret(receiver, mode, payload):
    got = await sent(
        receiver, envelope(payload, delivery_id="größe.17:1:0"), mode=mode, secrets=SECRETS
    )
    assert got.headers["webhook-id"] == "gr%C3%B6%C3%9Fe%2E17:1:0"
    text = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    assert got.headers["webhook-signature"].split(" ") == [
        "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        for key in KEYS
    ]


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_" + base64.b64encode(bytes(23)).decode(), "x" * 40 + "!",
     "whsec_" + base64.b64encode(bytes(65)).decode(), "größe" * 10],
)  # fmt: skip
def test_secrets_that_are_none(secret):
    with pytest.raises(InvalidArgument, match="secret: it is whsec_") as told:
        WebhookTransport("https://example.com", secrets=[secret])
    assert not secret.removeprefix("whsec_") or secret not in str(told.value)
