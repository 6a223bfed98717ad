"""In what order: claim, publish, settle.

What becomes of a message is decided the moment its publish ends, or at once when it is not to be
published at all; :mod:`duly._engine.in_hand` keeps that until the store hears of it.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from duly._caller.calls import StoreCalls
from duly._caller.store_answers import claims
from duly._engine.claimed_job import ClaimedJob
from duly._engine.controls import Controls
from duly._engine.drawing import Drawing
from duly._engine.error_texts import ErrorText, TellingJob
from duly._engine.in_hand import Hands
from duly._engine.outage import Outage
from duly._engine.settlements import next_fire
from duly._engine.store_time import time_of
from duly._engine.unreadable import tell_unreadable
from duly._engine.verdicts import Verdicts
from duly._engine.workers import Workers
from duly._plugins.registry import Plugins
from duly._telemetry.logging import get_logger
from duly._telemetry.telemetry import Telemetry
from duly._values.publishing import Interrupted, Job, TimedOut
from duly.errors import Postpone, TransportUnavailable
from duly.hookspecs import Delivery
from duly.message import first_due
from duly.recovery import Policy
from duly.store import SUSPECT_LAPSES, Batch, Claim, SupportsEnsure, Token

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
        most_bytes: int,
        told_as: ErrorText | None,
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
        self._one_by_one = one_by_one
        self._told_as = told_as
        self._clock = asyncio.get_running_loop().time
        self._observed = plugins.observed("duly_delivered")
        self._newer_seen = -math.inf  # loop time
        self.hands = Hands(plugins, wake, most_bytes=most_bytes)
        workers.lanes.held_back.able = getattr(type(calls.store), "lines", False) is True
        self.hands.tells_ends = isinstance(calls.store, SupportsEnsure)
        self.time = time_of(calls.store)
        drawing = Drawing(calls, workers, self.hands, self.time, owner=owner)
        self.controls = Controls(calls, workers, self.hands, drawing, wake=wake)
        self.verdicts = Verdicts(
            plugins, policy, workers.limits.recovery, self.hands, self.time, controls=self.controls
        )

    def keep_until(self, sent: float) -> float:
        """Until when a lease that was asked for at ``sent`` is certain, both in loop time."""
        return sent + self._certain

    def saw_newer(self, *, within: float) -> bool:
        """Whether records of a newer format came due in the last ``within`` seconds."""
        return self._clock() - self._newer_seen <= within

    # --- claim and settle

    async def claim(
        self, limit: int, *, suspects: bool = True, only: int | None = None, **more: Any
    ) -> Batch:
        """Settle what is waiting, claim up to ``limit`` messages and submit them.

        In an outage ``only`` tells which of them, from 1, is to be published; if that one cannot
        be, the nearest that can. All others are put back at their places; with 0 all are.
        """
        settling = self.hands.take_waiting()
        sent, held_back = self._clock(), self._workers.lanes.held_back
        most = self._workers.lanes.most(sent)
        if most:
            more["most"] = most
        try:
            batch = await self._calls.claim(
                limit=limit,
                lease=self._lease,
                owner=self._owner,
                suspects=suspects and not self.hands.suspect,
                settle=[each.settle for each in settling],
                **more,
            )
        except BaseException as error:
            self.hands.unanswered(settling, error, sent)
            self._telemetry.unclaimed(error, sent)
            raise
        self.time.hear(batch.now, sent)
        held_back.heard(most, batch)
        self.hands.answered(settling, batch.settled, sent)
        if batch.unreadable:
            tell_unreadable(batch.unreadable, self._plugins, self._telemetry)
        if batch.newer:
            self._newer_seen = sent
            log.warning("records_newer", count=batch.newer)
        if batch.token is not None:
            try:
                self._submit(batch, batch.token, sent, only)
            except Exception:
                self.hands.drop(batch.token)  # its lease is not renewed: it lapses, and comes again
                claims(batch.claims)  # they may be at fault
                raise
        return batch

    async def settle(self) -> bool:
        """Settle what is waiting, without a claim; whether there was anything."""
        settling = self.hands.take_waiting()
        if not settling:
            return False
        sent = self._clock()
        try:
            outcomes = await self._calls.settle([each.settle for each in settling])
        except BaseException as error:
            self.hands.unanswered(settling, error, sent)
            raise
        self.hands.answered(settling, outcomes, sent)
        return True

    def _submit(self, batch: Batch, token: Token, sent: float, only: int | None) -> None:
        taken = batch.claims
        suspect = taken[0].lapses >= SUSPECT_LAPSES
        hand = self.hands.take_up(token, taken, self.keep_until(sent), suspect=suspect)
        if self._telemetry.active:
            hand.observed = self._telemetry.claimed(
                taken, sent, self.time, one_by_one=self._one_by_one
            )
        wanted: list[Claim] = []
        if only is not None and (probe := self.verdicts.probe(hand, batch, only)) is not None:
            self.outage.try_with(probe.key)
            wanted.append(probe)
        flows = not self.controls.rules.paused
        for claim in taken if only is None else ():
            message = claim.message
            plain = (
                flows
                and not claim.lapses
                and message.recurrence is None
                and message.expires_at is None
            )
            if plain or not self.verdicts.decided(hand, claim, batch.now):
                wanted.append(claim)
        jobs: list[Job] = [ClaimedJob(self, hand, claim) for claim in wanted]
        observed = hand.observed
        if observed is not None:
            jobs = list(map(observed.job, wanted, jobs))
        if self._told_as is not None:
            jobs = [TellingJob(job, self._told_as) for job in jobs]
        lanes = self._workers.lanes
        lanes.spare = self.hands.spare(lanes.waiting + len(jobs))
        sent_back = self._workers.submit(
            jobs, took=self._clock() - sent, in_any_case=only is not None
        )
        if jobs and self._plugins.observed("duly_claimed"):
            both = zip(wanted, jobs, strict=True)
            messages = [claim.message for claim, job in both if job not in sent_back]
            if messages:
                self._plugins.tell("duly_claimed", messages=messages)

    # --- publish

    def still_wanted(self, job: ClaimedJob, now: float) -> bool:
        """Whether a job whose turn it is may be published; it has its outcome otherwise."""
        hand, claim = job.hand, job.claim
        if now >= hand.keep_until:
            self.verdicts.release(hand, claim)
            return False
        if claim.key in hand.withdrawn:
            self.hands.end(hand, claim, None)
            return False
        return not self.verdicts.expired(hand, claim, self.time.at_least())

    def finish(self, job: ClaimedJob, receipt: str | None, error: Exception | None) -> None:
        """Decide what becomes of a message whose publish has ended."""
        if error is not None:
            self._failed(job, error)
            return
        hand, claim = job.hand, job.claim
        if not self.outage.quiet:
            self.outage.accepted(claim.key, probe=job.probe)
        message = claim.message
        following = None if message.recurrence is None else next_fire(message)
        if self._observed:
            late = self.time.since(first_due(message))
            hand.deliveries.append(Delivery(message=message, lateness=late, receipt=receipt))
        self.hands.end(hand, claim, following)

    def _failed(self, job: ClaimedJob, error: Exception) -> None:
        hand, claim = job.hand, job.claim
        if isinstance(error, Interrupted):
            recurs, suspect = claim.message.recurrence is not None, claim.lapses >= SUSPECT_LAPSES
            # The store moves it aside, at its place; what it does not move comes later.
            at_its_place = error.aside and not recurs and not suspect
            self.verdicts.release(hand, claim, 0.0 if at_its_place else error.pause)
        elif isinstance(error, Postpone):
            if job.probe:
                self.outage.over(job.probe)
            self.verdicts.postpone(hand, claim, error)
        elif isinstance(error, TransportUnavailable):
            if self.outage.lost(error, claim.key, attended=job.attended):
                self.verdicts.fail(hand, claim, error)
            else:
                self.verdicts.release(hand, claim)
        elif isinstance(error, TimedOut) and job.probe and not job.attended:
            self.outage.unanswered(error, job.probe)
            self.verdicts.release(hand, claim)
        else:
            if job.probe and not isinstance(error, TimedOut):
                self.outage.over(job.probe)
            self.verdicts.fail(hand, claim, error)
