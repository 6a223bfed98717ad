"""What an open store has."""

from typing import Self

import attrs

from duly_mongo.claiming import Claimer
from duly_mongo.namespace import Namespace
from duly_mongo.usable import Usable
from duly_mongo.wakeups import Watcher

__all__ = ["Parts"]


@attrs.frozen
class Parts:
    """The namespace, and those who remember something about it."""

    space: Namespace
    claimer: Claimer
    watcher: Watcher
    usable: Usable

    @classmethod
    def over(cls, space: Namespace) -> Self:
        """The parts of a store over a namespace."""
        return cls(space, Claimer(space), Watcher(space), Usable(space))
