"""Names that stand for many event names: ``orders.*``, and ``*`` for all."""

from collections.abc import Mapping
from typing import TypeVar

__all__ = ["best_match", "is_prefix", "matches_name"]

T = TypeVar("T")


def is_prefix(pattern: str) -> bool:
    """Whether it stands for all names that begin with what is before the ``*``."""
    return pattern == "*" or pattern.endswith(".*")


def matches_name(pattern: str, name: str) -> bool:
    """Whether a pattern, or a plain name, stands for this event name."""
    return name.startswith(pattern[:-1]) if is_prefix(pattern) else name == pattern


def best_match(patterns: Mapping[str, T], name: str) -> T | None:
    """What is kept for the name itself, or for the longest pattern that stands for it."""
    exact = patterns.get(name)
    if exact is not None:
        return exact
    while name:
        name, dot, _ = name.rpartition(".")
        found = patterns.get(f"{name}.*") if dot else patterns.get("*")
        if found is not None:
            return found
    return patterns.get("*")
