"""Shapes of what holds other values: lists, tuples, dictionaries and dataclasses."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from duly._events.shapes import SINGLE, Misfit, Shape
from duly._values.plain import encodable

__all__ = ["ANYTHING", "array", "dictionary", "record"]

Way = Callable[[Any], Any]
"""Writes or reads a value of one shape."""


def array(container: type, shapes: Sequence[Shape], *, more: bool) -> Shape:
    """A list, or a tuple: of so many values, or with ``more`` any number of one shape."""
    wanted = f"a {container.__name__}" + ("" if more else f" of {len(shapes)}")

    def each(kind: Any, ways: Sequence[Way], values: Any) -> list[Any]:
        if type(values) is not kind or not (more or len(values) == len(ways)):
            raise Misfit(wanted)
        made: list[Any] = []
        try:
            for way, value in zip([*ways] * len(values) if more else ways, values, strict=True):
                made.append(way(value))
        except Misfit as misfit:
            raise Misfit(misfit.wanted, f"[{len(made)}]", *misfit.path) from None
        return made

    plains, reads = [each.plain for each in shapes], [each.value for each in shapes]
    return Shape(
        frozenset({"array"}),
        lambda value: each(container, plains, value),
        lambda plain: container(each(list, reads, plain)),
    )


def dictionary(item: Shape) -> Shape:
    """A dictionary whose keys are texts."""

    def each(way: Way, values: Any) -> dict[str, Any]:
        if type(values) is not dict:
            raise Misfit("a dictionary")
        if not all(type(key) is str and encodable(key) for key in values):
            raise Misfit("a dictionary whose keys are text")
        try:
            return {key: way(value) for key, value in values.items()}
        except Misfit as misfit:
            # A key is somebody's data.
            raise Misfit(misfit.wanted, "[...]", *misfit.path) from None

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
        return _done((name, each.plain, getattr(value, name)) for name, each in fields.items())

    def value(plain: Any) -> Any:
        if type(plain) is not dict:
            raise Misfit(wanted)
        for name in needed:
            if name not in plain:
                raise Misfit("there", f".{name}")
        given = _done(
            (name, each.value, plain[name]) for name, each in fields.items() if name in plain
        )
        return kind(**given)

    return Shape(frozenset({"object"}), plain, value)


def _done(several: Iterable[tuple[str, Way, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    name = ""
    try:
        for name, way, value in several:
            made[name] = way(value)
    except Misfit as misfit:
        raise Misfit(misfit.wanted, f".{name}", *misfit.path) from None
    return made


def _anything() -> Shape:
    """Any value that is plain JSON; as a tuple would be read as a list, it is none."""

    def same(value: Any) -> Any:
        way = ways.get(type(value))
        if way is None:
            raise Misfit("a value that JSON has, as a dict, a list or a str")
        return way(value)

    kinds = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
    # What is read is looked at too: JSON can hold half characters, and numbers that are infinite.
    whole = Shape(kinds, same, same)
    ways: Mapping[type, Way] = {
        **{each: SINGLE[each].plain for each in (type(None), bool, int, float, str)},
        dict: dictionary(whole).plain,
        list: array(list, [whole], more=True).plain,
    }
    return whole


ANYTHING: Final = _anything()
"""Whatever JSON can hold."""
