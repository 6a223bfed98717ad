"""What a transport can do: how many publishes side by side, how long each may take.

What is here for users is part of :mod:`duly.transport`.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final, Protocol, runtime_checkable

import attrs

from duly._values.callables import as_policy
from duly._values.patterns import is_prefix
from duly._values.plain import shown
from duly.errors import InvalidArgument
from duly.moment import as_duration

__all__ = ["NAMES", "NO_LIMITS", "PREFIXES", "Limits", "SupportsLimits", "waiting", "works"]

NAMES: Final = 1000
"""How many keys the ``by_name`` of limits may have."""

PREFIXES: Final = 50
"""How many of them may be prefixes."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_MOST: Final = 1_000_000


def _number(value: object, what: str, *, at_least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= _MOST:
        return value
    raise InvalidArgument(f"{what} must be a whole number from {at_least}, not {value!r}")


def _in_all(value: int | None) -> int | None:
    return None if value is None else _number(value, "Limits: in_all", at_least=1)


def _by_name(value: Mapping[str, int]) -> Mapping[str, int]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"Limits: by_name must be a mapping, not {type(value).__name__}")
    for name, most in value.items():
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"Limits: by_name has a key that is not an event name: {name!r}")
        _number(most, f"Limits: by_name[{name!r}]", at_least=0)
    if len(value) > NAMES or sum(map(is_prefix, value)) > PREFIXES:
        raise InvalidArgument(f"Limits: by_name may have {NAMES} keys, {PREFIXES} of them prefixes")
    return dict(value)


def _together(value: Sequence[tuple[Collection[str], int]]) -> Sequence[tuple[frozenset[str], int]]:
    given: object = value  # whatever it is called
    if not isinstance(given, Collection) or isinstance(given, str | bytes):
        raise InvalidArgument(f"Limits: together must be a sequence, not {type(value).__name__}")
    return [_some(each) for each in given]


def _some(value: object) -> tuple[frozenset[str], int]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise InvalidArgument(
            f"Limits: together must hold pairs of names and a number, not {shown(value)}"
        )
    names, most = value
    if (
        not isinstance(names, Collection)
        or isinstance(names, str | bytes)
        or not all(isinstance(name, str) and name for name in names)
    ):
        raise InvalidArgument(f"Limits: together has names that are not valid: {shown(names)}")
    return frozenset(names), _number(most, "Limits: a number in together", at_least=1)


def _timeouts(value: Mapping[str, timedelta | None]) -> Mapping[str, timedelta | None]:
    def check(timeout: object, what: str) -> timedelta | None:
        return None if timeout is None else as_duration(timeout, what, at_least=_MILLISECOND)

    return _each(value, "timeouts", check)


def _recovery(value: Mapping[str, Callable[[Any], Any] | None]) -> Mapping[str, Any]:
    return _each(value, "recovery", as_policy)


def _each(value: Any, field: str, check: Callable[[object, str], Any]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        raise InvalidArgument(f"Limits: {field} must be a mapping by event name")
    return {name: check(each, f"Limits: {field}[{name!r}]") for name, each in value.items()}


@attrs.frozen(kw_only=True)
class Limits:
    """How many publishes a transport can work at side by side; more would only wait inside it.

    ``in_all`` is for all together, None for any number. ``by_name`` holds the number for event
    names, 0 for none just now. A key that ends in ``.*`` is for all names that begin with what
    stands before the ``*``, together; ``*`` alone is for all names without a key of their own. An
    exact name has precedence over a prefix, a longer prefix over a shorter one. ``together`` gives
    event names, and keys of ``by_name``, that share a number, at least 1, in addition to what
    ``by_name`` says of each.

    ``timeouts`` says how long a publish of a name may take, instead of the ``publish_timeout`` of
    the scheduler. ``recovery`` has policies of names, asked after plugins and before that of the
    scheduler, for lapsed claims as well; one that answers None leaves it to that. Their keys are
    names and prefixes as those of ``by_name``; with None a name has what the scheduler says,
    whatever a prefix says.

    Raises:
        InvalidArgument: a number out of bounds, over 1,000 names or 50 prefixes.
    """

    in_all: int | None = attrs.field(default=None, converter=_in_all)
    by_name: Mapping[str, int] = attrs.field(factory=dict, converter=_by_name)
    together: Sequence[tuple[Collection[str], int]] = attrs.field(default=(), converter=_together)

    timeouts: Mapping[str, timedelta | None] = attrs.field(factory=dict, converter=_timeouts)
    recovery: Mapping[str, Callable[[Any], Any] | None] = attrs.field(
        factory=dict, converter=_recovery
    )

    @property
    def least(self) -> float:
        """The smallest number for any names; infinite where there is none."""
        return min([*self.by_name.values(), *(most for _, most in self.together)], default=math.inf)


NO_LIMITS: Final = Limits()

works: ContextVar[Callable[[bool], None] | None] = ContextVar("works", default=None)
"""Within a publish: called with False when it begins to wait for its turn, with True afterwards."""


@contextmanager
def waiting() -> Iterator[None]:
    """Enter it within a publish while that waits for its turn, for a connection, say.

    That time does not count as publishing, so that ``publish_timeout`` begins anew afterwards. A
    transport that knows how many publishes it can work at should rather say so by ``limits()``:
    a publish that waits inside a transport holds a slot.
    """
    tell = works.get()
    if tell is None:  # nobody measures
        yield
        return
    tell(False)
    try:
        yield
    finally:
        tell(True)


@runtime_checkable
class SupportsLimits(Protocol):
    """A transport that works at a limited number of publishes; more would wait inside it.

    The engine starts no more than that, so that waiting does not count as publishing.
    """

    def limits(self) -> Limits:
        """The limits just now.

        Called before each batch and several times a second: a plain and quick method, which returns
        the same object until the limits change.
        """
