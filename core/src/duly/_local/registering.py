"""The functions of a local transport, by event name, and what each of them needs."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn

import attrs

from duly._local.binding import Checked, name_of
from duly._values.callables import as_policy
from duly._values.limits import NAMES, PREFIXES, Limits
from duly._values.patterns import best_match, is_prefix
from duly._values.plain import shown, whole
from duly.errors import InvalidArgument
from duly.event import Event
from duly.moment import as_duration
from duly.recovery import Policy

__all__ = ["Handlers", "Needs", "Registered", "as_threads"]

_ANY: Final = 10**6  # publishes at a time: no limit
_MOST_THREADS: Final = 1000
_MILLISECOND: Final = timedelta(milliseconds=1)


def as_threads(value: object) -> int:
    """A number of threads, checked."""
    number = whole(value)
    if number is None or not 1 <= number <= _MOST_THREADS:
        raise InvalidArgument(f"threads must be from 1 to {_MOST_THREADS}, not {shown(value)}")
    return number


def _max_in_flight(value: object) -> int | None:
    number = None if value is None else whole(value)
    if value is not None and (number is None or not 1 <= number <= _ANY):
        raise InvalidArgument(f"max_in_flight must be a whole number from 1, not {shown(value)}")
    return number


def _timeout(value: object) -> timedelta | None:
    return None if value is None else as_duration(value, "timeout", at_least=_MILLISECOND)


def _recovery(value: object) -> Any:
    return as_policy(value, "recovery")


@attrs.frozen(kw_only=True)
class Needs:
    """What a handler needs that differs from what the scheduler says; None for what does not.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
    """

    max_in_flight: int | None = attrs.field(default=None, converter=_max_in_flight)
    timeout: timedelta | None = attrs.field(default=None, converter=_timeout)
    recovery: Policy | None = attrs.field(default=None, converter=_recovery)


@attrs.frozen
class Registered:
    """A function under an event name or a prefix."""

    handler: Checked
    needs: Needs
    event: Event[Any] | None


class Handlers:
    """The functions of one transport by event name or prefix, and the limits that come of them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._of_one_name = max(1, threads * 2 // 3)
        self.by_name: dict[str, Registered] = {}
        self.limits = Limits()

    def put(self, name: str, new: Registered, owner: object) -> None:
        """Register a function; the same under the same name again is fine.

        Raises:
            InvalidArgument: the name has another, or too many have limits of their own.
        """
        known = self.by_name.get(name)
        if known is not None:
            new = _both(known, new) or _taken(name, known, new, owner)
        handlers = {**self.by_name, name: new}
        self.limits = self._limits_of(handlers)
        self.by_name = handlers

    def of(self, event_name: str) -> Registered | None:
        """Who gets the messages of an event name."""
        return best_match(self.by_name, event_name)

    def _limits_of(self, handlers: Mapping[str, Registered]) -> Limits:
        most = {name: self._most(each) for name, each in handlers.items()}
        by_name = {name: number for name, number in most.items() if number is not None}
        plain = [name for name, each in handlers.items() if not each.handler.is_async]
        asked = [name for name in by_name if handlers[name].needs.max_in_flight is not None]
        if len(asked) > NAMES or sum(map(is_prefix, asked)) > PREFIXES:
            raise InvalidArgument(
                f"at most {NAMES} event names, {PREFIXES} prefixes among them, may have "
                "max_in_flight"
            )
        if any(map(is_prefix, by_name)):  # which do not stand for what has a function of its own
            by_name |= {name: _ANY for name in most if name not in by_name}
        return Limits(
            by_name=_cut(by_name, [*asked, *plain]),
            together=[(plain, self._threads)] if plain else (),
            timeouts=_told(handlers, lambda needs: needs.timeout),
            recovery=_told(handlers, lambda needs: needs.recovery),
        )

    def _most(self, each: Registered) -> int | None:
        asked = each.needs.max_in_flight
        if each.handler.is_async:
            return asked
        return self._of_one_name if asked is None else min(asked, self._threads)


def _both(known: Registered, new: Registered) -> Registered | None:
    """What one function under one name needs that is registered twice; None: they differ."""
    needs = new.needs if known.needs == Needs() else known.needs
    if known.handler.function != new.handler.function or new.needs not in (needs, Needs()):
        return None
    return Registered((new if new.event else known).handler, needs, new.event or known.event)


def _taken(name: str, known: Registered, new: Registered, owner: object) -> NoReturn:
    function = known.handler.function
    needs = ", with other needs" if function == new.handler.function else ""
    raise InvalidArgument(
        f"{name!r} has a handler already in {owner!r}: {_told_of(function)}{needs}"
    )


def _told_of(function: object) -> str:
    module = getattr(function, "__module__", None)
    return f"{module}.{name_of(function)}" if isinstance(module, str) else name_of(function)


def _cut(by_name: Mapping[str, int], first: list[str]) -> Mapping[str, int]:
    """As many as limits may have, those that come ``first`` foremost."""
    names = dict.fromkeys([*first, *by_name])
    prefixes = [name for name in names if is_prefix(name) and name in by_name][:PREFIXES]
    exact = [name for name in names if not is_prefix(name) and name in by_name]
    return {name: by_name[name] for name in [*prefixes, *exact[: NAMES - len(prefixes)]]}


def _told(handlers: Mapping[str, Registered], of: Callable[[Needs], Any]) -> Mapping[str, Any]:
    """By name what its handler needs, None included; nothing where none needs anything."""
    told = {name: of(each.needs) for name, each in handlers.items()}
    return told if any(each is not None for each in told.values()) else {}
