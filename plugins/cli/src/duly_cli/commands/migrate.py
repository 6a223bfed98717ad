"""``duly migrate``: the store's tables, keys and indexes are brought up to date."""

from collections.abc import Sequence

import click

from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.many import number_of
from duly_cli.verbs import verb

__all__ = ["migrate"]

_SQL = ("postgres", "sqlite")


@verb(changes=True, makes=True)
@click.option("--dry-run", is_flag=True, help="Show what would be run, run nothing.")
@click.option("--sql", is_flag=True, help="Print the statements alone, for psql; run nothing.")
async def migrate(desk: Desk, *, dry_run: bool, sql: bool) -> None:
    """Bring the store up to date; a file that is not there is made.

    Nothing is opened before, so that a dry run leaves nothing behind.
    """
    if sql and desk.json:
        raise Refused("--sql and --json cannot go together: --dry-run --json has both", USAGE)
    wanted = await desk.client.migrate(dry_run=True)
    if sql:
        ends = ";" if (desk.target.store or "").startswith(_SQL) else ""
        for statement in wanted:
            click.echo(f"{statement.rstrip().removesuffix(';')}{ends}")
        return
    done: Sequence[str] = wanted
    if wanted and not dry_run:
        desk.confirm(f"Run {number_of(len(wanted), 'statement')}")
        done = await desk.client.migrate()
    desk.record({"dry_run": dry_run, "statements": done, "store": str(desk.target)})
    if not wanted:
        desk.say(f"{desk.target} is up to date: nothing to do.")
        return
    ran = number_of(len(done), "statement")
    desk.say(f"{ran} would be run:" if dry_run else f"{desk.target} is up to date: {ran} run.")
    for statement in done if dry_run else ():
        desk.say(statement)
