"""``duly list``: the messages that match."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import click

from duly import Filter, Message, State
from duly_cli.desk import Desk
from duly_cli.sheet import sheet
from duly_cli.verbs import filtered, verb
from duly_cli.words import rule_facts

__all__ = ["attempts_of", "facts_of", "list_", "phase_of"]


@verb("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--order", metavar="FIELD", help="scheduled_at, next_attempt_at, died_at, -died_at")
@click.option("--look-at", type=click.IntRange(1), default=10_000, help="Messages, at most.")
@click.option("--payload", is_flag=True, help="Show payloads too.")
@filtered()
async def list_(
    desk: Desk,
    *,
    filter: Filter,
    limit: int,
    order: str | None,
    look_at: int,
    payload: bool,
) -> None:
    """The messages that match, the earliest first."""
    chosen = attrs.evolve(filter, limit=limit, order=order)
    found = await desk.client.search(chosen, look_at=look_at, payload=payload)
    now = datetime.now(UTC)
    for message in found.messages:
        desk.record(facts_of(message, now, payload=payload))
    columns = ["id", "event", "phase", "due", "failed", "error"]
    sheet(
        desk,
        [*columns, *(["payload"] if payload else [])],
        [
            [
                message.id,
                message.event_name,
                phase_of(message, now),
                message.died_at if message.state is State.DEAD else message.next_attempt_at,
                attempts_of(message),
                _short(message.last_error),
                *([_short(message.payload.decode(errors="replace"))] if payload else []),
            ]
            for message in found.messages
        ],
        "nothing matches",
    )
    if len(found.messages) == limit:
        desk.note(f"The first {limit:,}: there may be more, see --limit.")
    elif not found.complete:
        desk.note(f"Of the first {found.looked_at:,} that were looked at: see --look-at.")


def phase_of(message: Message, now: datetime) -> str:
    """In which phase a message is, as far as it tells by itself."""
    if message.state is not State.SCHEDULED:
        return str(message.state.value)
    if message.next_attempt_at <= now:
        return "due"
    return "retrying" if message.retry_count else "scheduled"


def attempts_of(message: Message) -> int:
    """How many attempts failed: of a dead letter the last one too."""
    return message.retry_count + (message.state is State.DEAD)


def facts_of(message: Message, now: datetime, *, payload: bool = False) -> Mapping[str, Any]:
    """A message for programs."""
    late = max(0.0, (now - message.next_attempt_at).total_seconds())
    facts: dict[str, Any] = {
        "id": message.id,
        "event_name": message.event_name,
        "state": message.state.value,
        "phase": phase_of(message, now),
        "scheduled_at": message.scheduled_at,
        "next_attempt_at": message.next_attempt_at,
        "late_seconds": 0.0 if message.state is State.DEAD else late,
        "created_at": message.created_at,
        "expires_at": message.expires_at,
        "recurrence": None if message.recurrence is None else rule_facts(message.recurrence),
        "died_at": message.died_at,
        "retry_count": message.retry_count,
        "postpone_count": message.postpone_count,
        "occurrence_count": message.occurrence_count,
        "last_error": message.last_error,
        "error_class": message.error_class,
        "delivery_id": message.delivery_id,
        "metadata": message.metadata,
    }
    if payload:
        facts["payload"] = message.payload
        facts["payload_size"] = len(message.payload)
    return facts


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= 60 else f"{line[:57]}..."
