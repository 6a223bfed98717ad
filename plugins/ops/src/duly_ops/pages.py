"""The pages: what is at which path, for GET and HEAD alone."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

__all__ = ["Answer", "Pages", "View", "json_answer", "text_answer"]

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_TEXT: Final = "text/plain; charset=utf-8"
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_INDEX: Final = "/livez\n/readyz\n/healthz\n/metrics\n"


@attrs.frozen
class Answer:
    """What a page answers."""

    status: int
    body: bytes
    content_type: str = _TEXT


def text_answer(troubles: Sequence[str]) -> Answer:
    """The word ok, or what is wrong, one line each."""
    text = "".join(f"{each}\n" for each in troubles) or "ok\n"
    return Answer(503 if troubles else 200, text.encode("utf-8", "replace"))


def json_answer(status: int, value: object) -> Answer:
    """A value that JSON can say."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return Answer(status, f"{text}\n".encode("utf-8", "replace"), "application/json")


class View(Protocol):
    """What the pages show: of the schedulers of this process, or of several processes."""

    async def live(self) -> Answer:
        """Whether to let it live."""
        ...

    async def ready(self) -> Answer:
        """Whether it delivers."""
        ...

    async def health(self) -> Answer:
        """How it is doing, in a sentence and in detail."""
        ...

    async def metrics(self, accept: str) -> Answer:
        """All metrics, in a format that is accepted."""
        ...


class Pages:
    """An ASGI application of four pages."""

    def __init__(self, view: View) -> None:
        self._pages: Mapping[str, Callable[[str], Awaitable[Answer]]] = {
            "/": _index,
            "/livez": lambda _: view.live(),
            "/readyz": lambda _: view.ready(),
            "/healthz": lambda _: view.health(),
            "/metrics": view.metrics,
        }

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer, more = await self._answer(scope)
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            *_HEADERS,
            *more,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Mapping[str, Any]) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        page = self._pages.get(scope["path"])
        if page is None:
            return Answer(404, f"there is no such page; there are:\n{_INDEX}".encode()), []
        if scope["method"] not in ("GET", "HEAD"):
            return Answer(405, b"only GET and HEAD\n"), [(b"allow", b"GET, HEAD")]
        accepted = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        return await page(accepted), []


async def _index(_accepted: str) -> Answer:
    return Answer(200, _INDEX.encode())
