"""What happened to one store and one transport, in order, and whether all of it may happen."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from duly.message import Message
from duly.recovery import Failure, Verdict
from duly.store import NO_LIMITS, Batch, Bury, Clock, Release, Reschedule, Settlement
from duly.testing.caller_notes import CallerNotes
from duly.testing.checker import Checker
from duly.testing.entries import Look, name_of
from duly.transport import Envelope

__all__ = ["Journal"]


class Journal(CallerNotes):
    """Takes notes of all that processes do to one store and one transport."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._owned: dict[str, list[str]] = {}  # tokens, by their owners

    def note_claimed(self, process: str, batch: Batch, lease: timedelta, owner: str) -> None:
        """A batch was handed out."""
        if batch.token is not None:
            self._owned.setdefault(owner, []).append(batch.token)
        for claim in batch.claims:
            message = claim.message
            self.note(
                "claimed",
                process,
                scheduling=name_of(message),
                occurrence=message.occurrence_count,
                moment=message.scheduled_at,
                message=message,
                token=batch.token,
                now=batch.now,
                until=batch.now + lease,
                lapses=claim.lapses,
            )

    def note_looked(
        self,
        process: str,
        batch: Batch,
        *,
        limit: int,
        suspects: bool = True,
        most: Mapping[str, int] = NO_LIMITS,
        **_more: object,
    ) -> None:
        """A claim was answered by a store with lines; what it handed out is noted already."""
        look = Look(
            limit=limit, most=dict(most), suspects=suspects, brought=len(batch.claims),
            moved=batch.moved, more=batch.more,
        )  # fmt: skip
        self.note("looked", process, now=batch.now, look=look)

    def note_renewed(self, process: str, token: str, until: datetime) -> None:
        """A lease was made longer; it lasts until then at least."""
        self.note("renewed", process, token=token, until=until)

    def note_taken_over(self, process: str, owner: str) -> None:
        """The leases of an owner have ended, just now."""
        for token in self._owned.pop(owner, ()):
            self.note_renewed(process, token, self.clock())

    def note_settled(
        self, process: str, token: str, message: Message, how: Settlement | None
    ) -> None:
        """What was claimed has been settled; None: deleted."""
        # The holder tells the counters; a release leaves them as they were.
        went_on = how.next if isinstance(how, Bury) else how
        occurrence, moment, due = 0, None, None
        if isinstance(went_on, Release):
            occurrence, moment = message.occurrence_count, message.scheduled_at
            due = went_on.at
        elif isinstance(went_on, Reschedule):
            counters, due = went_on.counters, went_on.next_attempt_at
            occurrence, moment = counters.occurrence_count, counters.scheduled_at
        details = {Bury: "buried", Release: "put back", Reschedule: "went on"}
        self.note(
            "settled",
            process,
            scheduling=name_of(message),
            occurrence=occurrence,
            moment=moment,
            message=message,
            token=token,
            until=due,
            detail=details.get(type(how), "deleted"),
        )

    def note_decided(self, process: str, failure: Failure, verdict: Verdict | None) -> None:
        """Recovery has decided."""
        error = "" if failure.error is None else type(failure.error).__name__
        self.note(
            "decided",
            process,
            scheduling=name_of(failure.message),
            occurrence=failure.message.occurrence_count,
            lapses=failure.lapses,
            detail=f"{type(verdict).__name__.lower()} {error}",
        )

    def note_publish(self, what: str, process: str, envelope: Envelope) -> None:
        """A publish has ``begun``, was ``accepted``, ``ended``, or ``arrived`` once more."""
        created_at = envelope.delivery_id.rsplit(":", 2)[1]
        self.note(
            what,
            process,
            scheduling=f"{envelope.message_id}:{created_at}",
            occurrence=envelope.occurrence,
            moment=envelope.scheduled_at,
            detail=envelope.payload.decode(),
        )

    # --- what is to be made of it

    def check(
        self,
        dead: Collection[Message],
        *,
        behind: timedelta = timedelta(0),
        ahead: timedelta = timedelta(0),
        slow: timedelta = timedelta(0),
    ) -> None:
        """Hold all of it to the rules; ``dead`` are the dead letters in the store at the end.

        Call it when nothing else is left in the store. Between two answers of the store a
        scheduler works out the store's time by itself: its estimate may be up to ``behind`` or
        ``ahead`` of the true time, and it judges by this whether a message has expired. Two of its
        claims in a row take at most ``slow``, by which it judges whether a fire was missed.

        Raises:
            AssertionError: a rule was broken; tells which, and what happened to the message.
        """
        Checker(self.entries, behind, ahead, slow).check(dead)
