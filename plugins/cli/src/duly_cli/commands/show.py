"""``duly show ID``: why a message is where it is, and its life."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import click

from duly import DulyError, Message, MessageNotFound, Why
from duly_cli.commands.list import attempts_of, facts_of
from duly_cli.desk import Desk
from duly_cli.past import history_of, life
from duly_cli.verbs import verb
from duly_cli.words import rule_text

if TYPE_CHECKING:
    from duly_history import Entries

__all__ = ["show"]


@verb()
@click.argument("id")
@click.option("--payload", is_flag=True, help="Show the payload too.")
async def show(desk: Desk, *, id: str, payload: bool) -> None:
    """Why a message is where it is, and what is known of it."""
    past = await _past(desk, id)
    try:
        why = await desk.client.why(id)
    except MessageNotFound:
        if past is None or not past.entries:
            raise
        _gone(desk, id, past)
        return
    message = why.message
    desk.record(
        {
            **facts_of(message, datetime.now(UTC), payload=payload),
            "phase": why.phase,
            "why": {
                name: getattr(why, name)
                for name in ("code", "text", "until", "holder", "rule", "route")
            },
            "history": None if past is None else [attrs.asdict(each) for each in past.entries],
            "holes": None if past is None else [attrs.asdict(each) for each in past.holes],
        }
    )
    desk.say(why.text, "bold")
    desk.say("")
    facts = _facts(desk, message, why)
    if payload:
        facts.append(("payload", message.payload.decode(errors="replace")))
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        desk.say(f"{name:<{width}}  {value}")
    desk.say("")
    if past is None:
        desk.say("What became of it before: not kept here.")
    else:
        _life(desk, past)


async def _past(desk: Desk, id: str) -> "Entries | None":
    history = history_of(desk)
    if history is None:
        return None
    try:
        return await history.of(id)
    except DulyError as error:  # what the store says holds all the same
        desk.note(f"What became of it before is not known: {error}")
        return None


def _gone(desk: Desk, id: str, past: "Entries") -> None:
    last = past.entries[-1]
    desk.record(
        {
            "id": id,
            "phase": None,
            "event_name": last.event_name,
            "why": None,
            "history": [attrs.asdict(each) for each in past.entries],
            "holes": [attrs.asdict(each) for each in past.holes],
        }
    )
    desk.say(f"It is in the store no more: {last.what.value} {desk.moment(last.at)}.", "bold")
    desk.say("")
    _life(desk, past)


def _life(desk: Desk, past: "Entries") -> None:
    for line in life(desk, past.entries, past.holes):
        desk.say(line)
    if not past.entries:
        desk.say("What became of it before: nothing is known.")
    if not past.complete:
        desk.note(f"The first {past.looked_at:,} of what became of it: there is more.")


def _facts(desk: Desk, message: Message, why: Why) -> list[tuple[str, str]]:
    known = [
        ("id", message.id),
        ("event", message.event_name),
        ("phase", why.phase.value),
        ("scheduled", desk.text(message.scheduled_at)),
        ("next attempt", desk.text(message.next_attempt_at)),
        ("failed", desk.text(attempts_of(message))),
        ("put off", desk.text(message.postpone_count or None)),
        ("recurs", rule_text(message.recurrence) if message.recurrence else ""),
        ("fires so far", desk.text(message.occurrence_count) if message.recurrence else ""),
        ("expires", desk.text(message.expires_at)),
        ("died", desk.text(message.died_at)),
        ("error", message.last_error or ""),
        ("error class", message.error_class or ""),
        ("created", desk.text(message.created_at)),
        ("delivery", message.delivery_id),
        ("lapses", desk.text(why.where.lapses or None) if why.where is not None else ""),
        *((f"meta {key}", value) for key, value in message.metadata.items()),
    ]
    return [(name, value) for name, value in known if value]
