"""Shapes of what holds other values, and the shape that a type annotation means."""

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from duly._events.shapes import SINGLE, Misfit, Shape, choice, one_of
from duly._values.plain import encodable

__all__ = ["shape_of"]

_PYDANTIC: Final = "__pydantic_core_schema__"  # what its dataclasses have, which check more

Known = dict[type, Shape]
"""The dataclasses met on the way, as one may hold itself."""


def shape_of(kind: Any, known: Known | None = None) -> Shape | None:  # noqa: PLR0911  # one a kind of type
    """What values of a type look like in JSON; None: they are not plain.

    Raises:
        NameError: an annotation of a dataclass names what cannot be found.
    """
    known = {} if known is None else known
    if kind in (Any, object):
        return _ANYTHING
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return shape_of(arguments[0], known)
    named = getattr(kind, "__supertype__", None) or getattr(kind, "__value__", None)
    if named is not None and not isinstance(kind, type):  # NewType, and since 3.12 an alias
        return shape_of(named, known)
    if origin is Literal:
        wanted = f"one of {', '.join(map(repr, arguments))}"
        return choice(wanted, [(each, each) for each in arguments])
    if origin in (Union, types.UnionType):
        members = _shapes(arguments, known)
        return None if members is None else one_of(members)
    container = kind if origin is None else origin
    if container in (list, dict, tuple):
        return _container(container, arguments, known)
    if not isinstance(kind, type):
        return None
    if issubclass(kind, Enum):
        return choice(f"one of {kind.__name__}", [(each, each.value) for each in kind])
    if dataclasses.is_dataclass(kind) and not hasattr(kind, _PYDANTIC):
        return known[kind] if kind in known else _dataclass(kind, known)
    return SINGLE.get(kind)


def _shapes(kinds: Sequence[Any], known: Known) -> list[Shape] | None:
    shapes = [shape_of(each, known) for each in kinds]
    return None if None in shapes else [shape for shape in shapes if shape is not None]


def _container(container: Any, arguments: tuple[Any, ...], known: Known) -> Shape | None:
    if container is dict:
        key, item = arguments or (str, Any)
        shape = shape_of(item, known)
        return _dict(shape) if key is str and shape is not None else None
    more = container is list or not arguments or arguments[-1] is Ellipsis
    kinds = (arguments or (Any,))[:1] if more else () if arguments == ((),) else arguments
    shapes = _shapes(kinds, known)
    return None if shapes is None else _array(container, shapes, more=more)


def _array(container: type, shapes: Sequence[Shape], *, more: bool) -> Shape:
    """A list, or a tuple: of so many values, or with ``more`` any number of one shape."""
    wanted = f"a {container.__name__}" + ("" if more else f" of {len(shapes)}")

    def each(kind: Any, of: str, values: Any) -> list[Any]:
        if not isinstance(values, kind) or not (more or len(values) == len(shapes)):
            raise Misfit(wanted)
        items = [*shapes] * len(values) if more else shapes
        return [
            _within(f"[{place}]", getattr(item, of), value)
            for place, (item, value) in enumerate(zip(items, values, strict=True))
        ]

    return Shape(
        frozenset({"array"}),
        lambda value: each(container, "plain", value),
        lambda plain: container(each(list, "value", plain)),
    )


def _dict(item: Shape) -> Shape:
    """A dictionary whose keys are texts."""

    def each(of: Callable[[Any], Any], values: Any) -> dict[str, Any]:
        if not isinstance(values, dict):
            raise Misfit("a dictionary")
        if not all(type(key) is str and encodable(key) for key in values):
            raise Misfit("a dictionary whose keys are text")
        return {key: _within("[...]", of, value) for key, value in values.items()}

    return Shape(
        frozenset({"object"}),
        lambda value: each(item.plain, value),
        lambda plain: each(item.value, plain),
    )


def _dataclass(kind: type, known: Known) -> Shape | None:
    """A dataclass as a JSON object; fields that a reader does not know are passed over."""
    fields: dict[str, Shape] = {}
    wanted = f"a {kind.__qualname__}"

    def plain(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise Misfit(wanted)
        return {
            name: _within(f".{name}", shape.plain, getattr(value, name))
            for name, shape in fields.items()
        }

    def value(plain: Any) -> Any:
        if not isinstance(plain, dict):
            raise Misfit(wanted)
        for name in needed:
            if name not in plain:
                raise Misfit("there", f".{name}")
        given = {
            name: _within(f".{name}", shape.value, plain[name])
            for name, shape in fields.items()
            if name in plain
        }
        return kind(**given)

    known[kind] = whole = Shape(frozenset({"object"}), plain, value)
    hints = get_type_hints(kind, include_extras=True)
    needed = []
    for field in dataclasses.fields(kind):
        shape = shape_of(hints[field.name], known) if field.init else None
        if shape is None:
            del known[kind]
            return None
        fields[field.name] = shape
        if field.default is field.default_factory is dataclasses.MISSING:
            needed.append(field.name)
    return whole


def _within(place: str, of: Callable[[Any], Any], value: Any) -> Any:
    try:
        return of(value)
    except Misfit as misfit:
        raise Misfit(misfit.wanted, place, *misfit.path) from None


def _anything() -> Shape:
    """Any value that is plain JSON."""

    def plain(value: Any) -> Any:
        shape = containers.get(type(value)) or _JSON.get(type(value))
        if shape is None:
            raise Misfit("a value that JSON can hold")
        return shape.plain(value)

    kinds = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
    whole = Shape(kinds, plain, lambda plain: plain)
    containers: Mapping[type, Shape] = {
        dict: _dict(whole),
        list: _array(list, [whole], more=True),
        tuple: _array(tuple, [whole], more=True),
    }
    return whole


_PLAIN: Final = (type(None), bool, int, float, str)
_JSON: Final[Mapping[type, Shape]] = {each: SINGLE[each] for each in _PLAIN}
_ANYTHING: Final = _anything()
