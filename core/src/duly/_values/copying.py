"""Values that can be copied and pickled although their mappings are read-only."""

from types import MappingProxyType
from typing import Any

__all__ = ["Copyable"]


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
