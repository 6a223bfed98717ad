"""One claimed message on its way out, as the workers see it."""

from typing import Protocol

from duly._engine.in_hand import Hand
from duly._engine.outage import Outage
from duly._engine.verdicts import WHEN_UNDECIDED, Verdicts
from duly._telemetry.logging import get_logger
from duly.store import Claim
from duly.transport import Envelope, envelope_of

__all__ = ["ClaimedJob"]


log = get_logger()


class Maker(Protocol):
    """Who makes jobs and decides what becomes of them."""

    outage: Outage
    verdicts: Verdicts

    def still_wanted(self, job: "ClaimedJob", now: float) -> bool:
        """Whether it is to be published after all; if not, it has its outcome."""
        ...

    def finish(self, job: "ClaimedJob", receipt: str | None, error: Exception | None) -> None:
        """Take note of how its publish has ended."""
        ...


class ClaimedJob:
    """One claimed message on its way out."""

    __slots__ = ("_deliveries", "_lingers", "_over", "attended", "claim", "hand", "name", "probe")

    def __init__(self, deliveries: Maker, hand: Hand, claim: Claim) -> None:
        self._deliveries = deliveries
        self._over = False  # it has its outcome
        self._lingers = False  # it cannot be stopped, and its outcome is awaited
        self.hand = hand
        self.claim = claim
        self.name = claim.message.event_name
        self.probe = 0  # number of the outage whose end this probe is to show
        self.attended = False  # whether it is to blame if the connection breaks over it

    def keep_until(self) -> float:
        return self.hand.keep_until

    def start(self, now: float) -> Envelope | None:
        hand, message = self.hand, self.claim.message
        try:
            doubtful = now >= hand.keep_until or hand.withdrawn or message.expires_at is not None
            if doubtful and not self._deliveries.still_wanted(self, now):
                self._over = True
                return None
            outage = self._deliveries.outage
            self.probe = outage.number if outage.active else 0
            self.attended = outage.attended
            if self.probe:
                outage.probes += 1
            return envelope_of(message, message.retry_count + self.claim.lapses + 1)
        except BaseException:  # whatever it is, the message must not get stuck
            log.exception("start_failed", message_id=message.id)
            self._put_back()
            return None

    def lingers(self, error: Exception) -> None:
        self._lingers = True
        self.hand.lingering += 1
        self.hand.bytes -= len(self.claim.message.payload)  # others are not to wait for it
        self.hand.suspect = False  # it takes long, but it has not killed us
        if self.probe:
            self._deliveries.outage.unanswered(error, self.probe)

    def finish(self, receipt: str | None, error: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        if self._lingers:
            self.hand.lingering -= 1
            self.hand.bytes += len(self.claim.message.payload)
        try:
            self._deliveries.finish(self, receipt, error)
        except BaseException:  # a claim without an outcome would never end
            log.exception("outcome_failed", message_id=self.claim.message.id)
            self._put_back()

    def _put_back(self) -> None:
        self._over = True
        self._deliveries.verdicts.release(self.hand, self.claim, WHEN_UNDECIDED)
