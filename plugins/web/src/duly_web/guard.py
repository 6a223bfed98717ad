"""What stands before every resource: who asks, from where, and the headers of every answer."""

import inspect
import ipaddress
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from duly import DulyError
from duly_web.problems import Problem, problem_of
from duly_web.users import EVERYTHING, Access, User

__all__ = ["Guard", "is_loopback"]

_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_HEADERS: Final = {  # as the cheat sheets of OWASP for REST and for headers list them
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    b"form-action 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
_STRICT: Final = (b"strict-transport-security", b"max-age=31536000")


class Guard:
    """Lets in whom ``access`` knows; where it is None everybody, but from this very host only.

    The user is found in ``scope["duly_web.user"]`` from then on. What an application behind it says
    of a header of its own stays.
    """

    def __init__(self, app: ASGIApp, access: Access | None) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        send = _with_headers(send, secure=scope.get("scheme") == "https")
        try:
            see_origin(request)
            user = await self._user(request)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            await problem.response(request)(scope, receive, send)
            return
        scope["duly_web.user"] = user
        await self._app(scope, receive, send)

    async def _user(self, request: Request) -> User:
        if self._access is None:
            see_loopback(request.scope)
            return EVERYTHING
        found = self._access(request)
        if inspect.isawaitable(found):
            found = await found
        if found is None:
            ways = (
                "Bearer" if request.scope["duly_web.api"] else 'Basic realm="duly", charset="UTF-8"'
            )
            raise Problem(
                401, "Unauthorized", "say who you are: Authorization: Bearer and your token",
                headers={"WWW-Authenticate": ways},
            )  # fmt: skip
        if not isinstance(found, User):
            raise DulyError(f"access= has returned {type(found).__name__}, not a duly_web.User")
        return found


def see_origin(request: Request) -> None:
    """Refuse a change that a page of another site has made a browser send.

    Raises:
        Problem: it has.
    """
    if request.method in _SAFE:
        return
    fetch = request.headers.get("sec-fetch-site")
    if fetch is not None:
        if fetch in ("same-origin", "none"):
            return
    else:  # an older browser, plain http, or none at all
        origin = request.headers.get("origin")
        if origin is None or _place(origin) == request.headers.get("host", "").lower():
            return
    raise Problem(403, "CrossSite", "a page of another site made a browser send this: refused")


def see_loopback(scope: Scope) -> None:
    """Refuse what does not come from this very host, as far as that can be seen.

    Mounted in a service nobody knows where that listens, so that each request is looked at: both
    ends of the connection, the name that was asked for (pages of other sites can have a browser ask
    for theirs here), and whether a proxy has passed it on.

    Raises:
        Problem: it comes from elsewhere, or nobody can tell.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    ends: Sequence[Any] = (scope.get("server"), scope.get("client"))
    host = _name(headers.get("host", ""))
    here = all(end is not None and is_loopback(end[0]) for end in ends)
    if not here or not is_loopback(host) or any(each in headers for each in _FORWARDED):
        raise Problem(
            403, "Forbidden", "open_to_all serves this host alone: for others give access="
        )


def is_loopback(host: object) -> bool:
    """Whether an address, or a name, is that of this very host."""
    if not isinstance(host, str):
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _with_headers(send: Send, *, secure: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = [(name.lower(), value) for name, value in message.get("headers", ())]
            known = {name for name, _ in said}
            more = [*_HEADERS.items(), *([_STRICT] if secure else [])]
            message["headers"] = [*said, *(each for each in more if each[0] not in known)]
        await send(message)

    return sending
