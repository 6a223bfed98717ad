"""What a function of a user's is called with: the envelope, the payload, both or nothing."""

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, Final, NamedTuple, get_type_hints

from duly._values.plain import shown
from duly.errors import InvalidArgument
from duly.event import Event
from duly.transport import Envelope

__all__ = ["Checked", "Handler", "checked", "name_of"]

Handler = Callable[[Envelope], object]
"""Called with each envelope: an async function, a plain one, or an object with ``__call__``."""

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
    if taken is None:
        wanted = (
            "no more than the payload and the envelope" if event else "one argument, the envelope"
        )
        raise InvalidArgument(f"{name_of(function)} must take {wanted}")
    if not taken and (event is not None or bare):
        return lambda _: function()
    if event is None:
        if not taken:
            raise InvalidArgument(f"{name_of(function)} must take one argument, the envelope")
        return function
    read = event.read
    if len(taken) == 1:
        if _is_envelope(function, taken[0]):
            return function
        return lambda envelope: function(read(envelope))
    if _is_envelope(function, taken[0]) and not _is_envelope(function, taken[1]):
        raise InvalidArgument(
            f"{name_of(function)} takes the envelope first: the payload comes first, then it"
        )
    return lambda envelope: function(read(envelope), envelope)


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


def _is_envelope(function: Callable[..., object], parameter: Parameter | None) -> bool:
    """Whether it is annotated as the envelope; what cannot be looked up is compared as text."""
    if parameter is None or parameter.annotation is Parameter.empty:
        return False
    written: object = parameter.annotation
    if not isinstance(written, str):
        return written is Envelope
    try:
        return get_type_hints(_annotated(function))[parameter.name] is Envelope
    except Exception:  # noqa: BLE001  # imported for type checkers only, or nonsense
        return written.strip("'\" ").rpartition(".")[2] == Envelope.__name__


def _annotated(function: Any) -> Any:
    """What has the annotations of an object that can be called."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def name_of(function: object) -> str:
    """What to call a function in an error."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))
