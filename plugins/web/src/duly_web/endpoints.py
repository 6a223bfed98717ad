"""A resource of the API: declared once for the router, for access and for OpenAPI."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from duly import Client, acting
from duly_web import inputs
from duly_web.problems import Problem, problem_of
from duly_web.refs import id_of
from duly_web.tags import is_among
from duly_web.users import User

if TYPE_CHECKING:
    from duly_web.service import Service

__all__ = ["Answer", "Call", "Endpoint"]

log: Final = logging.getLogger("duly")


@attrs.define(kw_only=True)
class Call:
    """One request, read: what a handler is given."""

    service: "Service"
    request: Request
    user: User
    query: Any = None
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    """Of a filter: what ``meta.KEY=`` asks for."""
    body: Any = None
    raw: bytes = b""
    """The body as it was sent."""

    @property
    def client(self) -> Client:
        """Whose store it is about."""
        return self.service.client

    @property
    def id(self) -> str:
        """What the reference in the path stands for."""
        return id_of(self.request.path_params["ref"])

    def may(self, right: str) -> None:
        """Refuse who has not that right.

        Raises:
            Problem: this user has not.
        """
        if right not in self.user.rights:
            raise Problem(403, "Forbidden", f"{self.user.name} has not the right {right!r}")

    def everywhere(self) -> None:
        """Refuse who may not see all events, where something is about all of them.

        Raises:
            Problem: this user may not.
        """
        if not self.user.everywhere:
            own = ", ".join(self.user.events)
            raise Problem(
                403, "Forbidden", f"this is about all events, and {self.user.name} has only {own}"
            )


@attrs.frozen(kw_only=True)
class Answer:
    """What a handler returns: a document, or bytes of another kind; ``tag`` becomes the ETag."""

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    content: bytes | None = None
    content_type: str = "application/json"
    tag: str | None = None


@attrs.frozen(kw_only=True)
class Endpoint:
    """``answers`` has the type of the document of each status that is none of a problem's."""

    method: str
    path: str
    right: str
    handler: Callable[[Call], Awaitable[Answer]]
    summary: str
    answers: Mapping[int, Any]
    query: type[msgspec.Struct] | None = None
    filters: bool = False
    """Whether ``meta.KEY=`` may be among the parameters."""
    body: type[msgspec.Struct] | None = None
    needs_body: bool = True
    tag: str = "messages"
    problems: tuple[int, ...] = ()
    content_type: str = "application/json"

    async def __call__(self, service: "Service", request: Request) -> Response:
        """The answer, whatever happens."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(service.timeout):
                call = Call(service=service, request=request, user=request.scope["duly_web.user"])
                call.may(self.right)
                await self._read(call)
                with acting(by=call.user.name):
                    answer = await self.handler(call)
        except TimeoutError:
            took = time.monotonic() - began
            text = f"no answer within {took:.0f} s: what was asked for may have happened anyway"
            return Problem(503, "TimedOut", text, headers={"Retry-After": "5"}).response(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001  # it is answered, and logged
            return self._refused(request, error)
        return _response(request, answer)

    async def _read(self, call: Call) -> None:
        if self.query is not None:
            call.query, call.metadata = inputs.read_query(
                call.request, self.query, filters=self.filters
            )
        if self.body is not None:
            call.raw = await inputs.read_body(
                call.request, call.service.max_body, needed=self.needs_body
            )
            said = call.raw if call.raw or self.needs_body else b"{}"
            call.body = inputs.read_json(said, self.body)

    def _refused(self, request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem is None:
            log.error("%s %s failed", self.method, self.path, exc_info=error)
            problem = Problem(500, "InternalError", "the log of the service says what it was")
        return problem.response(request)


def _response(request: Request, answer: Answer) -> Response:
    headers = dict(answer.headers)
    content = answer.content
    if content is None:
        content = msgspec.json.encode(answer.document)
    if answer.tag is not None:
        headers["ETag"] = answer.tag
        known = request.headers.get("if-none-match", "")
        if request.method in ("GET", "HEAD") and is_among(answer.tag, known):
            return Response(status_code=304, headers=headers)
    return Response(content, answer.status, headers, answer.content_type)
