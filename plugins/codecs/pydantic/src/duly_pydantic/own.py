"""Which types are pydantic's own."""

from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.dataclasses import is_pydantic_dataclass

__all__ = ["is_own"]


def is_own(kind: Any, seen: tuple[Any, ...] = ()) -> bool:
    """Whether a type is, or is made of, a model or a dataclass of pydantic.

    ``list[Model]`` and ``Model | None`` are. A plain class with a field that is a model is not, as
    plain classes are core's.
    """
    if any(kind is each for each in seen):  # an alias that names itself
        return False
    origin = get_origin(kind)
    for each in (kind, origin):
        if isinstance(each, type) and (issubclass(each, BaseModel) or is_pydantic_dataclass(each)):
            return True
    parts = get_args(kind)[:1] if origin is Annotated else get_args(kind)
    # A NewType, and since 3.12 an alias of a type.
    named = [getattr(kind, name, None) for name in ("__supertype__", "__value__")]
    return any(is_own(each, (*seen, kind)) for each in (*parts, *named))
