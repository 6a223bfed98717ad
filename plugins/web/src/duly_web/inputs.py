"""What was sent, read and checked: parameters, bodies, and where something is wrong with them."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from duly_web.problems import Problem

__all__ = ["pointed", "read_body", "read_json", "read_query"]

S = TypeVar("S", bound=msgspec.Struct)

_META: Final = "meta."
_JSON: Final = re.compile(r"application/(?:[\w.+-]+\+)?json", re.ASCII)
_PLACE: Final = re.compile(r"(.*?)(?: - at `(?:key in )?\$(.*)`)?", re.DOTALL)
_FIELD: Final = re.compile(r"Object (?:contains unknown|missing required) field `(.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


async def read_body(request: Request, most: int, *, needed: bool) -> bytes:
    """All of the body, of up to ``most`` bytes.

    Raises:
        Problem: it is larger, or of another type than JSON.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > most:
        raise _too_large(most)
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise _too_large(most)
    if not content and not needed:
        return b""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _JSON.fullmatch(kind):
        raise Problem(415, "UnsupportedMediaType", "send JSON, with Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "UnsupportedMediaType", "send the body as it is, without an encoding")
    return bytes(content)


def read_json(content: bytes | msgspec.Raw, kind: type[S], *, under: str = "") -> S:
    """What a body says, checked; ``under`` is the pointer to where it stands.

    Raises:
        Problem: it is no JSON, or not what it should be.
    """
    try:
        bytes(content).decode()  # in what is taken as it is nobody else looks
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), under) from None
    except RecursionError:
        raise Problem(400, "NoJson", "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "NoJson", f"the body is no JSON: {error}") from None


def read_query(request: Request, kind: type[S], *, filters: bool) -> tuple[S, Mapping[str, str]]:
    """What the parameters say, checked; with ``filters`` also those that begin with ``meta.``.

    Raises:
        Problem: one is unknown, given twice, or not what it should be.
    """
    said: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        place, key = said, name
        if filters and name.startswith(_META) and name != _META:
            place, key = metadata, name.removeprefix(_META)
        if key in place:
            raise _wrong(f"/{_escaped(name)}", f"{name} is given twice")
        place[key] = value
    try:
        return msgspec.convert(said, kind, strict=False), metadata
    except msgspec.ValidationError as error:
        raise _misfit(str(error), "") from None


def pointed(problem: Problem, under: str) -> Problem:
    """The same, of what stands further down in the body."""
    errors = [
        msgspec.structs.replace(each, pointer=f"{under}{each.pointer}") for each in problem.errors
    ]
    return Problem(
        problem.status, problem.code, problem.detail, errors=errors, headers=problem.headers
    )


def _misfit(text: str, under: str) -> Problem:
    found = _PLACE.fullmatch(text)
    what, path = found.groups() if found is not None else (text, None)
    steps = [name or number for name, number in _STEP.findall(path or "") if name != "..."]
    field = _FIELD.fullmatch(what)
    if field is not None:
        steps.append(field[1])
    return _wrong(under + "".join(f"/{_escaped(each)}" for each in steps), what)


def _wrong(pointer: str, detail: str) -> Problem:
    return Problem(422, "InvalidArgument", detail, pointer=pointer)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _too_large(most: int) -> Problem:
    return Problem(413, "TooLarge", f"the body may have {most:,} bytes")
