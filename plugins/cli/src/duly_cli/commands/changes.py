"""``duly changes``: who did what, to how many, and why."""

import attrs
import click

from duly_cli.desk import Desk
from duly_cli.past import needed_history
from duly_cli.sheet import sheet
from duly_cli.verbs import moment_of, verb

__all__ = ["changes"]

_OF_RULES = ("pause", "resume", "limit")  # which change no message


@verb(opens=False)
@click.option("--action", metavar="ACTION", help="Only that: pause, replay, cancel, ...")
@click.option("--by", metavar="NAME", help="Only what that person did.")
@click.option("--target", metavar="NAME", help="Only of that id, event name or instance.")
@click.option("--since", metavar="MOMENT", help="From then on.")
@click.option("--until", metavar="MOMENT", help="Until then.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
async def changes(
    desk: Desk,
    *,
    action: str | None,
    by: str | None,
    target: str | None,
    since: str | None,
    until: str | None,
    limit: int,
) -> None:
    """What people have changed, the latest first.

    It needs the history plugin. Each was written down before it was done; one without an end was
    begun, and whether it was done nobody knows.
    """
    kept = needed_history(desk, "what people did")
    if kept is None:
        return
    found = await kept.changes(
        action=action,
        by=by,
        target=target,
        since=None if since is None else moment_of(desk, since, "--since"),
        until=None if until is None else moment_of(desk, until, "--until"),
        limit=limit,
    )
    for each in found.changes:
        desk.record(attrs.asdict(each))
    rows = []
    for each in found.changes:
        said = [*(each.filter or {}).items(), *each.details.items()]
        told = ", ".join(f"{name}={value}" for name, value in said)
        end = each.error or each.outcome or ("" if each.ended_at else "not known how it ended")
        number = None if each.action in _OF_RULES else each.number
        rows.append([each.at, each.by, each.action, each.target, told, number, each.reason, end])
    columns = ["at", "by", "did", "to", "with", "messages", "reason", "ended"]
    sheet(desk, columns, rows, "nobody has changed anything")
    if not found.complete:
        desk.note(f"The latest {limit:,}: there may be more, see --limit.")
