"""The decorator for a function of a typed event, as type checkers see it."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar, overload

from duly.transport import Envelope

__all__ = ["Typed"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Typed(Protocol[T]):
    """Takes a function of the payload, the envelope, both in that order, or nothing."""

    @overload
    def __call__(self, function: Callable[[], R], /) -> Callable[[], R]: ...

    @overload
    def __call__(self, function: Callable[[Envelope], R], /) -> Callable[[Envelope], R]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[T, P], R], /
    ) -> Callable[Concatenate[T, P], R]: ...
