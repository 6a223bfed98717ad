"""What is told of one batch, from its claim to its last settlement.

Only used when there is an SDK: without one a batch and its messages do without this module.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from opentelemetry import context
from opentelemetry.trace import Link, Span, set_span_in_context

from duly._telemetry.metrics import Metrics
from duly._telemetry.outcomes import remembering, verb_of
from duly._telemetry.spans import Spans, carrier_of, end, harmless, link_to
from duly._telemetry.times import StoreClock, since_1970
from duly._values.publishing import Job
from duly.hookspecs import MissedFires
from duly.message import first_due
from duly.recovery import Failure
from duly.store import Claim, End, Key, Settlement
from duly.transport import Envelope

__all__ = ["ObservedBatch", "ObservedSettlement"]

_LATE: Final = 16  # messages of one settlement of which the lateness is told: a record costs 5 us


class ObservedBatch:
    """A batch claimed by a call that was sent at ``sent``, in loop time.

    Its claim is the root of one trace, in which its publish and each of its deletes stand side by
    side; the publishes of its sampled messages stand below the publish of the batch.
    ``one_by_one`` tells that each of its messages is published by a call of its own, in which the
    span of that message can be the current one.
    """

    def __init__(
        self,
        spans: Spans | None,
        metrics: Metrics | None,
        claims: Sequence[Claim],
        sent: float,
        clock: StoreClock,
        *,
        one_by_one: bool,
    ) -> None:
        self.spans, self.metrics, self.sent = spans, metrics, sent
        self.one_by_one = one_by_one
        self.clock = asyncio.get_running_loop().time
        self.store_time = clock
        self.messages = {claim.key: claim.message for claim in claims}
        self.links: dict[Key, Link] = {}
        self.published: list[tuple[Claim, float]] = []  # since the last settlement; loop time
        self.failed: dict[Key, str] = {}  # of sampled messages, the W3C context of that attempt
        if spans is not None:
            found = ((claim.key, link_to(claim.message)) for claim in claims)
            self.links = {key: link for key, link in found if link is not None}
            names, links = self._names(), tuple(self.links.values())
            self.trace = spans.claim(names, links, since_1970(sent))
            self.publishing = spans.begin("publish", names, links, within=self.trace)
        if metrics is not None:
            lapsed = (claim.message.event_name for claim in claims if claim.lapses)
            metrics.count("duly.messages.recovered", lapsed)

    def job(self, claim: Claim, job: Job) -> Job:
        """The same job, wrapped if there is something to tell of it."""
        link = self.links.get(claim.key)
        if link is None and self.metrics is None:
            return job
        return _ObservedJob(self, claim, job, link)

    @harmless
    def remember_attempts(self, outcomes: dict[Key, Settlement]) -> None:
        """Let what is retried remember the attempt that failed, so that the next is linked to it.

        That costs no write: it goes with the text of the error.
        """
        failed, self.failed = self.failed, {}
        for key, attempt in failed.items():
            if key in outcomes:
                outcomes[key] = remembering(self.messages[key], outcomes[key], attempt)

    @harmless
    def settling(
        self,
        done: Collection[Key],
        exceptions: Mapping[Key, Settlement],
        failures: Sequence[Failure],
        missed: Sequence[MissedFires],
        *,
        last: bool,
    ) -> "ObservedSettlement":
        """What there is to tell of these claims once the store has agreed to their outcomes."""
        if last and self.spans is not None:
            self.publishing.end()
        published, self.published = self.published, []
        settlement = ObservedSettlement(self, done, exceptions, failures, published, last=last)
        settlement.missed = missed
        return settlement

    def _names(self) -> list[str]:
        return [message.event_name for message in self.messages.values()]


class ObservedSettlement:
    """A settlement of the whole batch, or of the part of it that was done."""

    def __init__(
        self,
        batch: ObservedBatch,
        done: Collection[Key],
        exceptions: Mapping[Key, Settlement],
        failures: Sequence[Failure],
        published: Sequence[tuple[Claim, float]],
        *,
        last: bool,
    ) -> None:
        self._batch = batch
        self._done = done
        self._published = published
        self._failed = [each.message.event_name for each in failures if each.error is not None]
        self._last = last
        self.missed: Sequence[MissedFires] = ()
        self._otherwise: dict[str, list[str]] = defaultdict(list)  # names, by what was done
        for key, settlement in exceptions.items():
            if isinstance(settlement, End):  # it was delivered, or else what became of it is told
                continue
            message = batch.messages[key]
            self._otherwise[verb_of(message, settlement)].append(message.event_name)
        if batch.metrics is not None:
            now, clock = batch.store_time.likely(), batch.clock()
            self._late = [
                (message.event_name, (now - first_due(message)).total_seconds() - (clock - at))
                for message, at in (
                    (claim.message, at) for claim, at in published[:: len(published) // _LATE + 1]
                )
            ]

    @harmless
    def answered(self, sent: float, *, agreed: bool, repeated: bool) -> None:
        """Tell of it: the store has answered a call that was sent at ``sent``, in loop time.

        ``repeated``: nobody knows whether a try before this one was carried out.
        """
        batch = self._batch
        self._tell(sent, *((None, None) if agreed else ("the lease was lost", "lease_lost")))
        if batch.metrics is not None:
            again = (claim.message.event_name for claim, _ in self._published if claim.lapses)
            batch.metrics.count("duly.duplicates.suspected", again)
            if agreed:
                self._count(batch.metrics)
            elif self._last and not repeated:
                batch.metrics.lease_lost(each.event_name for each in batch.messages.values())

    @harmless
    def unanswered(self, sent: float, error: BaseException) -> None:
        """Tell that a call with it, sent at ``sent`` in loop time, has failed: it comes again."""
        if isinstance(error, Exception):
            self._tell(sent, error)

    def _tell(self, sent: float, error: Exception | str | None, kind: str | None = None) -> None:
        batch = self._batch
        if batch.spans is None:
            return
        names = [batch.messages[key].event_name for key in self._done]
        links = (batch.links[key] for key in self._done if key in batch.links)
        facts = {f"duly.batch.{verb}": len(each) for verb, each in self._otherwise.items()}
        started = since_1970(sent)
        batch.spans.batch(
            "delete", names, links, started, within=batch.trace, facts=facts, error=error, kind=kind
        )

    def _count(self, metrics: Metrics) -> None:
        published = (claim.message.event_name for claim, _ in self._published)
        metrics.count("duly.messages.delivered", published)
        metrics.count("duly.messages.failed", self._failed)
        for fires in self.missed:
            metrics.count("duly.messages.missed", {fires.message.event_name: fires.count})
        for verb, names in self._otherwise.items():
            metrics.count(f"duly.messages.{verb}", names)
        for name, seconds in self._late:
            metrics.late(name, max(0.0, seconds))
        if self._last:
            metrics.took(self._batch.clock() - self._batch.sent)


class _ObservedJob:
    """A job whose end is noted, and that has a span if its message is sampled."""

    __slots__ = (
        "_batch", "_before", "_carrier", "_claim", "_job", "_link", "_span", "_task", "name",
    )  # fmt: skip

    def __init__(self, batch: ObservedBatch, claim: Claim, job: Job, link: Link | None) -> None:
        self._batch = batch
        self._claim = claim
        self._job = job
        self._link = link
        self._span: Span | None = None
        self._task: asyncio.Task[Any] | None = None  # the one within whose context it publishes
        self.name = job.name

    def keep_until(self) -> float:
        return self._job.keep_until()

    def start(self, now: float) -> Envelope | None:
        envelope = self._job.start(now)
        spans = self._batch.spans
        if envelope is not None and self._link is not None and spans is not None:
            self._open(spans, envelope, self._link)
        return envelope

    def lingers(self, error: Exception) -> None:
        self._job.lingers(error)

    def finish(self, receipt: str | None, error: Exception | None) -> None:
        if error is None:
            self._batch.published.append((self._claim, self._batch.clock()))
        if self._span is not None:
            self._close(self._span, error)
        self._job.finish(receipt, error)

    @harmless
    def _open(self, spans: Spans, envelope: Envelope, link: Link) -> None:
        batch, message = self._batch, self._claim.message
        before = message._last_attempt if message.retry_count else None  # noqa: SLF001  # for this
        self._span = spans.publish(envelope, link, before, batch.publishing)
        envelope.trace_context = self._carrier = carrier_of(self._span)
        if batch.one_by_one:
            self._task, self._before = asyncio.current_task(), context.get_current()
            context.attach(set_span_in_context(self._span))

    @harmless
    def _close(self, span: Span, error: Exception | None) -> None:
        # A publish that was given up ends in another task, whose context is not ours to change.
        # No token is detached: it would restore nothing if a handler has left a span attached.
        if self._task is not None and self._task is asyncio.current_task():
            context.attach(self._before)
        if error is not None and span.get_span_context().trace_flags.sampled:
            self._batch.failed[self._claim.key] = self._carrier.get("traceparent", "")
        end(span, error)
