"""What the arguments of a function are annotated as, and whether that can be what it is given."""

import functools
import inspect
import types
from inspect import Parameter
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict

from duly.transport import Envelope

__all__ = ["contradicts", "is_envelope", "kind_of"]

_NO_CLASSES: Final = (Any, Union, types.UnionType)  # though some of them are, to Python
_NUMBERS: Final = (int, float, complex)  # type checkers take an int where a float is wanted


def is_envelope(function: object, parameter: Parameter | None) -> bool:
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


def kind_of(function: object, parameter: Parameter | None) -> type | None:
    """The class that an argument is annotated as; None: as none, or it cannot be known.

    That of a function that decorates another is not its own: it may turn an envelope into a payload
    itself.
    """
    if parameter is None or parameter.annotation is Parameter.empty or _decorates(function):
        return None
    written: object = parameter.annotation
    if isinstance(written, str):
        try:
            written = get_type_hints(_annotated(function))[parameter.name]
        except Exception:  # noqa: BLE001  # imported for type checkers only, or nonsense
            return None
    return _class(written)


def contradicts(kind: type | None, given: Any) -> bool:
    """Whether what is of the type ``given`` can be no instance of a class.

    Only where both are classes, neither of which is a subclass of the other. Two of one name may be
    the same one twice: imported again, with other parameters, or another in whose place this was
    found.
    """
    known = _class(given)
    if kind is None or known is None or _bare(kind) == _bare(known):
        return False
    if issubclass(kind, _NUMBERS) and issubclass(known, _NUMBERS):
        return False
    try:
        return not (issubclass(known, kind) or issubclass(kind, known))
    except Exception:  # noqa: BLE001  # a class that answers in its own way
        return False


def _class(written: Any) -> type | None:
    """A class, or that of a parametrised one; None for unions, protocols and all that is none."""
    while get_origin(written) is Annotated:
        written = get_args(written)[0]
    kind = get_origin(written) or written
    if is_typeddict(kind):
        return dict
    if any(kind is each for each in _NO_CLASSES) or not isinstance(kind, type):
        return None
    return None if getattr(kind, "_is_protocol", False) else kind


def _bare(kind: type) -> str:
    return kind.__name__.partition("[")[0]


def _decorates(function: Any) -> bool:
    function = _whole(function)
    return hasattr(function, "__wrapped__") or hasattr(_annotated(function), "__wrapped__")


def _annotated(function: Any) -> Any:
    """What has the annotations of an object that can be called."""
    function = _whole(function)
    return function if inspect.isroutine(function) else type(function).__call__


def _whole(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function
