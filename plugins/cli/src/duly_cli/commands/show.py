"""``duly show ID``: why a message is where it is, and its life."""

from datetime import UTC, datetime

import click

from duly import Message, Why
from duly_cli.commands.list import attempts_of, facts_of
from duly_cli.desk import Desk
from duly_cli.verbs import verb
from duly_cli.words import rule_text

__all__ = ["show"]


@verb()
@click.argument("id")
@click.option("--payload", is_flag=True, help="Show the payload too.")
async def show(desk: Desk, *, id: str, payload: bool) -> None:
    """Why a message is where it is, and what is known of it."""
    why = await desk.client.why(id)
    message = why.message
    desk.record(
        {
            **facts_of(message, datetime.now(UTC), payload=payload),
            "phase": why.phase,
            "why": {
                name: getattr(why, name)
                for name in ("code", "text", "until", "holder", "rule", "route")
            },
            "history": None,
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
    desk.say("What became of it before: not kept here.")


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
