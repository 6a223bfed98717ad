"""What is sent: the documents of messages."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import attrs
import msgspec

from duly import Cron, Every, Message, State, Why
from duly.message import with_changes
from duly.recurrence import Recurrence
from duly.words import in_words
from duly_web.refs import ref_of
from duly_web.times import Moment, maybe, written
from duly_web.users import User

__all__ = [
    "MessageDocument", "Page", "RecurrenceDocument", "Redact", "Shower", "WhyDocument",
    "phase_of", "rule_document",
]  # fmt: skip

Redact = Callable[[Message], bytes]
"""Given a message, what may be shown of its payload. For an error it is given the same message with
the text of the error as its payload. What it raises hides the whole."""


class RecurrenceDocument(msgspec.Struct, frozen=True, rename={"kind": "type"}, omit_defaults=False):
    """When again: ``type`` is "cron" or "every"."""

    kind: str
    expression: str | None = None
    timezone: str | None = None
    interval_seconds: float | None = None
    anchor: Moment | None = None
    until: Moment | None = None
    max_occurrences: int | None = None
    missed: str = "once"
    grace_seconds: float = 60.0
    jitter_seconds: float = 0.0


class WhyDocument(msgspec.Struct, frozen=True):
    """Why a message is where it is, in a word and a sentence."""

    code: str
    text: str
    until: Moment | None = None
    holder: str | None = None
    rule: str | None = None
    route: str | None = None


class MessageDocument(msgspec.Struct, frozen=True):
    """A message. ``hidden`` names what this user may not see of it."""

    id: str
    ref: str
    event_name: str
    state: str
    phase: str
    scheduled_at: Moment
    next_attempt_at: Moment
    late_seconds: float
    created_at: Moment
    expires_at: Moment | None
    recurrence: RecurrenceDocument | None
    in_words: str | None
    died_at: Moment | None
    retry_count: int
    postpone_count: int
    occurrence_count: int
    last_error: str | None
    error_class: str | None
    delivery_id: str
    trace_id: str | None
    content_type: str | None
    payload_size: int | None
    metadata: dict[str, str] | None
    hidden: list[str]
    why: WhyDocument | None = None
    next: list[Moment] | None = None
    repeat: bool = False


class Page(msgspec.Struct, frozen=True):
    """Some of the messages that match. ``next`` is the cursor of the next page, None at the end.

    ``looked_at`` messages were looked at; unless ``complete`` there may be more that match.
    """

    items: list[MessageDocument]
    next: str | None
    looked_at: int
    complete: bool
    as_of: Moment


@attrs.frozen
class Shower:
    """Makes documents of messages for one user, with what this one may see."""

    user: User
    redact: Redact | None = None

    def message(
        self, message: Message, now: datetime, *, size: int | None = None, why: Why | None = None,
        fires: Sequence[datetime] | None = None, repeat: bool = False,
    ) -> MessageDocument:  # fmt: skip
        """A message at ``now``; of one listed without its payload the size is not known."""
        error, is_hidden = self.error(message)
        open_ = "payload" in self.user.rights
        hidden = [
            *([] if open_ else ["metadata", "payload"]),
            *(["last_error"] if is_hidden else []),
        ]
        rule = message.recurrence
        waits = message.state is not State.DEAD
        late = (now - message.next_attempt_at).total_seconds() if waits else 0.0
        return MessageDocument(
            id=message.id,
            ref=ref_of(message.id),
            event_name=message.event_name,
            state=message.state.value,
            phase=phase_of(message, now) if why is None else why.phase.value,
            scheduled_at=written(message.scheduled_at),
            next_attempt_at=written(message.next_attempt_at),
            late_seconds=max(0.0, late),
            created_at=written(message.created_at),
            expires_at=maybe(message.expires_at),
            recurrence=None if rule is None else rule_document(rule),
            in_words=None if rule is None else in_words(rule),
            died_at=maybe(message.died_at),
            retry_count=message.retry_count,
            postpone_count=message.postpone_count,
            occurrence_count=message.occurrence_count,
            last_error=error,
            error_class=message.error_class,
            delivery_id=message.delivery_id,
            trace_id=_trace(message),
            content_type=message.metadata.get("content-type"),
            payload_size=size,
            metadata={**message.metadata} if open_ else None,
            hidden=hidden,
            why=None if why is None else self._why(why, error),
            next=None if fires is None else [written(each) for each in fires],
            repeat=repeat,
        )

    def payload(self, message: Message) -> bytes | None:
        """What may be shown of the payload; None: nothing."""
        if self.redact is None:
            return message.payload
        return self._redacted(message)

    def error(self, message: Message) -> tuple[str | None, bool]:
        """What may be shown of the last error, and whether it is hidden."""
        text = message.last_error
        if text is None or self.redact is None:
            return text, False
        shown = self._redacted(
            with_changes(message, payload=text.encode(), metadata={"content-type": "text/plain"})
        )
        return (None, True) if shown is None else (shown.decode(errors="replace"), False)

    def _redacted(self, message: Message) -> bytes | None:
        assert self.redact is not None, "it was seen to"  # noqa: S101  # for the type checker
        try:
            return bytes(self.redact(message))
        except Exception:  # noqa: BLE001  # of the host's: what cannot be made safe is not shown
            return None

    def _why(self, why: Why, error: str | None) -> WhyDocument:
        text, told = why.text, why.message.last_error
        if self.redact is not None and told:
            text = text.replace(told, error or "(hidden)")
        return WhyDocument(
            code=why.code, text=text, until=maybe(why.until), holder=why.holder,
            rule=why.rule, route=why.route,
        )  # fmt: skip


def phase_of(message: Message, now: datetime) -> str:
    """The phase of a message that was listed, which does not tell whether it stands aside."""
    if message.state is not State.SCHEDULED:
        return str(message.state.value)
    if message.next_attempt_at <= now:
        return "due"
    return "retrying" if message.retry_count else "scheduled"


def rule_document(rule: Recurrence) -> RecurrenceDocument:
    """A recurrence."""
    more: dict[str, Any] = {}
    if isinstance(rule, Cron):
        more = {"expression": rule.expression, "timezone": rule.timezone}
    elif isinstance(rule, Every):
        more = {
            "interval_seconds": rule.interval.total_seconds(),
            "anchor": maybe(rule.anchor),
        }
    return RecurrenceDocument(
        kind=type(rule).__name__.lower(),
        until=maybe(rule.until),
        max_occurrences=rule.max_occurrences,
        missed=rule.missed,
        grace_seconds=rule.grace.total_seconds(),
        jitter_seconds=rule.jitter.total_seconds(),
        **more,
    )


def _trace(message: Message) -> str | None:
    """The trace in which it was scheduled."""
    traceparent: str = message.trace_context.get("traceparent", "")
    parts = traceparent.split("-")
    return parts[1] if len(parts) > 1 else None
