"""What may be said of bytes that do not fit: nothing of what was in them."""

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

__all__ = ["field_names", "told"]

_KINDS: Final = frozenset(get_args(ErrorType))
_MOST: Final = 3  # errors that are told


def told(error: ValidationError, names: frozenset[str]) -> str:
    """Where it does not fit and how, such as ``order_id (int_parsing)``.

    Errors of pydantic quote the input: in their text, and as places, which keys of dictionaries
    are; those of validators may quote it anywhere. So only the names of fields and pydantic's own
    kinds of errors are told.
    """
    found = error.errors(include_url=False, include_context=False)
    several = [_told(each["loc"], each["type"], names) for each in found[:_MOST]]
    more = len(found) - len(several)
    return ", ".join([*dict.fromkeys(several), *([f"and {more} more"] if more else [])])


def _told(place: tuple[int | str, ...], kind: str, names: frozenset[str]) -> str:
    known = kind if kind in _KINDS else "custom error"
    where = "".join(f".{each}" if each in names else "[...]" for each in place).removeprefix(".")
    return f"{where} ({known})" if where else known


def field_names(schema: Any) -> frozenset[str]:
    """The names and aliases of all fields in a core schema."""
    return frozenset(_names(schema))


def _names(schema: Any) -> Iterator[str]:
    waiting, seen = [schema], set[int]()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            fields = part.get("fields")
            if isinstance(fields, dict):
                yield from (name for name in fields if isinstance(name, str))
            if str(part.get("type")).endswith("-field"):
                yield from _texts([part.get("name"), part.get("validation_alias")])
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part


def _texts(alias: Any) -> Iterator[str]:
    """Those in an alias, which may be a path or several."""
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, list):
        for each in alias:
            yield from _texts(each)
