"""Settles whose answer got lost: a caller that asks again is told what became of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from duly.store import Settle, Token
from duly_mongo.namespace import Namespace
from duly_mongo.settling import settle

__all__ = ["Settler"]


class Settler:
    """Settles, and remembers which leases it ended for callers that got no answer."""

    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._untold: set[Token] = set()

    @asynccontextmanager
    async def settling(self, settles: Sequence[Settle]) -> AsyncIterator[Sequence[bool]]:
        """Do what settles say, in order; if the block ends well, the outcomes count as answered."""
        settled: list[bool] = []
        try:
            for each in settles:
                ended = each.token in self._untold or await settle(self._space, each)
                settled.append(ended)
            yield settled
        except BaseException:
            self.remember(settles, settled)
            raise
        self._untold -= {each.token for each in settles}

    def remember(self, settles: Sequence[Settle], settled: Sequence[bool | None]) -> None:
        """Note what was settled for a caller that got no answer and will ask again."""
        done = zip(settles, settled, strict=False)
        self._untold |= {each.token for each, ended in done if ended and each.only is None}
