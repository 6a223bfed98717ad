"""What went wrong, as RFC 9457 has it."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from duly import (
    DulyError,
    DuplicateMessage,
    InvalidArgument,
    InvalidMessage,
    MessageNotFound,
    StoreError,
    StoreUnavailable,
    Unsupported,
    WrongState,
)
from duly.url import mask

__all__ = [
    "TITLES", "Fault", "Past", "Problem", "ProblemDocument", "base_of", "kebab", "problem_of",
]  # fmt: skip

TITLES: Final[Mapping[str, str]] = {
    "NoJson": "The body is no JSON",
    "Unauthorized": "Who asks is not known",
    "Forbidden": "That is not among your rights",
    "CrossSite": "Another site sent this",
    "NotFound": "There is no such resource",
    "MethodNotAllowed": "The resource does not take this method",
    "MessageNotFound": "There is no such message",
    "DuplicateMessage": "The id is taken",
    "WrongState": "It is in another state than that needs",
    "ChangedSince": "It has changed since you read it",
    "TooLarge": "The body is too large",
    "UnsupportedMediaType": "The body is of another type than JSON",
    "InvalidMessage": "The message can never be scheduled as it is",
    "InvalidArgument": "A value that can never work",
    "TooManyTries": "Too many wrong tokens",
    "InternalError": "A mistake of ours",
    "Unsupported": "The store cannot do that, or it is not kept here",
    "StoreError": "The store refused",
    "StoreUnavailable": "The store does not answer",
    "TimedOut": "It took too long",
}
"""Each code there is, and its title."""

_STATUSES: Final[Sequence[tuple[type[Exception], int]]] = (
    (MessageNotFound, 404),
    (DuplicateMessage, 409),
    (WrongState, 409),
    (InvalidMessage, 422),
    (InvalidArgument, 422),
    (Unsupported, 501),
    (StoreUnavailable, 503),
    (StoreError, 502),
)
_RETRY: Final = "5"  # seconds


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with what was sent: where, and what."""

    pointer: str
    """A JSON pointer into the body (RFC 6901); of a parameter its name behind a slash."""
    detail: str


class ProblemDocument(msgspec.Struct, frozen=True, rename={"kind": "type"}):
    """What went wrong; ``code`` is the thing to match.

    ``history`` is where to read what became of a message that is gone, where that is kept.
    """

    kind: Annotated[str, msgspec.Meta(extra_json_schema={"format": "uri-reference"})]
    title: str
    status: int
    code: str
    detail: str
    instance: str
    errors: list[Fault] = []
    history: str | msgspec.UnsetType = msgspec.UNSET


class Past(MessageNotFound):
    """There is no such message any more; its history is at ``place``."""

    def __init__(self, text: str, place: str) -> None:
        super().__init__(text)
        self.place = place


class Problem(Exception):
    """Raised for what is answered as a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        pointer: str | None = None,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        history: str | msgspec.UnsetType = msgspec.UNSET,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = mask(detail)
        self.errors = [*errors] if pointer is None else [Fault(pointer, self.detail)]
        self.headers = dict(headers or {})
        self.history = history

    def document(self, base: str, instance: str) -> ProblemDocument:
        """What is sent of it; ``base`` is the root of the application."""
        return ProblemDocument(
            kind=f"{base}/v1/problems/{kebab(self.code)}",
            title=TITLES.get(self.code, self.code),
            status=self.status,
            code=self.code,
            detail=self.detail,
            instance=instance,
            errors=self.errors,
            history=self.history,
        )

    def response(self, request: Request) -> Response:
        """The whole answer."""
        path = request.scope.get("path", "")
        document = self.document(base_of(request), path)
        return Response(
            msgspec.json.encode(document), self.status, self.headers, "application/problem+json"
        )


def problem_of(error: Exception) -> Problem | None:
    """What to answer for an error of ours; None for one that nobody has foreseen."""
    if isinstance(error, Problem):
        return error
    if not isinstance(error, DulyError):
        return None
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            headers = {"Retry-After": _RETRY} if status == 503 else {}
            past = error.place if isinstance(error, Past) else msgspec.UNSET
            return Problem(status, kind.__name__, str(error), headers=headers, history=past)
    return None


def base_of(request: Request) -> str:
    """The root of the application as those see it who ask: scheme, host and where it is mounted."""
    url, root = request.url, request.scope.get("duly_web.root", "")
    return f"{url.scheme}://{url.netloc}{root}"


def kebab(code: str) -> str:
    """``DuplicateMessage`` as ``duplicate-message``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", code).lower()
