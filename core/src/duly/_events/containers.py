"""Shapes of what holds other values: lists, tuples, dictionaries and dataclasses."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from duly._events.shapes import SINGLE, Misfit, Shape
from duly._values.plain import encodable

__all__ = ["ANYTHING", "array", "dictionary", "record"]


def array(container: type, shapes: Sequence[Shape], *, more: bool) -> Shape:
    """A list, or a tuple: of so many values, or with ``more`` any number of one shape."""
    wanted = f"a {container.__name__}" + ("" if more else f" of {len(shapes)}")

    def each(kind: Any, of: str, values: Any) -> list[Any]:
        if type(values) is not kind or not (more or len(values) == len(shapes)):
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


def dictionary(item: Shape) -> Shape:
    """A dictionary whose keys are texts."""

    def each(of: Callable[[Any], Any], values: Any) -> dict[str, Any]:
        if type(values) is not dict:
            raise Misfit("a dictionary")
        if not all(type(key) is str and encodable(key) for key in values):
            raise Misfit("a dictionary whose keys are text")
        return {key: _within("[...]", of, value) for key, value in values.items()}

    return Shape(
        frozenset({"object"}),
        lambda value: each(item.plain, value),
        lambda plain: each(item.value, plain),
    )


def record(kind: type, fields: Mapping[str, Shape], needed: Collection[str]) -> Shape:
    """An object of a dataclass; fields that a reader does not know are passed over."""
    wanted = f"a {kind.__qualname__}"

    def plain(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise Misfit(wanted)
        return {
            name: _within(f".{name}", shape.plain, getattr(value, name))
            for name, shape in fields.items()
        }

    def value(plain: Any) -> Any:
        if type(plain) is not dict:
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

    return Shape(frozenset({"object"}), plain, value)


def _within(place: str, of: Callable[[Any], Any], value: Any) -> Any:
    try:
        return of(value)
    except Misfit as misfit:
        raise Misfit(misfit.wanted, place, *misfit.path) from None


def _anything() -> Shape:
    """Any value that is plain JSON; as a tuple would be read as a list, it is none."""

    def same(value: Any) -> Any:
        shape = containers.get(type(value)) or _JSON.get(type(value))
        if shape is None:
            raise Misfit("a value that JSON has, as a dict, a list or a str")
        return shape.plain(value)

    kinds = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
    # What is read is looked at too: JSON can hold half characters, and numbers that are infinite.
    whole = Shape(kinds, same, same)
    containers: Mapping[type, Shape] = {
        dict: dictionary(whole),
        list: array(list, [whole], more=True),
    }
    return whole


_PLAIN: Final = (type(None), bool, int, float, str)
_JSON: Final[Mapping[type, Shape]] = {each: SINGLE[each] for each in _PLAIN}
ANYTHING: Final = _anything()
"""Whatever JSON can hold."""
