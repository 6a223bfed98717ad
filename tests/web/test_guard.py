"""What stands before every resource: tokens, tries, proxies, headers, limits."""

import asyncio
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.web.kit import ALL, USERS, asking, bearer, listening, served

import duly_web
from duly import Client, Message, after
from duly_web.guard import is_loopback
from duly_web.tokens import Tokens
from duly_web.tries import Tries

OWASP = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


async def test_the_headers_of_every_answer(client):
    await client.schedule(Message("a", b"<script>", id="x", scheduled_at=after(hours=1)))
    async with served(client) as http:
        answers = [
            await http.get("/messages"),
            await http.get("/messages/x/payload"),
            await http.get("/none"),
            await http.post("/messages", json={}),
            await http.put("/messages"),
            await http.get("/messages", headers=bearer("x" * 40)),
            await http.delete("/messages/x", headers={"Origin": "https://evil.example"}),
        ]
    assert [each.status_code for each in answers] == [200, 200, 404, 422, 405, 401, 403]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in OWASP} == OWASP
        assert "strict-transport-security" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    assert answers[1].headers["content-type"] == "application/octet-stream"
    assert answers[1].headers["content-disposition"] == "attachment"
    assert answers[4].json()["code"] == "MethodNotAllowed"
    assert "GET" in answers[4].headers["allow"]


async def test_over_https_browsers_are_told_to_stay_there(client):
    app = duly_web.application(client, access=Tokens(USERS))
    sent = await call(app, scheme="https")
    assert (b"strict-transport-security", b"max-age=31536000") in sent[0]["headers"]


async def call(app, path="/v1/health", **more):
    """One request without a socket, from whatever address."""
    sent = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000), **more,
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize(("scope", "status"), [
    ({}, 200),
    ({"server": ("::1", 8000), "client": ("::1", 5)}, 200),
    ({"headers": [(b"host", b"127.0.0.1:8000")]}, 200),
    ({"server": ("10.0.0.5", 8000)}, 403),
    ({"client": ("10.0.0.9", 5000)}, 403),
    ({"server": None}, 403),
    ({"client": None}, 403),
    ({"server": ("/run/duly.sock", None)}, 403),
    ({"headers": [(b"host", b"evil.example")]}, 403),
    ({"headers": [(b"host", b"localhost.evil.example")]}, 403),
    ({"headers": [(b"host", b"[")]}, 403),
    ({"headers": []}, 403),
    *(({"headers": [(b"host", b"localhost"), (name, b"1.2.3.4")]}, 403)
      for name in (b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip", b"x-forwarded-host")),
])  # fmt: skip
async def test_open_to_all_is_for_this_very_host(client, scope, status):
    inner = duly_web.application(client, open_to_all=True)
    for app in (inner, Starlette(routes=[Mount("/duly", inner)])):
        path = "/v1/health" if app is inner else "/duly/v1/health"
        sent = await call(app, path, **scope)
        assert sent[0]["status"] == status


@pytest.mark.parametrize(("host", "is_one"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("LOCALHOST", True),
    ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False), (None, False),
    ("127.0.0.1.example.org", False),
])  # fmt: skip
def test_addresses_of_this_very_host(host, is_one):
    assert is_loopback(host) is is_one


async def test_tries_are_limited(client):
    now = [0.0]
    tokens = Tokens(USERS, tries=Tries(3, 60.0, clock=lambda: now[0]))
    async with served(client, access=tokens) as http:
        for _ in range(3):
            assert (await http.get("/health", headers=bearer("x" * 40))).status_code == 401
        for token in ("x" * 40, ALL):  # nothing is tried any more
            answer = await http.get("/health", headers=bearer(token))
            assert (answer.status_code, answer.json()["code"]) == (429, "TooManyTries")
            assert answer.headers["retry-after"] == "61"
        now[0] = 61.0
        assert (await http.get("/health")).status_code == 200


def test_tries_count_by_network_and_forget_the_oldest():
    tries = Tries(1, 60.0, clock=lambda: 0.0)
    tries.wrong("2001:db8::1")
    assert tries.left("2001:db8::ffff") == 60.0
    assert tries.left("2001:db8:0:1::1") == 0.0
    tries.wrong("::ffff:10.0.0.1")
    assert tries.left("10.0.0.1") == 60.0
    for number in range(10_000):
        tries.wrong(f"host-{number}")
    assert tries.left("2001:db8::1") == 0.0
    assert tries.left("host-9999") == 60.0


async def test_a_function_of_the_host_may_wait_and_must_say_a_user(client):
    async def access(request):
        await asyncio.sleep(0)
        return duly_web.User(request.headers["x-who"]) if "x-who" in request.headers else None

    async with served(client, None, access=access) as http:
        assert (await http.get("/health")).status_code == 401
        assert (await http.get("/health", headers={"X-Who": "a"})).status_code == 200
    async with served(client, None, access=lambda _: "mara") as http:
        assert (await http.get("/health")).status_code == 500


async def test_bodies_are_limited(client):
    async with served(client, max_body=1024) as http:
        large = b'{"event_name": "a", "payload": "' + b"x" * 2000 + b'"}'
        kind = {"Content-Type": "application/json"}
        answer = await http.post("/messages", content=large, headers=kind)
        assert (answer.status_code, answer.json()["code"]) == (413, "TooLarge")

        async def parts():
            for start in range(0, len(large), 500):
                yield large[start : start + 500]

        answer = await http.post("/messages", content=parts(), headers=kind)
        assert answer.status_code == 413
        for headers in (
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/x-www-form-urlencoded"},
            {},
            {**kind, "Content-Encoding": "gzip"},
        ):
            answer = await http.post("/messages", content=b"{}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "UnsupportedMediaType")


async def test_time_is_limited(client):
    async def endless(*arguments, **more):
        await asyncio.Event().wait()

    client.get = endless  # type: ignore[method-assign]  # it never answers
    async with served(client, timeout=timedelta(milliseconds=50)) as http:
        answer = await http.get("/messages/a")
        assert (answer.status_code, answer.json()["code"]) == (503, "TimedOut")
        assert answer.headers["retry-after"] == "5"


async def test_a_store_that_is_away(tmp_path):
    client = Client("redis://u:geheim@127.0.0.1:1/0")
    async with served(client) as http:
        answer = await http.get("/messages")
        assert (answer.status_code, answer.json()["code"]) == (503, "StoreUnavailable")
        assert answer.headers["retry-after"] == "5"
        assert "geheim" not in answer.text
        assert (await http.get("/overview")).json()["code"] == "store_away"
        assert (await http.get("/health")).status_code == 503
        made = await http.post("/messages", json={"event_name": "a", "delay": "1h"})
        assert made.status_code == 503
    await client.close()


async def test_a_mistake_of_ours_tells_nothing(client, caplog):
    async def broken(*arguments, **more):
        raise RuntimeError("secret")

    client.stats = broken  # type: ignore[method-assign]  # a mistake
    async with served(client) as http:
        answer = await http.get("/messages/count")
        assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
        assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_problems_say_what_they_mean(client):
    app = duly_web.application(client, access=Tokens(USERS))
    async with listening(app) as url, asking(url) as http:
        problem = (await http.get("/v1/messages/x")).json()
        assert problem["type"] == f"{url}/v1/problems/message-not-found"
        assert (await http.get(problem["type"])).json()["code"] == "MessageNotFound"
        assert (await http.get("/v1/problems/none")).status_code == 404
