"""Claims whose answer nobody got: what they took is asked for until it is back."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from duly.store import Token

__all__ = ["Lost"]

_MOST: Final = 1000  # a server that hangs cannot take so many connections


class Lost:
    """Those of one shard. Each may be carried out now, or when the server thaws."""

    def __init__(self) -> None:
        # Until when each may still be carried out, in loop time; None as long as the server has not
        # answered since: it may hang for longer than a lease.
        self._until: dict[Token, float | None] = {}

    def tokens(self) -> Sequence[Token]:
        """Those to ask for with the next claim."""
        return list(self._until)

    def add(self, token: Token) -> None:
        """One more."""
        if len(self._until) < _MOST:
            self._until[token] = None

    def heard(self, asked: Sequence[Token], found: Collection[Token], lease: timedelta) -> None:
        """The server has answered; a claim it does not know may still come for one lease."""
        now = asyncio.get_running_loop().time()
        for token in asked:
            until = self._until.get(token, 0.0)
            if token in found or (until is not None and until < now):
                self._until.pop(token, None)
            elif until is None:
                self._until[token] = now + lease.total_seconds()
