"""One claimed message on its way out, as the workers see it."""

from typing import TYPE_CHECKING, Final

from duly._hands import Hand
from duly._logging import get_logger
from duly.store import Claim
from duly.transport import Envelope, envelope_of

if TYPE_CHECKING:  # what makes these jobs imports this module
    from duly._delivery import Deliveries

__all__ = ["ClaimedJob"]

_WHEN_UNDECIDED: Final = 10.0  # seconds to put back what nobody could decide about

log = get_logger()


class ClaimedJob:
    """One claimed message on its way out."""

    __slots__ = ("_deliveries", "attended", "claim", "hand", "name", "probe")

    def __init__(self, deliveries: "Deliveries", hand: Hand, claim: Claim) -> None:
        self._deliveries = deliveries
        self.hand = hand
        self.claim = claim
        self.name = claim.message.event_name
        self.probe = False  # started while the transport was known to be gone
        self.attended = False  # is to blame should the connection break over it

    def keep_until(self) -> float:
        return self.hand.keep_until

    def start(self, now: float) -> Envelope | None:
        hand, message = self.hand, self.claim.message
        doubtful = now >= hand.keep_until or hand.withdrawn or message.expires_at is not None
        if doubtful and not self._deliveries.still_wanted(self, now):
            return None
        outage = self._deliveries.outage
        self.probe, self.attended = outage.active, outage.attended
        if self.probe:
            outage.probes += 1
        return envelope_of(message, message.retry_count + self.claim.lapses + 1)

    def finish(self, receipt: str | None, error: Exception | None) -> None:
        try:
            self._deliveries.finish(self, receipt, error)
        except Exception:  # a claim without an outcome would never end
            log.exception("outcome_failed", message_id=self.claim.message.id)
            self._deliveries.release(self.hand, self.claim, _WHEN_UNDECIDED)
