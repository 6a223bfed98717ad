"""In services that exist: the same API under a path of theirs."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.web.kit import USERS, asking, listening

import duly_web
from duly import Client


def starlette(app: duly_web.Application) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return Starlette(routes=[Mount("/duly", app)])


def fastapi(app: duly_web.Application) -> Any:
    from fastapi import FastAPI

    host = FastAPI()
    host.mount("/duly", app)
    return host


def litestar(app: duly_web.Application) -> Any:
    from litestar import Litestar, asgi

    @asgi("/duly", is_mount=True, copy_scope=True)
    async def duly(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return Litestar([duly])


def django(app: duly_web.Application) -> Any:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from starlette.applications import Starlette
    from starlette.routing import Mount

    if not settings.configured:
        settings.configure(SECRET_KEY="x", ROOT_URLCONF=(), ALLOWED_HOSTS=["*"])
        django.setup()
    return Starlette(routes=[Mount("/duly", app), Mount("/", get_asgi_application())])


@pytest.mark.parametrize("host", [starlette, fastapi, litestar, django])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the hosts
async def test_under_a_path_of_a_service(client: Client, host):
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(host(app)) as url, asking(f"{url}/duly") as http:
        body = {"event_name": "a", "id": "a/b", "delay": "1h"}
        made = await http.post("/v1/messages", json=body)
        assert made.status_code == 201, made.text
        assert made.headers["location"] == "/duly/v1/messages/~YS9i"
        assert (await http.get(f"{url}{made.headers['location']}")).json()["id"] == "a/b"
        gone = await http.get("/v1/messages/none")
        assert gone.json()["type"] == f"{url}/duly/v1/problems/message-not-found"
        assert gone.json()["instance"] == "/duly/v1/messages/none"
        assert (await http.get("/v1/nothing")).json()["code"] == "NotFound"
        assert (await http.get("/v1/messages", headers={"Authorization": "x"})).status_code == 401
        described = (await http.get("/v1/openapi.json")).json()
        assert described["servers"] == [{"url": "/duly/v1"}]
        # and without a start of the host, operations are carried out
        act = {"action": "cancel", "filter": {"event_name": "a"}, "delay": "0s"}
        assert (await http.post("/v1/operations", json=act)).status_code == 201
        assert app.service.runner._task is not None


async def test_a_host_that_starts_and_ends_it(client: Client):
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.running())
        task = app.service.runner._task
        assert task is not None
        assert not task.done()
    assert task.done()
    assert app.service.runner._task is None


async def test_a_deeper_path(client: Client):
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    inner = Starlette(routes=[Mount("/b", app)])
    async with listening(Starlette(routes=[Mount("/a", inner)])) as url, asking(url) as http:
        made = await http.post(
            "/a/b/v1/messages", json={"event_name": "x", "id": "y", "delay": "1h"}
        )
        assert made.headers["location"] == "/a/b/v1/messages/y"
