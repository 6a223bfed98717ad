"""Names that stand for many event names: ``orders.*``, and ``*`` for all."""

from collections.abc import Mapping
from typing import TypeVar

__all__ = ["best_key", "best_match", "is_prefix", "matches_name"]

T = TypeVar("T")


def is_prefix(pattern: str) -> bool:
    """Whether it stands for all names that begin with what is before the ``*``."""
    return pattern == "*" or pattern.endswith(".*")


def matches_name(pattern: str, name: str) -> bool:
    """Whether a pattern, or a plain name, stands for this event name."""
    return name.startswith(pattern[:-1]) if is_prefix(pattern) else name == pattern


def best_key(patterns: Mapping[str, object], name: str) -> str | None:
    """The name itself if it is a key, or else the longest pattern among the keys that fits it."""
    if name in patterns:
        return name
    while name:
        name, dot, _ = name.rpartition(".")
        key = f"{name}.*" if dot else "*"
        if key in patterns:
            return key
    return "*" if "*" in patterns else None


def best_match(patterns: Mapping[str, T], name: str) -> T | None:
    """What is kept for the name itself, or for the longest pattern that stands for it."""
    key = best_key(patterns, name)
    return None if key is None else patterns[key]
