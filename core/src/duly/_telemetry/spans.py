"""Spans: of each call that schedules, and of each batch, a trace with its sampled messages.

Names and attributes follow OpenTelemetry's messaging conventions. A message carries the W3C trace
context of its ``schedule`` span; baggage is not kept. No payload, no metadata, no secret is told.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final, ParamSpec, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly.errors import Postpone
from duly.message import Message
from duly.transport import Envelope

__all__ = ["Spans", "carrier_of", "end", "fail", "harmless", "link_to"]

_LINKS: Final = 128  # of one span, as many as the SDKs keep
_TYPES: Final = {"schedule": "send", "claim": "receive", "publish": "send", "delete": "settle"}
_NOWHERE: Final = Context()  # what starts here is the root of a new trace
_W3C: Final = TraceContextTextMapPropagator()
_SAMPLED: Final = tuple("13579bdf")  # how the flags of a traceparent end if it was

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger()


def harmless(function: Callable[P, T]) -> Callable[P, T | None]:
    """Decorates what calls an SDK: if that or its plugins raise, this is logged; returns None."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except BaseException:  # whatever an exporter raises, deliveries go on
            log.exception("telemetry_failed")
            return None

    return guarded


def link_to(message: Message) -> Link | None:
    """A link to the ``schedule`` span of a message; None unless that was sampled."""
    carrier = message.trace_context
    # What was not sampled costs no more than this look.
    if not carrier or not carrier.get("traceparent", "").endswith(_SAMPLED):
        return None
    context = _context_in(carrier)
    return Link(context, {"messaging.message.id": message.id}) if context.is_valid else None


def carrier_of(span: Span) -> Mapping[str, str]:
    """The context of a span as it is kept beside messages and handed on in headers."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, _NOWHERE))
    return MappingProxyType(carrier)


def end(span: Span, error: Exception | None) -> None:
    """End the span of a publish; one that was postponed has not failed, an event tells of it."""
    if isinstance(error, Postpone):
        span.add_event("postponed", {"duly.postpone.after": error.after.total_seconds()})
    elif error is not None:
        fail(span, error)
    span.end()


def fail(span: Span, error: BaseException | str, kind: str | None = None) -> None:
    """Mark a span as failed, by a masked text and the ``kind`` of error, by default its class."""
    if not span.is_recording():
        return
    text = error_text(error)
    span.set_status(Status(StatusCode.ERROR, text))
    span.set_attribute("error.type", kind or type(error).__qualname__)
    if isinstance(error, BaseException):
        # Not record_exception(): it would tell the text as it is, and a stack trace.
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        span.add_event("exception", {"exception.type": kind, "exception.message": text})


class Spans:
    """Starts the spans of one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def schedule(self, messages: Sequence[Message]) -> Span:
        """The span of a call that stores messages, a child of what is current."""
        name, facts = _described("schedule", {message.event_name for message in messages})
        if len(messages) == 1:
            facts["messaging.message.id"] = messages[0].id
        else:
            facts["messaging.batch.message_count"] = len(messages)
        return self._tracer.start_span(name, kind=SpanKind.PRODUCER, attributes=facts)

    def claim(self, names: Collection[str], links: Sequence[Link], started: int) -> Context:
        """The span of a claim from ``started`` until now, the root of the trace of its batch.

        Whether that trace is sampled is decided here, once for all of it. Returns the context of
        the span: what else is told of the batch stands below it.
        """
        start = functools.partial(self.begin, "claim", names, links, started=started)
        span = start(within=_NOWHERE)
        context = span.get_span_context()
        if links and context.is_valid and not context.trace_flags.sampled:
            # With a sampler that takes one root in a hundred, one message in ten thousand would be
            # traced to the end: let it see that some of these were sampled already.
            flags = TraceFlags(context.trace_flags | TraceFlags.SAMPLED)
            root = SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)
            span = start(within=set_span_in_context(NonRecordingSpan(root), _NOWHERE))
        span.end()
        return set_span_in_context(span, _NOWHERE)

    def publish(
        self, envelope: Envelope, link: Link, last_attempt: str | None, within: Span
    ) -> Span:
        """The span of one attempt to publish a sampled message, ``within`` that of its batch.

        It is linked to the ``schedule`` span and, by its W3C context, to the last attempt.
        """
        name, facts = _described("publish", {envelope.event_name})
        facts["messaging.message.id"] = envelope.message_id
        facts["duly.delivery_id"] = envelope.delivery_id
        facts["duly.occurrence"] = envelope.occurrence
        facts["duly.attempt"] = envelope.attempt
        links = [Link(link.context)]
        if last_attempt is not None:
            context = _context_in({"traceparent": last_attempt})
            if context.is_valid:
                links.append(Link(context, {"duly.link": "last_attempt"}))
        return self._tracer.start_span(
            name, set_span_in_context(within, _NOWHERE), SpanKind.PRODUCER, facts, links
        )

    def begin(
        self,
        operation: str,
        names: Collection[str],
        links: Iterable[Link],
        *,
        within: Context,
        started: int | None = None,
        facts: Mapping[str, AttributeValue] = MappingProxyType({}),
    ) -> Span:
        """The span of what is done to a batch, ``within`` a context.

        ``names`` are the event names of its messages, one for each. It begins now, or has
        ``started`` then, in ns since 1970.
        """
        _, described = _described(operation, set(names))
        described["messaging.batch.message_count"] = len(names)
        return self._tracer.start_span(
            operation,
            within,
            SpanKind.CLIENT,
            {**described, **facts},
            list(islice(links, _LINKS)),
            started,
        )

    def batch(
        self,
        operation: str,
        names: Collection[str],
        links: Iterable[Link],
        started: int,
        *,
        within: Context = _NOWHERE,
        facts: Mapping[str, AttributeValue] = MappingProxyType({}),
        error: BaseException | str | None = None,
        kind: str | None = None,
    ) -> None:
        """The span of what was done to a batch from ``started`` until now, see :meth:`begin`."""
        span = self.begin(operation, names, links, within=within, started=started, facts=facts)
        if error is not None:
            fail(span, error, kind)
        span.end()


def _context_in(carrier: Mapping[str, str]) -> SpanContext:
    return get_current_span(_W3C.extract(carrier, _NOWHERE)).get_span_context()


def _described(operation: str, names: Collection[str]) -> tuple[str, dict[str, AttributeValue]]:
    """The name and the attributes of a span of that operation on messages of these names."""
    facts: dict[str, AttributeValue] = {
        "messaging.system": "duly",
        "messaging.operation.name": operation,
        "messaging.operation.type": _TYPES[operation],
    }
    if len(names) != 1:
        return operation, facts
    (name,) = names
    facts["messaging.destination.name"] = name
    return f"{operation} {name}", facts
