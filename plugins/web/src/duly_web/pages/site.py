"""All pages as routes: each is looked up, seen to, rendered and told apart by an ETag."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from duly import InvalidArgument, acting
from duly_web.pages import words
from duly_web.pages.look import Pages, zone_of
from duly_web.pages.past import Past
from duly_web.pages.snapshot import Recent
from duly_web.pages.visit import Done, Page, Shown, Visit, fields_of
from duly_web.problems import TITLES, Problem, problem_of
from duly_web.refs import ref_of
from duly_web.service import Service
from duly_web.tags import is_among

__all__ = ["COOKIE", "Site"]

COOKIE: Final = "duly-zone"
"""Holds the time zone that somebody has chosen, and nothing else."""

_HERE: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    # Without a referrer at all a browser hides the Origin of forms too, by which they are let in.
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie, Authorization",
}

log: Final = logging.getLogger("duly")


class Site:
    """The pages of one application."""

    def __init__(self, service: Service, look: Pages) -> None:
        self.service = service
        self.look = look
        self.past = Past(service.history)
        self.recent = Recent(service.client, self.past)
        self._time = f"as-of-{secrets.token_hex(8)}"  # stands for the time, which no ETag counts
        self._files = {
            each.name: each.read_bytes()
            for each in (_HERE / "static").iterdir()
            if each.suffix in _TYPES
        }
        self._marks = {
            name: hashlib.sha256(each).hexdigest()[:12] for name, each in self._files.items()
        }
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "number": words.number, "lasting": words.lasting, "plural": words.plural, "ref": ref_of,
        }  # fmt: skip
        self._templates.globals |= {"version": version("duly-web"), "marks": self._marks}

    def routes(
        self, pages: Mapping[str, Page], acts: Mapping[str, tuple[str, Page]]
    ) -> Sequence[BaseRoute]:
        """A route for each page and each act, by its path; an act goes with the right it takes."""
        return [
            Route("/static/{name}", self._file, methods=["GET"]),
            *(
                Route(f"/{path}", self._shown(page), methods=["GET"])
                for path, page in pages.items()
            ),
            *(
                Route(f"/{path}", self._acted(act, right), methods=["POST"])
                for path, (right, act) in acts.items()
            ),
        ]

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files:
            return Response("there is no such file", 404, media_type="text/plain")
        tag = f'"{self._marks[name]}"'
        headers = {"ETag": tag, "Cache-Control": "private, max-age=86400"}
        if is_among(tag, request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(self._files[name], 200, headers, _TYPES[Path(name).suffix])

    def _shown(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request) -> Response:
            raw = request.scope.get("raw_path") or request.scope["path"].encode()
            path = raw.decode("latin-1").partition("?")[0]
            if (path.endswith("/")) != (request.scope["path"].endswith("/")):
                return _moved(request, path)
            return await self._answer(request, "read", page)

        return show

    def _acted(self, act: Page, right: str) -> Callable[[Request], Awaitable[Response]]:
        async def done(request: Request) -> Response:
            return await self._answer(request, right, act)

        return done

    async def _answer(self, request: Request, right: str, page: Page) -> Response:
        visit = Visit(
            self, request, request.scope["duly_web.user"], self._zone(request), _base(request)
        )
        try:
            async with asyncio.timeout(self.service.timeout):
                visit.needs(right)
                if request.method == "POST":
                    visit.form = fields_of(await _body(request, self.service.max_body))
                with acting(by=visit.user.name, reason=visit.said("reason")):
                    found = await page(visit)
                if request.method == "POST":
                    self.recent.forget()
                if isinstance(found, Done):
                    return self._gone_on(visit, found)
                return await self._rendered(visit, found)
        except TimeoutError:
            problem = Problem(
                503, "TimedOut", "no answer in time; what was asked may have happened"
            )
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001  # it is answered, and logged
            problem = problem_of(error) or _unforeseen(request, error)
        return await self._refused(visit, problem)

    def _gone_on(self, visit: Visit, done: Done) -> Response:
        response = RedirectResponse(f"{visit.base}{_safe(done.place)}", 303, _HEADERS)
        if done.zone is not None:
            response.set_cookie(
                COOKIE, done.zone, max_age=365 * 86_400, samesite="lax",
                path=f"{visit.request.scope['root_path']}/",
            )  # fmt: skip
        return response

    async def _rendered(self, visit: Visit, shown: Shown) -> Response:
        snapshot = await visit.snapshot()
        html = self._templates.get_template(shown.template).render(
            {
                "v": visit, "w": visit.words, "user": visit.user, "base": visit.base,
                "look": self.look, "link": visit.link, "may": visit.may, "here": visit.here,
                "snapshot": snapshot, "time_mark": self._time, "problem": None, "same": None,
                "reads": self.recent.reads, "done": visit.query.get("done", ""),
                **shown.facts,
            }
        )  # fmt: skip
        tag = f'"{hashlib.sha256(html.encode(errors="replace")).hexdigest()[:32]}"'
        clock = visit.words.clock(snapshot.as_of)
        headers = {**_HEADERS, "ETag": tag, "Duly-As-Of": clock}
        if visit.request.method != "POST" and is_among(
            tag, visit.request.headers.get("if-none-match", "")
        ):
            return Response(status_code=304, headers=headers)
        content = html.replace(self._time, clock).encode(errors="replace")
        return Response(content, shown.status, headers, "text/html; charset=utf-8")

    async def _refused(self, visit: Visit, problem: Problem) -> Response:
        title = TITLES.get(problem.code, problem.code)
        facts = {"problem": problem, "title": title, "nav": None}
        response = await self._rendered(visit, Shown("problem.html", facts, problem.status))
        response.headers.update(problem.headers)
        return response

    def _zone(self, request: Request) -> Any:
        try:
            return zone_of(request.cookies.get(COOKIE, self.look.timezone).strip('"'))
        except InvalidArgument:
            return zone_of(self.look.timezone)


def _base(request: Request) -> str:
    path = request.scope["path"].removeprefix(request.scope["root_path"])
    return "../" * (path.count("/") - 1) or "./"


def _moved(request: Request, path: str) -> Response:
    """To where relative links lead to the right places: the root with a slash, all else without."""
    name = path.rstrip("/").rpartition("/")[2]
    place = f"../{name}" if path.endswith("/") else f"{name}/"
    query = request.scope["query_string"].decode("latin-1")
    return RedirectResponse(f"{place}{'?' if query else ''}{query}", 307, _HEADERS)


def _safe(place: str) -> str:
    """A path from the root of all pages, whatever was asked for: it never leads elsewhere."""
    return quote(place.lstrip("/\\"), safe="/?&=%+~:@,;*.-_!$'()")


def _unforeseen(request: Request, error: Exception) -> Problem:
    log.error("the page %s failed", request.scope["path"], exc_info=error)
    return Problem(500, "InternalError", "the log of the service says what it was")


async def _body(request: Request, most: int) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise Problem(413, "TooLarge", f"the form may have {most:,} bytes")
    return bytes(content)
