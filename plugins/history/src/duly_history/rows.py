"""What hooks tell, as rows of the history.

A hook runs on the event loop that delivers: it picks what is needed into tuples, so that nothing
holds on to payloads, and no more.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from duly import (
    Burial,
    Bury,
    Delivery,
    Discard,
    Ensured,
    Failure,
    Message,
    MissedFires,
    Retry,
    Verdict,
)

__all__ = [
    "Picked", "buried", "clean", "delivered", "ensured", "failed", "instant", "missed", "named",
    "scheduled",
]  # fmt: skip

Picked = list[tuple[Any, ...]]
"""The columns of entries, in their order, without those that all of a call have in common."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LONGEST: Final = 1024  # characters of a text that others write


def instant(moment: datetime) -> int:
    """A moment as it is kept."""
    return (moment - _EPOCH) // _MICROSECOND


def scheduled(messages: Sequence[Message]) -> Picked:
    """Messages that were stored."""
    return [
        (m.id, m.event_name, None, m.scheduled_at, None, None, None, None, None, None)
        for m in messages
    ]


def ensured(messages: Sequence[Message], outcomes: Sequence[Ensured]) -> Picked:
    """Those that were there already as they were asked for are nothing new."""
    return [
        (m.id, m.event_name, None, m.scheduled_at, None, None, None, None, None, outcome.value)
        for m, outcome in zip(messages, outcomes, strict=True)
        if outcome is not Ensured.SAME
    ]


def named(
    ids: Sequence[str], names: Sequence[str | None], due_at: Sequence[datetime] | None = None
) -> Picked:
    """Of messages of which ids and event names are known, and maybe for when they are due now."""
    moments = [None] * len(ids) if due_at is None else due_at
    return [
        (id, name, None, moment, None, None, None, None, None, None)
        for id, name, moment in zip(ids, names, moments, strict=True)
    ]


def delivered(deliveries: Sequence[Delivery]) -> Picked:
    """Messages that were delivered."""
    return [
        (
            m.id, m.event_name, m.retry_count + 1, m.scheduled_at, None,
            each.lateness.total_seconds(),
            None, None, each.receipt, None,
        )
        for each in deliveries
        for m in (each.message,)
    ]  # fmt: skip


def failed(failures: Sequence[Failure], verdicts: Sequence[Verdict]) -> Picked:
    """Attempts that failed, and what recovery decided."""
    return [
        (
            f.message.id, f.message.event_name, f.attempt, f.message.scheduled_at,
            f.now + verdict.after if isinstance(verdict, Retry) else None, None,
            f.error_class, f.error_text or "its scheduler died", None, _word(verdict),
        )
        for f, verdict in zip(failures, verdicts, strict=True)
    ]  # fmt: skip


def buried(burials: Sequence[Burial]) -> Picked:
    """Messages that became dead letters."""
    return [
        (
            each.message_id, m.event_name, m.retry_count + 1, m.scheduled_at, None, None,
            each.error_class, each.reason, None,
            None if m.recurrence is None else f"of the series {m.id}",
        )
        for each in burials
        for m in (each.message,)
    ]  # fmt: skip


def missed(fires: Sequence[MissedFires]) -> Picked:
    """Fires that were dropped."""
    return [
        (
            m.id, m.event_name, None, each.first, each.following, None, None, None, None,
            f"{each.count} fire{'' if each.count == 1 else 's'}, the last {each.last.isoformat()}",
        )
        for each in fires
        for m in (each.message,)
    ]  # fmt: skip


def _word(verdict: Verdict) -> str:
    match verdict:
        case Retry():
            return "retry"
        case Bury():
            return "bury"
        case Discard():
            return "discard"


def clean(picked: Picked) -> Picked:
    """The same with texts as any database takes them: no NUL, no halves of characters, short."""
    return [tuple(_kept(each) if isinstance(each, str) else each for each in row) for row in picked]


def _kept(text: str) -> str:
    return text[:_LONGEST].replace("\0", " ").encode("utf-8", "replace").decode()
