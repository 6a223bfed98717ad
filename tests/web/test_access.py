"""Who may do what: each verb with each right and each event prefix, and strangers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from tests.web.kit import USERS, asking, bearer, listening, served

import duly_web
from duly import Client, Message, after
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
