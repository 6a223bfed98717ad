"""In what order: claim, publish, settle.

What becomes of a message is decided the moment its publish ends, or at once when it is not to be
published at all; :mod:`duly._hands` keeps that until the store hears of it.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from duly._calls import StoreCalls
from duly._claimed_job import ClaimedJob
from duly._hands import Hand, Hands
from duly._job import Interrupted, TimedOut
from duly._logging import get_logger
from duly._outage import Outage
from duly._outcomes import (
    after_interruption,
    after_missed,
    after_verdict,
    error_text,
    next_fire,
)
from duly._plugins import Plugins
from duly._store_time import StoreTime
from duly._telemetry import Telemetry
from duly._workers import Workers
from duly.errors import Expired, TransportUnavailable
from duly.hookspecs import Delivery
from duly.recovery import Failure, Policy, Retry, Verdict
from duly.store import SUSPECT_LAPSES, Batch, Claim, Token

__all__ = ["Deliveries"]

_LEASE_MARGIN: Final = 0.2  # seconds, at least; else a fifth of the lease

log = get_logger()


class Deliveries:
    """Takes messages from the store to the transport and tells the store what became of them.

    :meth:`claim` and :meth:`settle` are called on behalf of the loop, which ``wake`` wakes.
    """

    def __init__(
        self,
        calls: StoreCalls,
        workers: Workers,
        outage: Outage,
        plugins: Plugins,
        telemetry: Telemetry,
        *,
        owner: str,
        lease: timedelta,
        policy: Policy,
        one_by_one: bool,
        wake: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._workers = workers
        self.outage = outage
        self._plugins = plugins
        self._telemetry = telemetry
        self._owner = owner
        self._lease = lease
        self._certain = lease.total_seconds() - max(lease.total_seconds() / 5, _LEASE_MARGIN)
        self._policy = policy
        self._one_by_one = one_by_one
        self._clock = asyncio.get_running_loop().time
        self._observed = plugins.observed("duly_delivered")
        self._newer_seen = -math.inf  # loop time
        self.hands = Hands(plugins, wake)
        self.time = StoreTime()

    def keep_until(self, sent: float) -> float:
        """Until when a lease that was asked for at ``sent`` is certain, both in loop time."""
        return sent + self._certain

    def saw_newer(self, *, within: float) -> bool:
        """Whether records of a newer format came due in the last so many seconds."""
        return self._clock() - self._newer_seen <= within

    # --- claim and settle

    async def claim(self, limit: int, **more: Any) -> Batch:
        """Settle what is waiting, claim up to ``limit`` messages and submit them."""
        settling = self.hands.take_waiting()
        sent = self._clock()
        try:
            batch = await self._calls(
                self._calls.store.claim,
                limit=limit,
                lease=self._lease,
                owner=self._owner,
                suspects=not self.hands.suspect,
                settle=[each.settle for each in settling],
                **more,
            )
        except BaseException as error:
            self.hands.unanswered(settling)
            self._telemetry.failed("claim", error, sent)
            raise
        self.time.hear(batch.now, sent)
        self.hands.answered(settling, batch.settled, sent)
        for message in batch.unreadable:
            log.error("record_unreadable", message_id=message.id, reason=message.last_error)
            self._telemetry.count("buried", [message.event_name])
        if batch.newer:
            self._newer_seen = sent
            log.warning("records_newer", count=batch.newer)
        if batch.token is not None:
            self._submit(batch, batch.token, sent)
        return batch

    async def settle(self) -> bool:
        """Settle what is waiting, without a claim; whether there was anything."""
        settling = self.hands.take_waiting()
        if not settling:
            return False
        sent = self._clock()
        try:
            settles = [each.settle for each in settling]
            outcomes = await self._calls(self._calls.store.settle, settles)
        except BaseException as error:
            self.hands.unanswered(settling)
            self._telemetry.failed("delete", error, sent)
            raise
        self.hands.answered(settling, outcomes, sent)
        return True

    def _submit(self, batch: Batch, token: Token, sent: float) -> None:
        claims = batch.claims
        suspect = claims[0].lapses >= SUSPECT_LAPSES
        hand = self.hands.take_up(token, len(claims), self.keep_until(sent), suspect=suspect)
        if self._telemetry.active:
            hand.observed = self._telemetry.claimed(
                claims, sent, self.time, one_by_one=self._one_by_one
            )
        if self._plugins.observed("duly_claimed"):
            self._plugins.tell("duly_claimed", messages=[claim.message for claim in claims])
        jobs = []
        for claim in claims:
            message = claim.message
            plain = not claim.lapses and message.recurrence is None and message.expires_at is None
            if plain or not self._decided(hand, claim, batch.now):
                jobs.append(ClaimedJob(self, hand, claim))
        observed = hand.observed
        self._workers.submit(
            jobs if observed is None else [observed.job(job.claim, job) for job in jobs]
        )

    def _decided(self, hand: Hand, claim: Claim, now: datetime) -> bool:
        """Whether a claim gets its outcome without a publish."""
        if claim.lapses:
            failure = self._failure(claim, None)
            verdict = self._plugins.recover(failure, self._policy)
            if not isinstance(verdict, Retry) or verdict.after:
                self._carry_out(verdict, failure, hand, claim)
                return True
        else:
            missed, settlement = after_missed(claim.message, now)
            if missed:
                self.hands.end(hand, claim.key, settlement)
                return True
        return self._expired(hand, claim, now)

    def _expired(self, hand: Hand, claim: Claim, now: datetime) -> bool:
        expires_at = claim.message.expires_at
        if expires_at is None or now < expires_at:
            return False
        self._fail(hand, claim, Expired(f"expired at {expires_at.isoformat()}"))
        return True

    # --- publish

    def still_wanted(self, job: ClaimedJob, now: float) -> bool:
        """Whether a job whose turn it is may be published; it has its outcome otherwise."""
        hand, claim = job.hand, job.claim
        if now >= hand.keep_until:
            self.release(hand, claim)
            return False
        if claim.key in hand.withdrawn:
            self.hands.end(hand, claim.key, None)
            return False
        return not self._expired(hand, claim, self.time.now())

    def finish(self, job: ClaimedJob, receipt: str | None, error: Exception | None) -> None:
        """Decide what becomes of a message whose publish has ended."""
        hand, claim = job.hand, job.claim
        if error is None:
            if not self.outage.quiet:
                self.outage.accepted(claim.key, probe=job.probe)
            message = claim.message
            following = None if message.recurrence is None else next_fire(message)
            if self._observed:
                late = self.time.since(message.scheduled_at)
                hand.deliveries.append(Delivery(message=message, lateness=late, receipt=receipt))
            self.hands.end(hand, claim.key, following)
        elif isinstance(error, Interrupted):
            self.release(hand, claim, error.pause)
        elif isinstance(error, TransportUnavailable):
            if self.outage.lost(error, claim.key, attended=job.attended):
                self._fail(hand, claim, error)
            else:
                self.release(hand, claim, behind=job.probe)
        elif isinstance(error, TimedOut) and not job.attended:
            self.release(hand, claim, behind=True)  # a probe without an answer
        else:
            if job.probe and not isinstance(error, TimedOut):
                self.outage.over()
            self._fail(hand, claim, error)

    def _fail(self, hand: Hand, claim: Claim, error: Exception) -> None:
        failure = self._failure(claim, error)
        self._carry_out(self._plugins.recover(failure, self._policy), failure, hand, claim)

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
        log.debug("delivery_traceback", message_id=failure.message.id, exc_info=failure.error)
        hand.failures.append(failure)
        self.hands.end(hand, claim.key, after_verdict(failure, verdict))

    def _failure(self, claim: Claim, error: Exception | None) -> Failure:
        """``error`` None: the attempt that failed was the one before this claim."""
        attempt = claim.message.retry_count + claim.lapses + (error is not None)
        return Failure(
            message=claim.message,
            error=error,
            attempt=attempt,
            lapses=claim.lapses,
            now=self.time.now(),
        )

    def release(
        self, hand: Hand, claim: Claim, pause: float = 0.0, *, behind: bool = False
    ) -> None:
        """Put a message back, uncounted: at its place, ``behind`` all that is due, or later."""
        settlement = after_interruption(claim, self.time.now(), pause, behind=behind)
        self.hands.end(hand, claim.key, settlement)
