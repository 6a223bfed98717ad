"""Batches in hand: outcomes are gathered here until the store hears of them.

A batch is settled when each of its claims has an outcome, in part a moment earlier when the rest
takes longer. Settlements line up and travel with the next claim.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from duly._logging import get_logger
from duly._observed import ObservedBatch, ObservedSettlement
from duly._plugins import Plugins
from duly.hookspecs import Delivery
from duly.recovery import Failure
from duly.store import Key, Settle, Settlement, Token

__all__ = ["Hand", "Hands", "Settling"]

_EARLY: Final = 0.05  # seconds after which the part of a batch that is done is settled by itself

log = get_logger()


class Hand:
    """One batch in hand: what was claimed under one token and is not settled yet."""

    __slots__ = (
        "deliveries", "done", "done_since", "exceptions", "failures", "keep_until", "left",
        "observed", "suspect", "token", "withdrawn",
    )  # fmt: skip

    def __init__(self, token: Token, size: int, keep_until: float, *, suspect: bool) -> None:
        self.token = token
        self.left = size  # claims without an outcome
        self.keep_until = keep_until  # until when the lease is certain, in loop time
        self.suspect = suspect
        self.observed: ObservedBatch | None = None  # where telemetry is wanted
        self.withdrawn: Collection[Key] = ()  # cancelled or replaced while in hand
        self._forget()

    def settling(self) -> "Settling":
        """What to tell the store, and the observers after it, of the outcomes so far."""
        settle = Settle(self.token, self.exceptions, self.done if self.left else None)
        observed = None
        if self.observed is not None:
            observed = self.observed.settling(
                self.done, self.exceptions, self.failures, last=not self.left
            )
        settling = Settling(self, settle, self.deliveries, self.failures, observed)
        self._forget()
        return settling

    def _forget(self) -> None:
        self.done: list[Key] = []
        self.done_since = 0.0
        self.exceptions: dict[Key, Settlement] = {}
        self.deliveries: list[Delivery] = []
        self.failures: list[Failure] = []


class Settling(NamedTuple):
    """A settlement on its way, and what to tell the observers once the store has agreed."""

    hand: Hand
    settle: Settle
    deliveries: Sequence[Delivery]
    failures: Sequence[Failure]
    observed: ObservedSettlement | None

    @property
    def last(self) -> bool:
        """Whether it ends the batch."""
        return self.settle.only is None


class Hands:
    """All batches in hand; ``wake`` is called when there is something to settle."""

    def __init__(self, plugins: Plugins, wake: Callable[[], None]) -> None:
        self._plugins = plugins
        self._wake = wake
        self._clock = asyncio.get_running_loop().time
        self._waiting: list[Settling] = []
        self._unanswered: set[Token] = set()
        self.held: dict[Token, Hand] = {}
        self.some = asyncio.Event()
        """Set while there is a batch in hand."""
        self.starved = False
        """Whether to wake also for every single outcome, because the loop waits for room."""

    @property
    def to_settle(self) -> bool:
        """Whether a settlement is waiting."""
        return bool(self._waiting)

    @property
    def suspect(self) -> bool:
        """Whether a suspect is out and not about to be settled."""
        return any(hand.suspect and hand.left for hand in self.held.values())

    def take_up(self, token: Token, size: int, keep_until: float, *, suspect: bool) -> Hand:
        """A batch of so many claims is in hand from now on."""
        hand = self.held[token] = Hand(token, size, keep_until, suspect=suspect)
        self.some.set()
        return hand

    def end(self, hand: Hand, key: Key, settlement: Settlement | None) -> None:
        """One claim of a batch has its outcome; None: to be deleted."""
        if settlement is not None:
            hand.exceptions[key] = settlement
        if not hand.done:
            hand.done_since = self._clock()
        hand.done.append(key)
        hand.left -= 1
        if not hand.left:
            self._waiting.append(hand.settling())
            self._wake()
        elif self.starved:
            self._wake()

    def tick(self) -> None:
        """To be called some twenty times a second: settle parts that have been done a while."""
        latest = self._clock() - _EARLY
        for hand in self.held.values():
            if hand.left and hand.done and hand.done_since <= latest:
                self._waiting.append(hand.settling())
                self._wake()

    def take_waiting(self) -> list[Settling]:
        """The settlements that are waiting, to be sent now; follow up with one of the next two."""
        settling, self._waiting = self._waiting, []
        return settling

    def unanswered(self, settling: Sequence[Settling]) -> None:
        """Nobody knows whether the store has settled these: they are sent again."""
        self._waiting[:0] = settling
        self._unanswered.update(each.hand.token for each in settling)

    def answered(self, settling: Sequence[Settling], outcomes: Sequence[bool], sent: float) -> None:
        """Take the answers to what was sent then, and tell the observers of what was agreed to."""
        for each, agreed in zip(settling, outcomes, strict=True):
            token = each.hand.token
            # After an unanswered try the lease may be over because that try was carried out.
            repeated = token in self._unanswered
            if not agreed:
                log.warning("lease_lost", repeated=repeated)
            if each.observed is not None:
                each.observed.answered(sent, agreed=agreed, repeated=repeated)
            if agreed and each.deliveries:
                self._plugins.tell("duly_delivered", deliveries=each.deliveries)
            if agreed and each.failures:
                self._plugins.tell("duly_failed", failures=each.failures)
            if each.last:
                self.held.pop(token, None)
                self._unanswered.discard(token)
        if not self.held:
            self.some.clear()
