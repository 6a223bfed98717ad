"""What a change or a filter says, in words with units in place of the names of fields."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from duly_web.pages.words import Words, number, plural

__all__ = ["ACTIONS", "did", "phrases"]

ACTIONS: Final[Mapping[str, str]] = {
    "pause": "paused", "resume": "resumed", "limit": "limited", "cancel": "cancelled",
    "reschedule": "moved", "fire": "fired", "replay": "replayed", "purge": "purged",
    "recover": "recovered", "schedule": "scheduled", "ensure": "ensured", "copy": "copied",
    "payload": "looked at the payload",
}  # fmt: skip
"""What somebody did, by the name under which it is kept."""

_PLAIN: Final[Mapping[str, str]] = {
    "event_name": "of {}", "phase": "that are {}", "state": "that are {}",
    "id_prefix": "whose ids begin with {}", "error": "whose error is like {}",
    "error_class": "whose error is a {}", "before": "scheduled until {}",
    "after": "scheduled from {}", "due_before": "due until {}", "due_after": "due from {}",
    "died_before": "that died until {}", "died_after": "that died from {}",
    "until": "until {}", "at": "due from {}", "scheduled_at": "to {}",
    "as_of": "that had died at {}", "died_by": "that had died at {}", "id": "under the id {}",
    "operation": "by the act on many {}", "order": "in the order of {}",
}  # fmt: skip
_COUNTED: Final[Mapping[str, Callable[[Any], str]]] = {
    "rate": lambda value: f"{number(value)} a second",
    "rate_per_second": lambda value: f"{number(value)} a second",
    "in_flight": lambda value: f"{number(value)} at once",
    "messages": lambda value: plural(value, "message"),
    "limit": lambda value: f"{number(value)} at most",
    "offset": lambda value: f"from the {number(value + 1)}th on",
}  # fmt: skip


def did(action: str, details: Mapping[str, Any]) -> str:
    """What somebody did, such as "paused"."""
    if action == "limit" and not (details.get("rate") or details.get("in_flight")):
        return "took off the limit"
    return ACTIONS.get(action, action)


def phrases(words: Words, said: Mapping[str, Any], *, shows: bool = True) -> str:
    """All that is said, such as "of orders.export, 50 a second"; metadata only if it ``shows``."""
    told = [
        _phrase(words, name, value)
        for name, value in said.items()
        if value not in (None, False, "", {}, []) and not (name == "ids" and "ids_in_all" in said)
        if shows or (name != "metadata" and not name.startswith("meta."))
    ]
    return ", ".join(told)


def _phrase(words: Words, name: str, value: Any) -> str:
    if name == "metadata" and isinstance(value, Mapping):
        return " and ".join(f"with {key}={each}" for key, each in value.items())
    if name.startswith("meta."):
        return f"with {name.removeprefix('meta.')}={value}"
    if name in ("ids", "ids_in_all"):
        count = value if isinstance(value, int) else len(value)
        return plural(count, "selected message")
    if name == "force":
        return "without asking whether it lives"
    if name in _COUNTED and isinstance(value, int | float):
        return _COUNTED[name](value)
    shown = words.value(value)
    text = str(shown.striptags() if hasattr(shown, "striptags") else shown)
    return _PLAIN.get(name, f"{name.replace('_', ' ')} {{}}").replace("{}", text)
