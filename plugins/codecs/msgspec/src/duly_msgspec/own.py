"""Which types are msgspec's own, and which it cannot check."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, get_args, get_origin, is_typeddict

import msgspec

__all__ = ["is_own", "unchecked"]

_PYDANTIC: Final = "__pydantic_core_schema__"  # what its models and dataclasses have


def is_own(kind: Any) -> bool:
    """Whether a type is, or is made of, a Struct, an attrs class, a TypedDict or a NamedTuple.

    ``list[Struct]`` and ``Struct | None`` are. A plain class with a field that is a Struct is not,
    as plain classes are core's; nothing with a model of pydantic is.
    """
    leaves = list(_leaves(kind, ()))
    return any(map(_is_own, leaves)) and not any(hasattr(each, _PYDANTIC) for each in leaves)


def unchecked(kind: Any) -> type | None:
    """A class somewhere in a type that msgspec would take unchecked; None: there is none.

    Raises:
        TypeError: msgspec cannot read such a type at all, as unions that cannot be told apart.
    """
    waiting, seen = [msgspec.inspect.type_info(kind)], set[int]()
    while waiting:
        part: Any = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, tuple):
            waiting += part
        elif isinstance(part, msgspec.inspect.Type | msgspec.inspect.Field):
            own = getattr(part, "cls", None)
            if isinstance(part, msgspec.inspect.CustomType) or hasattr(own, _PYDANTIC):
                return own
            waiting += [getattr(part, name) for name in part.__struct_fields__]
    return None


def _leaves(kind: Any, seen: tuple[Any, ...]) -> Iterator[Any]:
    if any(kind is each for each in seen):  # an alias that names itself
        return
    origin, parts = get_origin(kind), get_args(kind)
    yield from (each for each in (kind, origin) if isinstance(each, type))
    # A NewType, and since 3.12 an alias of a type.
    named = [getattr(kind, name, None) for name in ("__supertype__", "__value__")]
    for each in (*(parts[:1] if origin is Annotated else parts), *named):
        if each is not None:
            yield from _leaves(each, (*seen, kind))


def _is_own(kind: type) -> bool:
    return (
        issubclass(kind, msgspec.Struct)
        or hasattr(kind, "__attrs_attrs__")
        or is_typeddict(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )
