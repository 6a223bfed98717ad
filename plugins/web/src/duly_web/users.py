"""Who asks, and what they may do."""

from collections.abc import Awaitable, Callable, Collection
from typing import Final

import attrs
from starlette.requests import Request

from duly import InvalidArgument

__all__ = ["EVERYTHING", "RIGHTS", "Access", "User", "fits"]

RIGHTS: Final = ("read", "payload", "operate", "schedule", "admin")
"""``read``: all but payloads and metadata; ``payload``: these. ``operate``: cancel, move, fire,
replay, pause, limit. ``schedule``: messages and series. ``admin``: purge, recover, see who changed
what, stop what somebody else has begun. None of them brings another."""

_LONGEST: Final = 255  # characters of a name, which stands in records of changes


def fits(pattern: str, name: str) -> bool:
    """Whether a prefix as ``orders.*``, or a plain name, stands for an event name or a prefix."""
    if pattern == "*" or pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return pattern == name


def _rights(value: Collection[str]) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Collection):
        raise InvalidArgument(f"rights are a collection of names, as ['read'], not {value!r}")
    for each in value:
        if each not in RIGHTS:
            raise InvalidArgument(f"{each!r} is no right: there are {', '.join(RIGHTS)}")
    return frozenset(value)


def _events(value: Collection[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Collection):
        raise InvalidArgument(f"events are a collection, as ['orders.*'], not {value!r}")
    for each in value:
        if not isinstance(each, str) or not each:
            raise InvalidArgument(f"events has names and prefixes as 'orders.*', not {each!r}")
        if "*" in each and each != "*" and not each.endswith(".*"):
            raise InvalidArgument(f"{each!r} is no prefix of events: one ends in .*, as 'orders.*'")
    return tuple(value)


@attrs.frozen
class User:
    """Somebody who may use the API.

    ``name`` stands as ``by`` in every record of a change: up to 255 characters. ``rights`` are some
    of :data:`RIGHTS`. ``events`` are the event names and prefixes, as ``orders.*``, whose messages
    the user may see and touch: all, unless they are given.

    Raises:
        InvalidArgument: no name, or a right or prefix that is none.
    """

    name: str = attrs.field()
    rights: frozenset[str] = attrs.field(default=frozenset({"read"}), converter=_rights)
    events: tuple[str, ...] = attrs.field(default=("*",), converter=_events)

    @name.validator
    def _see_name(self, _attribute: object, value: object) -> None:
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
            raise InvalidArgument("name must be text of 1 to 255 characters that can be printed")

    @property
    def everywhere(self) -> bool:
        """Whether all events are the user's."""
        return "*" in self.events

    def sees(self, name: str) -> bool:
        """Whether an event name, or all that a prefix stands for, is among the user's events."""
        return any(fits(each, name) for each in self.events)


EVERYTHING: Final = User("local", rights=RIGHTS)
"""Who asks where nobody has to say who they are."""

Access = Callable[[Request], User | Awaitable[User | None] | None]
"""Says who asks: given the request, the user, or None for a stranger. It may be async."""
