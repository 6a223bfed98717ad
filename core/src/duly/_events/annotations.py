"""The shape that a type means: what its values look like in JSON."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from duly._events.containers import ANYTHING, array, dictionary, record
from duly._events.shapes import SINGLE, Shape, choice, one_of
from duly.errors import PluginError

__all__ = ["Known", "beneath", "shape_of"]

_PYDANTIC: Final = "__pydantic_core_schema__"  # what its dataclasses have, which check more

Known = dict[Any, Shape]
"""The dataclasses met on the way, as one may hold itself."""


def beneath(kind: Any) -> Any:
    """The type that is meant by an Annotated, a NewType or an alias."""
    while True:
        named = getattr(kind, "__supertype__", None) or getattr(kind, "__value__", None)
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif named is not None and not isinstance(kind, type):  # since 3.12 an alias
            kind = named
        else:
            return kind


def shape_of(kind: Any, known: Known) -> Shape | None:
    """What values of a type look like in JSON; None: they are not plain.

    Raises:
        PluginError: it holds a dataclass that cannot be made of its fields.
        NameError: an annotation of a dataclass names what cannot be found.
    """
    kind = beneath(kind)
    if kind in (Any, object):
        return ANYTHING
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        wanted = f"one of {', '.join(map(repr, arguments))}"
        return choice(wanted, [(each, each) for each in arguments])
    if origin in (Union, types.UnionType):
        members = _shapes(arguments, known)
        return None if members is None else one_of(members)
    container = kind if origin is None else origin
    if container in (list, dict, tuple):
        return _container(kind, container, known)
    return _class(kind, container, known) if isinstance(container, type) else None


def _class(kind: Any, made: type, known: Known) -> Shape | None:
    if issubclass(made, Enum):
        return choice(f"one of {made.__name__}", [(each, each.value) for each in made])
    if dataclasses.is_dataclass(made) and not hasattr(made, _PYDANTIC):
        return known[kind] if kind in known else _dataclass(kind, made, known)
    return SINGLE.get(kind)


def _shapes(kinds: Sequence[Any], known: Known) -> list[Shape] | None:
    shapes = [shape_of(each, known) for each in kinds]
    return None if None in shapes else [shape for shape in shapes if shape is not None]


def _container(kind: Any, container: Any, known: Known) -> Shape | None:
    arguments = get_args(kind)
    if any(getattr(each, "__unpacked__", False) for each in arguments):  # *tuple[int, ...]
        return None
    if container is dict:
        key, item = arguments or (str, Any)
        shape = shape_of(item, known)
        return dictionary(shape) if key is str and shape is not None else None
    bare = kind in (list, tuple, typing.List, typing.Tuple)  # noqa: UP006  # as people write it
    more = bare or container is list or arguments[-1:] == (...,)
    shapes = _shapes((Any,) if bare else arguments[:1] if more else arguments, known)
    return None if shapes is None else array(container, shapes, more=more)


def _dataclass(kind: Any, made: type, known: Known) -> Shape | None:
    hints = get_type_hints(made, include_extras=True)
    several = dataclasses.fields(made)
    if {*inspect.signature(made).parameters} != {field.name for field in several}:
        raise PluginError(
            f"{made.__qualname__} is not made of its fields alone: a field has init=False, there "
            "is an InitVar, or an __init__ of its own"
        )
    fields: dict[str, Shape] = {}
    needed = [
        field.name
        for field in several
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    parameters = getattr(made, "__parameters__", ())
    meant = dict(zip(parameters, get_args(kind), strict=False))
    known[kind] = whole = record(made, fields, needed)
    for field in several:
        shape = shape_of(_filled_in(hints[field.name], meant), known)
        if shape is None:
            return None
        fields[field.name] = shape
    return whole


def _filled_in(hint: Any, meant: Mapping[Any, Any]) -> Any:
    """An annotation of a generic dataclass, with what ``Box[int]`` says about its variables."""
    if isinstance(hint, typing.TypeVar):
        return meant.get(hint, hint)
    variables = getattr(hint, "__parameters__", ())
    if not variables or isinstance(hint, type):
        return hint
    return hint[tuple(meant.get(each, each) for each in variables)]
