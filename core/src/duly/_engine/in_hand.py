"""Batches in hand: outcomes are gathered here until the store hears of them.

A batch is settled when each of its claims has an outcome, in part a moment earlier when the rest
takes longer. Settlements line up and travel with the next claim.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from duly._engine.settlements import burials_of, without_end
from duly._engine.weight import Weight
from duly._plugins.registry import Plugins
from duly._telemetry.logging import get_logger
from duly._telemetry.observed import ObservedBatch, ObservedSettlement
from duly.hookspecs import Delivery, MissedFires
from duly.recovery import Failure, Verdict
from duly.store import Claim, Key, Settle, Settlement, Token

__all__ = ["Hand", "Hands", "Settling"]

_EARLY: Final = 0.05  # seconds after which the part of a batch that is done is settled by itself
_AGAIN: Final = 1.0  # seconds until what a part of the store has not answered is sent again

log = get_logger()


class Hand:
    """One batch in hand: what was claimed under one token and is not settled yet."""

    __slots__ = (
        "bytes", "deliveries", "done", "done_since", "exceptions", "failures", "keep_until", "left",
        "lingering", "missed", "observed", "suspect", "token", "verdicts", "withdrawn",
    )  # fmt: skip

    def __init__(
        self, token: Token, size: int, weight: int, keep_until: float, *, suspect: bool
    ) -> None:
        self.token = token
        self.left = size  # claims without an outcome
        self.bytes = weight  # of their payloads
        self.lingering = 0  # of them, those whose publish has timed out and cannot be stopped
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
            self.observed.remember_attempts(self.exceptions)
            observed = self.observed.settling(
                self.done, self.exceptions, self.failures, self.missed, last=not self.left
            )
        settling = Settling(
            self, settle, self.deliveries, self.failures, self.verdicts, self.missed, observed
        )
        self._forget()
        return settling

    def _forget(self) -> None:
        self.done: list[Key] = []
        self.done_since = 0.0
        self.exceptions: dict[Key, Settlement] = {}
        self.deliveries: list[Delivery] = []
        self.failures: list[Failure] = []
        self.verdicts: list[Verdict] = []  # on each of them
        self.missed: list[MissedFires] = []


class Settling(NamedTuple):
    """A settlement on its way, and what to tell the observers once the store has agreed."""

    hand: Hand
    settle: Settle
    deliveries: Sequence[Delivery]
    failures: Sequence[Failure]
    verdicts: Sequence[Verdict]
    missed: Sequence[MissedFires]
    observed: ObservedSettlement | None

    @property
    def last(self) -> bool:
        """Whether it ends the batch."""
        return self.settle.only is None


class Hands:
    """All batches in hand, up to ``most_bytes``; ``wake`` is called when one is to be settled."""

    def __init__(self, plugins: Plugins, wake: Callable[[], None], *, most_bytes: int) -> None:
        self.tells_ends = False  # whether the store is told where a series ends
        self._plugins = plugins
        self._wake = wake
        self._clock = asyncio.get_running_loop().time
        self._waiting: list[Settling] = []
        self._unanswered: set[Token] = set()
        self._put_off: list[Settling] = []
        self._again_at = 0.0  # when those are sent again, in loop time
        self._weight = Weight(most_bytes)
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

    def room(self, coming: int = 0) -> int:
        """How many messages to claim at most; ``coming`` bytes are claimed and not in hand yet."""
        return self._weight.room(coming + self._bytes)

    def spare(self, waiting: int) -> int:
        """How many of those in hand may merely wait here, so that half of the bytes stay free."""
        number = sum(hand.left - hand.lingering for hand in self.held.values())
        return max(0, self._weight.fit(self._bytes, number) - (number - waiting))

    @property
    def _bytes(self) -> int:
        return sum(hand.bytes for hand in self.held.values())

    def take_up(
        self, token: Token, claims: Sequence[Claim], keep_until: float, *, suspect: bool
    ) -> Hand:
        """These claims are in hand from now on."""
        weight = self._weight.weigh(claims)
        hand = Hand(token, len(claims), weight, keep_until, suspect=suspect)
        self.held[token] = hand
        self.some.set()
        return hand

    def drop(self, token: Token) -> None:
        """A batch that could not be taken up after all is left to lapse."""
        self.held.pop(token, None)
        if not self.held:
            self.some.clear()

    def end(self, hand: Hand, claim: Claim, settlement: Settlement | None) -> None:
        """One claim of a batch has its outcome; None: to be deleted."""
        key = claim.key
        if settlement is not None and not self.tells_ends:
            settlement = without_end(settlement)
        if settlement is not None:
            hand.exceptions[key] = settlement
        if not hand.done:
            hand.done_since = self._clock()
        hand.done.append(key)
        hand.left -= 1
        hand.bytes -= len(claim.message.payload)
        if not hand.left:
            self._waiting.append(hand.settling())
            self._wake()
        elif self.starved:
            self._wake()

    def tick(self, *, early: float = _EARLY) -> None:
        """Call this some twenty times a second: settles parts that have been done a while.

        ``early`` is that while, in seconds. What was put off comes back when it is time.
        """
        now = self._clock()
        if self._put_off and self._again_at <= now:
            self._waiting[:0], self._put_off = self._put_off, []
            self._wake()
        latest = now - early
        for hand in self.held.values():
            if hand.left and hand.done and hand.done_since <= latest:
                self._waiting.append(hand.settling())
                self._wake()

    def take_waiting(self) -> list[Settling]:
        """The settlements that are waiting, to be sent now; follow up with one of the next two."""
        settling, self._waiting = self._waiting, []
        if self._put_off:  # a batch is settled in order: what follows is put off as well
            late = {each.hand.token for each in self._put_off}
            self._put_off += [each for each in settling if each.hand.token in late]
            settling = [each for each in settling if each.hand.token not in late]
        return settling

    def unanswered(self, settling: Sequence[Settling], error: BaseException, sent: float) -> None:
        """Nobody knows whether the store settled what was ``sent`` then: it is sent again."""
        self._waiting[:0] = settling
        for each in settling:
            if each.observed is not None:
                each.observed.unanswered(sent, error)
        self._unanswered.update(each.hand.token for each in settling)

    def answered(
        self, settling: Sequence[Settling], outcomes: Sequence[bool | None], sent: float
    ) -> None:
        """Take the answers to what was ``sent`` then, and tell observers what the store agreed to.

        A settlement without an answer is put off, and sent again.
        """
        for each, agreed in zip(settling, outcomes, strict=True):
            token = each.hand.token
            if agreed is None:
                self._put_off_for_now(each)
                continue
            # After an unanswered try the lease may be over because that try was carried out.
            repeated = token in self._unanswered
            if not agreed:
                log.warning("lease_lost", repeated=repeated)
            if each.observed is not None:
                each.observed.answered(sent, agreed=agreed, repeated=repeated)
            if agreed and each.deliveries:
                self._plugins.tell("duly_delivered", deliveries=each.deliveries)
            if agreed and each.failures:
                self._tell_failed(each)
            if agreed and each.missed:
                self._tell_missed(each.missed)
            if each.last:
                self.held.pop(token, None)
                self._unanswered.discard(token)
        if not self.held:
            self.some.clear()

    def _put_off_for_now(self, settling: Settling) -> None:
        if not self._put_off:
            self._again_at = self._clock() + _AGAIN
        if not self._unanswered:  # once, not for each batch and each try
            log.warning("settlement_put_off", reason="a part of the store does not answer")
        self._put_off.append(settling)
        self._unanswered.add(settling.hand.token)

    def _tell_failed(self, settling: Settling) -> None:
        failures, verdicts = settling.failures, settling.verdicts
        self._plugins.tell("duly_failed", failures=failures, verdicts=verdicts)
        if burials := burials_of(failures, verdicts):
            self._plugins.tell("duly_buried", burials=burials)

    def _tell_missed(self, missed: Sequence[MissedFires]) -> None:
        log.warning(
            "fires_missed",
            fires=sum(each.count for each in missed),
            series=len(missed),
            message_id=missed[0].message.id,
        )
        self._plugins.tell("duly_missed", missed=missed)
