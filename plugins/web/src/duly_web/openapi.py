"""What the API is, for programs that make clients of it: OpenAPI 3.1."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from duly_web.endpoints import Endpoint
from duly_web.problems import ProblemDocument

__all__ = ["description"]

_PROBLEM: Final = "application/problem+json"
_WORDS: Final = {
    200: "As it is now", 201: "It is stored", 202: "It is accepted", 304: "As you know it",
    400: "No JSON", 401: "Who asks is not known", 403: "Not among your rights",
    404: "There is no such thing", 405: "Not this method", 409: "At odds with what is there",
    412: "It has changed since",
    413: "Too large", 415: "Not JSON", 422: "A value that can never work",
    429: "Too many wrong tokens", 500: "A mistake of ours", 501: "Not kept, or not possible here",
    502: "The store refused", 503: "The store does not answer, or it took too long",
}  # fmt: skip
_ANYWHERE: Final = (401, 403, 422, 429, 500, 501, 502, 503)
_REF: Final = {"type": "string", "pattern": "^([A-Za-z0-9._:@-]+|~[A-Za-z0-9_-]+)$"}
_META: Final = {
    "name": "metadata", "in": "query", "required": False, "style": "form", "explode": True,
    "description": "Each `meta.KEY=VALUE` asks for messages with that value in their metadata.",
    "schema": {
        "type": "object", "propertyNames": {"pattern": r"^meta\..+$"},
        "additionalProperties": {"type": "string"},
    },
    "example": {"meta.tenant": "acme"},
}  # fmt: skip
_INTRODUCTION: Final = """Messages that are due later: scheduled, looked at, moved, cancelled.

Moments are RFC 3339, in Z with six digits. `ref` is the id in paths: the id itself where that is
letters, digits and `. _ : @ -`, else `~` and its base64url. Errors are problems of RFC 9457, of
which `code` is the thing to match. Where messages are filtered, `meta.KEY=VALUE` asks for metadata.
"""


def description(endpoints: Sequence[Endpoint], version: str, root: str) -> dict[str, Any]:
    """The whole document; ``root`` is where the application is mounted."""
    kinds: list[Any] = [ProblemDocument]
    for each in endpoints:
        kinds += [kind for kind in each.answers.values() if kind is not bytes]
        kinds += [kind for kind in (each.body, each.query) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        dict.fromkeys(kinds), ref_template="#/components/schemas/{name}"
    )
    known = dict(zip(dict.fromkeys(kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, known, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "duly", "version": version, "description": _INTRODUCTION},
        "servers": [{"url": f"{root}/v1"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    endpoint: Endpoint, known: dict[Any, Any], components: dict[str, Any]
) -> dict[str, Any]:
    document = endpoint.handler.__doc__ or ""
    said: dict[str, Any] = {
        "operationId": _name(endpoint),
        "summary": endpoint.summary,
        "description": f"{document.strip()} Takes the right `{endpoint.right}`.",
        "tags": [endpoint.tag],
        "parameters": _parameters(endpoint, components),
        "responses": _responses(endpoint, known),
    }
    if endpoint.body is not None:
        said["requestBody"] = {
            "required": endpoint.needs_body,
            "content": {"application/json": {"schema": known[endpoint.body]}},
        }
    return said


def _name(endpoint: Endpoint) -> str:
    words = re.findall(r"[a-z]+", endpoint.path)
    return "_".join(
        [endpoint.method.lower(), *(each for each in words if each not in ("ref", "id"))]
        + (["one"] if endpoint.path.endswith("}") else [])
    )


def _parameters(endpoint: Endpoint, components: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _REF}
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    if endpoint.query is not None:
        schema = components[endpoint.query.__name__]
        found += [
            {"name": name, "in": "query", "required": False, "schema": _given(each)}
            for name, each in schema["properties"].items()
        ]
    if endpoint.filters:
        found.append(_META)
    if endpoint.method == "POST" and endpoint.path == "/messages":
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}})
    if 412 in endpoint.problems:
        found.append({"name": "If-Match", "in": "header", "schema": {"type": "string"}})
    return found


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """Of a parameter, which is left out rather than null."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    default = schema.get("default")
    more = {} if default is None else {"default": default}
    found = {**rest, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}), **more}
    if "enum" in found:
        found["enum"] = [each for each in found["enum"] if each is not None]
    return found


def _responses(endpoint: Endpoint, known: dict[Any, Any]) -> dict[str, Any]:
    problem = {_PROBLEM: {"schema": known[ProblemDocument]}}
    codes = {*_ANYWHERE, *endpoint.problems}
    if endpoint.body is not None:
        codes |= {400, 413, 415}
    if "{" in endpoint.path:
        codes |= {404, 405}
    found = {str(code): {"description": _WORDS[code], "content": problem} for code in sorted(codes)}
    for code, kind in endpoint.answers.items():
        schema = {} if kind is bytes else known[kind]
        content: dict[str, Any] = {endpoint.content_type: {"schema": schema}}
        if code in codes:
            content |= problem
        found[str(code)] = {"description": _WORDS[code], "content": content}
    return found
