"""The application: all resources behind the guard, mounted in a service that exists or alone."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from duly import Client, InvalidArgument
from duly_web import openapi
from duly_web.documents import Redact
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.guard import Guard
from duly_web.operations.runner import Runner
from duly_web.pages import Pages
from duly_web.pages.routes import routes_of
from duly_web.problems import TITLES, Problem, kebab
from duly_web.refs import see_slashes
from duly_web.resources import (
    ahead,
    controls,
    lists,
    messages,
    operations,
    past,
    schedulers,
    scheduling,
    standing,
)
from duly_web.service import Service
from duly_web.users import Access

if TYPE_CHECKING:
    from duly_history import History

__all__ = ["ENDPOINTS", "Application", "application"]

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *scheduling.ENDPOINTS,
    *lists.ENDPOINTS,
    *messages.ENDPOINTS,
    *operations.ENDPOINTS,
    *controls.ENDPOINTS,
    *schedulers.ENDPOINTS,
    *past.ENDPOINTS,
    *standing.ENDPOINTS,
    *ahead.ENDPOINTS,
)
"""All resources; of two paths that fit the first one is meant."""

_PAGES: Final = Pages()
_STATUSES: Final = {404: "NotFound", 405: "MethodNotAllowed"}


class ProblemKind(msgspec.Struct, frozen=True):
    """What a code of a problem means."""

    code: str
    title: str


class Application:
    """An ASGI application, made by :func:`application`."""

    def __init__(self, service: Service, app: Starlette) -> None:
        self.service = service
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            root, inner = _places(scope)
            scope = {
                **scope,
                "root_path": root,
                "path": f"{root}{inner}",
                "duly_web.root": root,
                "duly_web.api": inner == "/v1" or inner.startswith("/v1/"),
            }
            self.service.runner.start()
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry out operations from now on, for a host that hands no start to what it mounts.

        Without it that begins with the first request. At the end what is under way is left to
        other workers, and to the next start.
        """
        self.service.runner.start()
        try:
            yield
        finally:
            await self.service.runner.stop()


def application(
    client: Client,
    *,
    access: Access | None = None,
    open_to_all: bool = False,
    redact: Redact | None = None,
    history: "History | None" = None,
    pages: Pages | None = _PAGES,
    timeout: timedelta = timedelta(seconds=30),
    max_body: int = 16 * 1024 * 1024,
) -> Application:
    """The API for the store of a client, which is left open, as an ASGI application.

        app.mount("/duly", duly_web.application(client, access=duly_web.Tokens({...})))

    ``access`` says who asks and what they may do. Without it nothing is served, unless it is
    ``open_to_all``: then everybody on this very host may do everything, and who comes from
    elsewhere, or through a proxy, is refused each time. ``redact`` is given a message and returns
    what may be shown of its payload, and in the same way of the text of its last error. ``history``
    is what duly-history has kept, for what became of messages and who changed what. ``pages`` says
    what the pages for people tell of where one is; with None there are none. A request
    takes at most ``timeout``, and has a body of at most ``max_body`` bytes.

    Raises:
        InvalidArgument: neither ``access`` nor ``open_to_all`` is given, or both; an argument of
            the wrong type or out of bounds.
    """
    if not isinstance(client, Client):
        raise InvalidArgument(f"client must be a duly.Client, not {type(client).__name__}")
    if (access is None) != (open_to_all is True):
        raise InvalidArgument(
            "say who may use it: access=duly_web.Tokens({...}), duly_web.Proxy('X-User') or a "
            "function of yours; or open_to_all=True, for this very host alone"
        )
    if access is not None and not callable(access):
        raise InvalidArgument(f"access must be a function, not {type(access).__name__}")
    if pages is not None and not isinstance(pages, Pages):
        raise InvalidArgument(f"pages must be duly_web.Pages or None, not {type(pages).__name__}")
    if not isinstance(timeout, timedelta) or not timedelta(0) < timeout <= timedelta(hours=1):
        raise InvalidArgument(f"timeout must be a timedelta of up to an hour, not {timeout!r}")
    if not isinstance(max_body, int) or not 1024 <= max_body <= 2**30:
        raise InvalidArgument(f"max_body must be from 1,024 to 2**30 bytes, not {max_body!r}")
    service = Service(
        client=client,
        timeout=timeout.total_seconds(),
        max_body=max_body,
        redact=redact,
        runner=Runner(client),
        history=history,
    )
    app = Starlette(
        lifespan=_lifespan,
        routes=[*_routes(service), *(() if pages is None else routes_of(service, pages))],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={HTTPException: _not_there},
    )
    app.router.redirect_slashes = False
    app.state.duly_web = made = Application(service, app)
    return made


def _places(scope: Scope) -> tuple[str, str]:
    """Where it is mounted, and the path from there."""
    root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    if path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    inner = path if path == "/" else path.rstrip("/")
    whole = unquote(scope.get("raw_path", b"").decode("latin-1")).rstrip("/")
    if not root and whole != inner and whole.endswith(inner):  # Litestar tells it only there
        root = whole.removesuffix(inner)
    return root, inner or "/"


def _lifespan(app: Starlette) -> AbstractAsyncContextManager[None]:
    made: Application = app.state.duly_web
    return made.running()


def _routes(service: Service) -> list[BaseRoute]:
    async def description(call: Call) -> Answer:
        """This document."""
        root = call.request.scope["duly_web.root"]
        return Answer(document=openapi.description(ENDPOINTS, version("duly-web"), root))

    async def problem(call: Call) -> Answer:
        """What a problem means."""
        name = call.request.path_params["name"]
        for code, title in TITLES.items():
            if kebab(code) == name:
                return Answer(document=ProblemKind(code, title))
        raise Problem(404, "NotFound", "there is no such problem")

    more = [
        Endpoint(
            method="GET", path=path, right="read", handler=handler, summary="", answers={200: Any}
        )
        for path, handler in (("/openapi.json", description), ("/problems/{name}", problem))
    ]
    by_path: dict[str, list[Endpoint]] = {}
    for each in (*ENDPOINTS, *more):
        by_path.setdefault(each.path, []).append(each)
    return [_route(service, these) for these in by_path.values()]


def _route(service: Service, endpoints: list[Endpoint]) -> Route:
    """All methods of one path."""
    by_method = {each.method: each for each in endpoints}

    async def serve(request: Request) -> Response:
        try:
            see_slashes(request.scope)
        except Problem as problem:
            return problem.response(request)
        method = "GET" if request.method == "HEAD" else request.method
        return await by_method[method](service, request)

    return Route(f"/v1{endpoints[0].path}", serve, methods=[*by_method])


async def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = _STATUSES.get(status, "NotFound")
    headers = getattr(error, "headers", None)
    try:
        see_slashes(request.scope)
    except Problem as problem:
        return problem.response(request)
    return Problem(status, code, TITLES[code], headers=headers).response(request)
