"""Who may do what: each verb with each right and each event prefix, and strangers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from tests.cli.kit import bury
from tests.web.kit import USERS, asking, bearer, listening, served

import duly_web
from duly import Client, InvalidArgument, Message, after
from duly_web.app import ENDPOINTS
from duly_web.tries import Tries

BODIES: Final[Mapping[tuple[str, str], Any]] = {
    ("POST", "/messages"): {"event_name": "orders.paid", "delay": "1h"},
    ("POST", "/messages/many"): {"messages": [{"event_name": "orders.paid", "delay": "1h"}]},
    ("PATCH", "/messages/{ref}"): {"delay": "2h"},
    ("POST", "/operations"): {"action": "cancel", "filter": {"event_name": "orders.*"}, "delay": "1h"},
    ("PUT", "/controls/{ref}"): {"paused": True},
    ("PUT", "/series/{ref}"): {
        "event_name": "orders.tick", "recurrence": {"type": "every", "interval": "1h"}
    },
}  # fmt: skip
STORE_WIDE: Final = {
    "/overview",
    "/forecast",
    "/schedulers",
    "/changes",
    "/schedulers/{ref}/recover",
}
TABLE: Final = [(each.method, each.path, each.right) for each in ENDPOINTS]


async def ask(
    http: httpx.AsyncClient, method: str, path: str, *, ref: str = "order-1", body: Any = None
) -> httpx.Response:
    """That verb on a message of ``orders.paid``, on its rule, or on what there is one of."""
    known = {"/controls/{ref}": "orders.paid", "/series/{ref}": "tick"}
    real = path.replace("{ref}", known.get(path, ref)).replace("{id}", "op-1")
    sent = BODIES.get((method, path)) if body is None else body
    return await http.request(method, real, json=sent)


async def prepare(client: Client) -> None:
    await client.schedule(
        Message("orders.paid", b"secret", id="order-1", scheduled_at=after(hours=1),
                metadata={"tenant": "acme"}), replace=True
    )  # fmt: skip


def user(*rights: str, events: tuple[str, ...] = ("*",)) -> duly_web.User:
    return duly_web.User("somebody", rights, events)


def test_each_verb_is_in_the_table():
    assert len(TABLE) == len({(method, path) for method, path, _ in TABLE}) == 30
    assert {right for *_, right in TABLE} == {*duly_web.RIGHTS}


@asynccontextmanager
async def as_users(client: Client) -> AsyncIterator[tuple[httpx.AsyncClient, list[duly_web.User]]]:
    """Somebody who asks, and a list whose only element is who that is."""
    now = [user()]
    async with served(client, None, access=lambda _: now[0]) as http:
        yield http, now


class TestRights:
    """The whole table: each verb, with a message to do it to, for one kind of user each."""

    async def test_with_that_right_alone(self, client):
        async with as_users(client) as (http, now):
            for method, path, right in TABLE:
                await prepare(client)
                now[0] = user(right)
                answer = await ask(http, method, path)
                assert answer.status_code not in (401, 403), (method, path, answer.text)

    async def test_with_all_the_others(self, client):
        await prepare(client)
        before = await client.get("order-1")
        async with as_users(client) as (http, now):
            for method, path, right in TABLE:
                now[0] = user(*(each for each in duly_web.RIGHTS if each != right))
                answer = await ask(http, method, path)
                assert (answer.status_code, answer.json()["code"]) == (403, "Forbidden"), path
        assert await client.list() == [before]
        assert await client.controls() == {}

    async def test_for_other_events(self, client):
        """What is of ``orders`` is not there, or refused, for who has ``mail`` alone."""
        await prepare(client)
        before = await client.get("order-1")
        async with as_users(client) as (http, now):
            now[0] = user(*duly_web.RIGHTS, events=("mail.*",))
            for method, path, _ in TABLE:
                answer = await ask(http, method, path)
                if path in STORE_WIDE:
                    assert answer.status_code == 403, path
                elif path == "/health":
                    assert answer.status_code == 200
                elif answer.status_code < 300:
                    assert method == "GET", path
                    told = answer.json()
                    assert told.get("items", []) == [], path
                    assert told.get("count", 0) == 0, path
                else:
                    assert answer.status_code in (403, 404), (path, answer.text)
        assert await client.list() == [before]
        assert await client.controls() == {}

    async def test_for_its_own_events(self, client):
        async with as_users(client) as (http, now):
            now[0] = user(*duly_web.RIGHTS, events=("orders.*",))
            for method, path, _ in TABLE:
                await prepare(client)
                answer = await ask(http, method, path)
                assert (answer.status_code == 403) == (path in STORE_WIDE), (path, answer.text)

    async def test_a_stranger(self, client):
        await prepare(client)
        before = await client.get("order-1")
        tokens = duly_web.Tokens(USERS, tries=Tries(10_000))
        async with served(client, None, access=tokens) as http:
            for method, path, _ in TABLE:
                for headers in ({}, bearer("x" * 40), {"Authorization": "Bearer"}):
                    real = path.replace("{ref}", "order-1").replace("{id}", "op-1")
                    body = BODIES.get((method, path))
                    answer = await http.request(method, real, headers=headers, json=body)
                    assert (answer.status_code, answer.json()["code"]) == (401, "Unauthorized")
                    assert answer.headers["www-authenticate"] == "Bearer"
        assert await client.list() == [before]

    async def test_from_another_site(self, client):
        await prepare(client)
        before = await client.get("order-1")
        async with served(client) as http:
            host = http.base_url.netloc.decode()
            for method, path, _ in TABLE:
                if method == "GET":
                    continue  # it changes nothing, and no other site can read the answer
                real = path.replace("{ref}", "order-1")
                for headers in (
                    {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site"},
                    {"Origin": "https://evil.example"},
                    {"Origin": "null"},
                    {"Origin": f"http://{host}.evil.example"},
                ):
                    answer = await http.request(method, real, headers=headers)
                    assert (answer.status_code, answer.json()["code"]) == (403, "CrossSite")
                for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": f"http://{host}"}):
                    real = path.replace("{ref}", "none")
                    answer = await http.request(method, real, headers=headers)
                    assert answer.json().get("code") != "CrossSite"
        assert (await client.get("order-1")) == before


async def test_nothing_else_is_served_without_access(client):
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(app) as url, asking(url, None) as http:
        for path in ("/", "/v1", "/v1/openapi.json", "/v1/problems/not-found", "/x", "/v1/x"):
            assert (await http.get(path)).status_code == 401
        assert (await http.options("/v1/messages")).status_code == 401


async def test_what_is_hidden(client):
    await prepare(client)
    async with served(client, access=lambda _: user("read")) as http:
        told = (await http.get("/messages/order-1")).json()
        assert (told["metadata"], told["hidden"]) == (None, ["metadata", "payload"])
        assert (await http.get("/messages")).json()["items"][0]["metadata"] is None
        for path in ("/messages", "/messages/count", "/causes", "/series"):
            answer = await http.get(path, params={"meta.tenant": "acme"})  # nor by guessing
            assert (answer.status_code, answer.json()["code"]) == (403, "Forbidden")
    async with served(client, access=lambda _: user("read", "payload")) as http:
        told = (await http.get("/messages/order-1")).json()
        assert (told["metadata"], told["hidden"]) == ({"tenant": "acme"}, [])


async def test_what_is_redacted(client):
    await bury(client, {"d": "Rejected: card 4711 of acme"}, name="orders.paid", kind="Rejected")
    await prepare(client)

    def redact(message: Message) -> bytes:
        if b"secret" in message.payload:
            raise ValueError("it cannot be made safe")
        return message.payload.replace(b"4711", b"....")

    async with served(client, redact=redact, access=lambda _: user("read", "payload")) as http:
        told = await http.get("/messages/d")
        assert told.json()["last_error"] == "Rejected: card .... of acme"
        assert "4711" not in told.text
        assert "4711" not in (await http.get("/messages")).text
        assert "acme" not in (await http.get("/causes")).text
        assert (await http.get("/messages/order-1/payload")).status_code == 403
        assert (await http.get("/messages/d/payload")).content == b"{}"
    async with served(client, redact=redact, access=lambda _: user("read")) as http:
        for path in ("/causes", "/overview"):
            assert (await http.get(path)).status_code == 403
        guessed = await http.get("/messages/count", params={"error": "*4711*"})
        assert guessed.status_code == 403


async def test_prefixes(client):
    for name in ("orders.paid", "orders.eu.paid", "ordersx", "mail"):
        await client.schedule(Message(name, id=name, scheduled_at=after(hours=1)))
    for events, seen in (
        (("orders.*",), {"orders.paid", "orders.eu.paid"}),
        (("orders.eu.*",), {"orders.eu.paid"}),
        (("mail",), {"mail"}),
        (("*",), {"orders.paid", "orders.eu.paid", "ordersx", "mail"}),
        ((), set()),
    ):
        somebody = user("read", events=events)
        async with served(client, access=lambda _, who=somebody: who) as http:  # type: ignore[misc]
            found = {
                name
                for name in ("orders.paid", "orders.eu.paid", "ordersx", "mail")
                if (await http.get(f"/messages/{name}")).status_code == 200
            }
            assert found == seen
            names = {each["event_name"] for each in (await http.get("/events")).json()["items"]}
            assert names == seen
            listed = await http.get("/messages")
            if events:
                assert {each["event_name"] for each in listed.json()["items"]} == seen
            else:
                assert listed.status_code == 403
    both = user("read", events=("mail", "orders.*"))
    async with served(client, access=lambda _: both) as http:
        assert (await http.get("/messages")).status_code == 403  # it has to say which
        assert len((await http.get("/messages?event_name=mail")).json()["items"]) == 1
        assert (await http.get("/messages?event_name=*")).status_code == 403


async def test_what_a_user_may_not_see_is_not_replaced(client):
    await client.schedule(Message("mail", id="x", scheduled_at=after(hours=1)))
    otto = user(*duly_web.RIGHTS, events=("orders.*",))
    async with served(client, access=lambda _: otto) as http:
        body = {"event_name": "orders.paid", "id": "x", "delay": "1h", "replace": True}
        assert (await http.post("/messages", json=body)).status_code == 409
        assert (await http.post("/messages/many", json={"messages": [body]})).status_code == 409
        rule = {"event_name": "orders.x", "recurrence": {"type": "every", "interval": "1h"}}
        assert (await http.put("/series/x", json=rule)).status_code == 409
    assert (await client.get("x")).event_name == "mail"


@pytest.mark.parametrize("options", [
    {}, {"access": duly_web.Tokens(USERS), "open_to_all": True}, {"open_to_all": False},
    {"access": "mara"}, {"access": print, "timeout": 5}, {"access": print, "max_body": 0},
])  # fmt: skip
def test_an_application_that_can_never_work(options):
    with pytest.raises(InvalidArgument):
        duly_web.application(Client("memory://"), **options)


@pytest.mark.parametrize("arguments", [
    ("",), ("a\n",), ("x" * 256,), (None,), ("a", "read"), ("a", ["root"]), ("a", ["read"], "orders"),
    ("a", ["read"], ["or*"]), ("a", ["read"], [""]),
])  # fmt: skip
def test_users_that_are_none(arguments):
    with pytest.raises(InvalidArgument):
        duly_web.User(*arguments)
