"""Values that can be copied and pickled, although mappings are read-only and versions differ."""

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

__all__ = ["Copyable", "Growing"]


class Copyable:
    """Lends what :mod:`copy` and :mod:`pickle` need to classes that hold mapping proxies."""

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: dict(value) if isinstance(value, MappingProxyType) else value
            for name, value in list(self.__dict__.items())
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(
            (name, MappingProxyType(value) if isinstance(value, dict) else value)
            for name, value in state.items()
        )


class Growing:
    """Lends attrs classes with slots the default of a field that an older version's pickle lacks.

    While fields are added, hosts of two versions share queues and caches.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            field = attrs.fields_dict(type(self)).get(name)
            if field is None or field.default is attrs.NOTHING:
                text = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(text, name=name, obj=self)
            default = field.default
            return default.factory() if isinstance(default, attrs.Factory) else default
