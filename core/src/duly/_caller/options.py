"""The keyword arguments of clients and schedulers, each declared once: type, default, bounds.

A constructor takes them as a ``TypedDict`` (``**options: Unpack[...]``), so that type checkers know
them. :func:`takes` checks them and fills in the defaults.
"""

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, ParamSpec, TypedDict, TypeVar, cast, get_type_hints

import attrs
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from duly._caller.arguments import as_flag, as_number
from duly._caller.control_arguments import as_pattern
from duly._values.plain import shown
from duly.errors import InvalidArgument
from duly.moment import as_duration

__all__ = ["ClientOptions", "Option", "duration", "flag", "for_client", "number", "takes"]

_MOST_NAMES: Final = 1000  # event names that metrics tell apart

P = ParamSpec("P")
T = TypeVar("T")

Check = Callable[[object, str], object]
"""Takes a value and its name; gives the value to use, or raises InvalidArgument."""


def number(at_least: int, at_most: int) -> Check:
    """A whole number within bounds, both inclusive."""
    return functools.partial(as_number, at_least=at_least, at_most=at_most)


def duration(at_least: timedelta) -> Check:
    """A timedelta of at least that."""
    return functools.partial(as_duration, at_least=at_least)


def names_told_apart(value: object, name: str) -> frozenset[str] | None:
    """Event names, or patterns that stand for several; None for all.

    Raises:
        InvalidArgument: it is none of these, or too many.
    """
    if value is None:
        return None
    if isinstance(value, str | bytes) or not isinstance(value, Collection):
        raise InvalidArgument(f"{name} must be a list of event names, not {shown(value)}")
    if len(value) > _MOST_NAMES:
        raise InvalidArgument(f"{name} may have {_MOST_NAMES:,} names at most, not {len(value):,}")
    return frozenset(map(as_pattern, value))


flag: Check = as_flag


@attrs.frozen
class Option:
    """What is declared for a keyword argument besides its name and type."""

    default: object
    check: Check = lambda value, _: value


class ClientOptions(TypedDict, total=False):
    """The options of :class:`duly.Client`, which says what they mean."""

    max_payload: Annotated[int, Option(1_048_576, number(0, 2**30))]
    store_timeout: Annotated[
        timedelta, Option(timedelta(seconds=10), duration(timedelta(milliseconds=1)))
    ]
    plugins: Annotated[Sequence[object], Option(())]
    load_plugins: Annotated[bool | Collection[str], Option(True)]
    tracer_provider: Annotated[TracerProvider | None, Option(None)]
    meter_provider: Annotated[MeterProvider | None, Option(None)]
    metric_names: Annotated[Collection[str] | None, Option(None, names_told_apart)]


def for_client(options: ClientOptions) -> ClientOptions:
    """Those of the options that a client takes."""
    ours = {name: value for name, value in options.items() if name in ClientOptions.__annotations__}
    return cast(ClientOptions, ours)


def takes(kind: type) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a constructor with ``**options: Unpack[kind]``.

    It gets all options of that TypedDict, checked. ``help()``, :func:`inspect.signature` and pages
    made from them show each with its name, type and default.
    """
    hints = get_type_hints(kind, include_extras=True)
    options = {name: _option(hint) for name, hint in hints.items()}

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def construct(*args: P.args, **given: P.kwargs) -> T:
            for name in given.keys() - named:
                _refuse(name, function, named)
            filled: dict[str, Any] = {
                name: option.check(given.get(name, option.default), name)
                for name, option in options.items()
            }
            return function(*args, **{**given, **filled})

        signature = _spelt_out(function, hints)
        named = signature.parameters.keys()
        construct.__signature__ = signature  # type: ignore[attr-defined]  # asked for by inspect
        return construct

    return decorate


def _option(hint: Any) -> Option:
    (option,) = hint.__metadata__
    assert isinstance(option, Option)  # noqa: S101  # of our own making
    return option


def _spelt_out(function: Callable[..., object], hints: Mapping[str, Any]) -> inspect.Signature:
    *first, _options = inspect.signature(function).parameters.values()
    spelt = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_option(hint).default,
            annotation=hint.__origin__,
        )
        for name, hint in hints.items()
    ]
    return inspect.Signature([*first, *spelt], return_annotation=None)


def _refuse(name: str, function: Callable[..., object], named: Collection[str]) -> None:
    text = f"{function.__qualname__}() got an unexpected keyword argument {name!r}"
    for like in difflib.get_close_matches(name, named, n=1):
        text += f": did you mean {like!r}?"
    raise TypeError(text)
