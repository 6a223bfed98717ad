"""What becomes of a claim that is not delivered: by recovery, or without asking it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from duly._engine.controls import Controls
from duly._engine.in_hand import Hand, Hands
from duly._engine.settlements import (
    after_interruption,
    after_missed,
    after_postponement,
    after_verdict,
)
from duly._engine.store_time import StoreTime
from duly._engine.tracebacks import Tracebacks
from duly._plugins.registry import Plugins
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly._values.spoken import exact
from duly.errors import Expired, Postpone
from duly.recovery import Failure, Policy, Retry, Verdict
from duly.store import Batch, Claim

__all__ = ["MOST_POSTPONED", "WHEN_UNDECIDED", "Verdicts"]

MOST_POSTPONED: Final = 100
"""Times that a delivery may be postponed before that counts as a failed attempt."""

WHEN_UNDECIDED: Final = 10.0
"""Seconds for which to put back a message about which the decision failed."""

_SOONEST: Final = timedelta(milliseconds=10)

log = get_logger()


class Verdicts:
    """Gives claims outcomes other than a delivery. ``now`` is the store's time.

    ``own_policy`` gives the policy that an event name has of its own, or None.
    """

    def __init__(
        self,
        plugins: Plugins,
        policy: Policy,
        own_policy: Callable[[str], Policy | None],
        hands: Hands,
        time: StoreTime,
        *,
        controls: Controls,
    ) -> None:
        self._plugins = plugins
        self._policy = policy
        self._own_policy = own_policy
        self._hands = hands
        self._time = time
        self._controls = controls
        self._tracebacks = Tracebacks()

    def decided(self, hand: Hand, claim: Claim, now: datetime) -> bool:
        """Whether a claim gets its outcome without a publish: paused, lapsed, missed or expired."""
        left = hand.left
        try:
            pause = self._controls.held_for(claim.message.event_name)
            if pause is not None:
                self.release(hand, claim, pause)
                return True
            if claim.lapses and self._lapsed(hand, claim):
                return True
            return self.missed(hand, claim, now) or self.expired(hand, claim, now)
        except BaseException:  # or this claim would never end and the rest never be submitted
            log.exception("outcome_failed", message_id=claim.message.id)
            if hand.left == left:
                self.release(hand, claim, WHEN_UNDECIDED)
            return True

    def probe(self, hand: Hand, batch: Batch, only: int) -> Claim | None:
        """The one of a batch that is to be published in an outage, if any; all others end here."""
        probe: Claim | None = None
        at = only if only <= len(batch.claims) else 1
        for claim in (*batch.claims[:at][::-1], *batch.claims[at:]):
            if only and probe is None:
                if not self.decided(hand, claim, batch.now):
                    probe = claim
            elif not self.missed(hand, claim, batch.now):
                self.release(hand, claim)
        return probe

    def missed(self, hand: Hand, claim: Claim, now: datetime) -> bool:
        """Whether a fire was missed, so that its series goes on with a later one."""
        if claim.lapses:
            return False
        missed = after_missed(claim.message, now, self._time.punctual())
        if missed is None:
            return False
        hand.missed.append(missed[0])
        self._hands.end(hand, claim, missed[1])
        return True

    def expired(self, hand: Hand, claim: Claim, now: datetime) -> bool:
        """Whether a message has expired; recovery is asked what then."""
        expires_at = claim.message.expires_at
        if expires_at is None or now < expires_at:
            return False
        self.fail(hand, claim, Expired(f"expired at {exact(expires_at)}"))
        return True

    def release(self, hand: Hand, claim: Claim, pause: float = 0.0) -> None:
        """Put a message back, uncounted: at its place, or so many seconds later than now."""
        self._hands.end(hand, claim, after_interruption(claim, self._time.now(), pause))

    def postpone(self, hand: Hand, claim: Claim, error: Postpone) -> None:
        """Put a message back because it asked for that, uncounted unless it does so for ever."""
        if claim.message.postpone_count >= MOST_POSTPONED:
            self.fail(hand, claim, error)
            return
        after = max(error.after, _SOONEST)
        self._hands.end(hand, claim, after_postponement(claim.message, self._time.now(), after))

    def fail(self, hand: Hand, claim: Claim, error: Exception) -> None:
        """Decide what becomes of the message of a claim that has failed."""
        failure = self._failure(claim, error)
        self._carry_out(self._recovered(failure), failure, hand, claim)

    def _lapsed(self, hand: Hand, claim: Claim) -> bool:
        """Whether a claim whose holder died before has its outcome without a publish."""
        failure = self._failure(claim, None)
        verdict = self._recovered(failure)
        if isinstance(verdict, Retry) and not verdict.after:
            return False
        self._carry_out(verdict, failure, hand, claim)
        return True

    def _recovered(self, failure: Failure) -> Verdict:
        own = self._own_policy(failure.message.event_name)
        policies = (self._policy,) if own is None else (own, self._policy)
        return self._plugins.recover(failure, *policies)

    def _carry_out(self, verdict: Verdict, failure: Failure, hand: Hand, claim: Claim) -> None:
        log.warning(
            "delivery_failed",
            message_id=failure.message.id,
            event_name=failure.message.event_name,
            attempt=failure.attempt,
            lapses=failure.lapses,
            error="claimant died" if failure.error is None else error_text(failure.error),
            verdict=type(verdict).__name__.lower(),
        )
        if failure.error is not None:
            self._tracebacks.tell(
                failure.error,
                message_id=failure.message.id,
                event_name=failure.message.event_name,
            )
        hand.failures.append(failure)
        hand.verdicts.append(verdict)
        self._hands.end(hand, claim, after_verdict(failure, verdict))

    def _failure(self, claim: Claim, error: Exception | None) -> Failure:
        """``error`` None: the attempt that failed was the one before this claim."""
        attempt = claim.message.retry_count + claim.lapses + (error is not None)
        return Failure(
            message=claim.message,
            error=error,
            attempt=attempt,
            lapses=claim.lapses,
            now=self._time.now(),
        )
