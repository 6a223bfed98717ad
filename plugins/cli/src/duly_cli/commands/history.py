"""``duly history``: what became of messages, also of those that are gone."""

from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from duly.words import duration
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.past import hole_facts, life, needed_history, tell_holes
from duly_cli.sheet import sheet
from duly_cli.verbs import moment_of, verb

if TYPE_CHECKING:
    from duly_history import Entries

__all__ = ["history"]

_WHAT: Final = (
    "scheduled", "ensured", "rescheduled", "failed", "delivered", "buried", "missed", "cancelled",
    "replayed", "purged",
)  # fmt: skip


@verb(opens=False)
@click.argument("id", required=False)
@click.option("--event", metavar="NAME", help="An event name, or a prefix: 'orders.*'")
@click.option("--what", type=click.Choice(_WHAT), multiple=True, help="Only that; several times.")
@click.option("--id-prefix", metavar="TEXT", help="What the ids begin with.")
@click.option("--error", metavar="PATTERN", help="Of failures: '*refused*'.")
@click.option("--since", metavar="MOMENT", help="From then on.")
@click.option("--until", metavar="MOMENT", help="Until then.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
async def history(desk: Desk, *, id: str | None, limit: int, **given: Any) -> None:
    """What became of a message; or what happened, the latest first.

    It needs the history plugin. What is known of a message that waits or is dead: duly show ID.
    """
    kept = needed_history(desk, "what became of messages")
    if kept is None:
        return
    for name in ("since", "until"):
        text = given[name]
        given[name] = None if text is None else moment_of(desk, text, f"--{name}")
    if id is not None:
        if any(each not in (None, ()) for each in given.values()):
            raise Refused("an id alone says which: leave the other options out", USAGE)
        found = await kept.of(id, limit=limit)
    else:
        found = await kept.search(limit=limit, **given)
    for entry in found.entries:
        desk.record(attrs.asdict(entry))
    for hole in found.holes:
        desk.record(hole_facts(hole))
    if not desk.json:
        _tell(desk, id, found)


def _tell(desk: Desk, id: str | None, found: "Entries") -> None:
    if id is not None:
        for line in life(desk, found.entries, found.holes):
            desk.say(line)
        if not found.entries:
            desk.say(f"Nothing is known of {id}.")
    else:
        columns = ["at", "id", "event", "what", "attempt", "late", "error", "by"]
        rows = [
            [
                each.at,
                each.message_id,
                each.event_name,
                each.what.value,
                each.attempt,
                None if each.lateness is None else duration(each.lateness),
                " ".join((each.error or each.detail or "").split()),
                each.source,
            ]
            for each in found.entries
        ]
        sheet(desk, columns, rows, "nothing matches")
        tell_holes(desk, found.holes)
    if not found.complete:
        desk.note(f"{len(found.entries):,} of {found.looked_at:,} looked at: there may be more.")
