"""What a function of a user's is called with: the envelope, the payload, both or nothing."""

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, Final, NamedTuple

from duly._events.payloads import kind_named
from duly._local.annotated import contradicts, is_envelope, kind_of
from duly._values.plain import shown
from duly.errors import InvalidArgument
from duly.event import Event
from duly.transport import Envelope

__all__ = ["Checked", "Handler", "checked", "name_of"]

Handler = Callable[[Envelope], object]
"""Called with each envelope: an async function, a plain one, or an object with ``__call__``."""

_WANTED: Final = {True: "the envelope or nothing", False: "one argument, the envelope"}
_BY_POSITION: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Checked(NamedTuple):
    """A function that can be called with what is in an envelope."""

    function: Callable[..., object]
    call: Handler
    is_async: bool


def checked(
    function: Callable[..., object], event: Event[Any] | None = None, *, bare: bool = False
) -> Checked:
    """A handler that was given.

    Without an ``event`` it takes the envelope; ``bare``: or nothing. With one it takes the payload,
    the envelope, both in that order, or nothing.

    Raises:
        InvalidArgument: something that cannot be called so.
    """
    if not callable(function):
        raise InvalidArgument(f"a handler is a function, not {shown(function)}")
    kinds = (function, type(function).__call__)
    if any(inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind) for kind in kinds):
        raise InvalidArgument(f"{name_of(function)} is a generator: calling it would do nothing")
    call = _calling(function, event, bare=bare)
    return Checked(function, call, any(inspect.iscoroutinefunction(kind) for kind in kinds))


def _calling(function: Callable[..., object], event: Event[Any] | None, *, bare: bool) -> Handler:
    taken = _taken(function, 1 if event is None else 2)
    if event is None:
        return _calling_by_name(function, taken, bare=bare)
    if taken is None:
        raise InvalidArgument(
            f"{name_of(function)} must take no more than the payload and the envelope"
        )
    if not taken:
        return lambda _: function()
    read = event.read
    if len(taken) == 1:
        if is_envelope(function, taken[0]):
            return function
        _see_payload(function, taken[0], event)
        return lambda envelope: function(read(envelope))
    if is_envelope(function, taken[0]) and not is_envelope(function, taken[1]):
        raise InvalidArgument(
            f"{name_of(function)} takes the envelope first: the payload comes first, then it"
        )
    _see_payload(function, taken[0], event)
    kind = kind_of(function, taken[1])
    if contradicts(kind, Envelope):
        raise InvalidArgument(
            f"{name_of(function)} takes {_a(kind)} as its second argument, which is the Envelope"
        )
    return lambda envelope: function(read(envelope), envelope)


def _calling_by_name(
    function: Callable[..., object], taken: Sequence[Parameter | None] | None, *, bare: bool
) -> Handler:
    typed = "event=Event(...)" if bare else "transport.on(Event(...))"
    if taken is None:
        payload = _taken(function, 2) is not None
        raise InvalidArgument(
            f"{name_of(function)} must take {_WANTED[bare]}"
            f"{f': one with {typed} takes the payload, then the envelope' if payload else ''}"
        )
    if not taken and bare:
        return lambda _: function()
    if not taken:
        raise InvalidArgument(f"{name_of(function)} must take {_WANTED[bare]}")
    kind = kind_of(function, taken[0])
    if contradicts(kind, Envelope):
        raise InvalidArgument(
            f"{name_of(function)} takes {_a(kind)}, and would be given an Envelope: did you mean "
            f"{typed}?"
        )
    return function


def _see_payload(
    function: Callable[..., object], parameter: Parameter | None, event: Event[Any]
) -> None:
    kind = kind_of(function, parameter)
    if contradicts(kind, event.type):
        raise InvalidArgument(
            f"{name_of(function)} takes {_a(kind)}, and the payload of {event.name} is "
            f"{_a(event.type)}"
        )


def _a(kind: Any) -> str:
    name = kind_named(kind)
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def _taken(function: Callable[..., object], most: int) -> Sequence[Parameter | None] | None:
    """The parameters that are given something, at most so many; None: it wants others too.

    None among them: what stands for any number of arguments, or a function that tells nothing.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built in, without a signature
        return [None] * 1
    parameters = signature.parameters.values()
    taken: list[Parameter | None] = [each for each in parameters if each.kind in _BY_POSITION]
    if any(each.kind is Parameter.VAR_POSITIONAL for each in parameters):
        taken += [None] * (most - len(taken))
    taken = taken[:most]
    try:
        signature.bind(*taken)
    except TypeError:
        return None
    return taken


def name_of(function: object) -> str:
    """What to call a function in an error."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))
