"""What people do, as rows: written before it is done, ended before it is answered."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from duly import Change, Changing, Filter

__all__ = ["beginning", "ending"]

_LONGEST = 4096  # characters of a filter: its ids may be 10,000


def beginning(change: Change, at: int, turn: int, source: str) -> Mapping[str, Any]:
    """The row of a change that is about to be made."""
    return {
        "id": change.id,
        "at": at,
        "turn": turn,
        "action": change.action,
        "target": change.target,
        "filter": None if change.filter is None else _filter(change.filter),
        "details": json.dumps(_plain(change.details)),
        "by": change.by,
        "reason": change.reason,
        "source": source,
    }


def ending(at: int, done: Changing, error: BaseException | None) -> Mapping[str, Any]:
    """What is added when it has ended."""
    return {
        "ended_at": at,
        "number": done.number,
        "outcome": done.outcome or None,
        "error": None if error is None else _told(error),
    }


def _told(error: BaseException) -> str:
    name = type(error).__name__
    text = f"{name}: {error}" if str(error) else name
    return text[:1024].replace("\0", " ").encode("utf-8", "replace").decode()


def _filter(filter: Filter) -> str:
    """The fields that were given."""
    given = attrs.asdict(filter, recurse=False)
    empty = attrs.asdict(Filter(), recurse=False)
    said = {name: _plain(each) for name, each in given.items() if each != empty[name]}
    text = json.dumps(said)
    if len(text) > _LONGEST and "ids" in said:
        some = said["ids"][:10]
        text = json.dumps({**said, "ids": some, "ids_in_all": len(said["ids"])})
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    return getattr(value, "value", str(value))
