"""``duly dead``: what messages died of, and the dead letters."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import click
from click.core import ParameterSource

from duly import Cause, Filter, State
from duly_cli.commands.dead_acts import purge, replay
from duly_cli.commands.list import facts_of
from duly_cli.desk import Desk
from duly_cli.past import failures_of
from duly_cli.sheet import sheet
from duly_cli.verbs import filtered, verb

__all__ = ["dead", "words_of"]

_SHOWN: Final = 3  # event names
_OPTIONS: Final = {
    "event_name": "--event",
    "id_prefix": "--id-prefix",
    "error": "--error",
    "error_class": "--error-class",
    "due_before": "--due-before",
    "due_after": "--due-after",
    "died_before": "--died-before",
    "died_after": "--died-after",
    "before": "--scheduled-before",
    "after": "--scheduled-after",
}


@verb("dead")
@filtered(dead=True)
async def _causes(desk: Desk, *, filter: Filter) -> None:
    """What messages died of, the most frequent cause first."""
    found = await desk.client.causes(filter)
    lately = await failures_of(desk)
    for cause in found.causes:
        facts = attrs.asdict(cause, recurse=False)
        key = cause.error_class, cause.text
        hour = None if lately is None else lately.get(key, 0)
        desk.record({**facts, "filter": words_of(cause.filter), "failures_last_hour": hour})
        if not desk.json:
            _tell(desk, cause, hour)
    if not found.causes:
        desk.say("There are no dead letters." if filter == Filter(state=State.DEAD) else "none")
    if not found.complete:
        desk.note(f"Of the first {found.looked_at:,} that were looked at: there are more.")


@click.group(invoke_without_command=True, params=[*_causes.params])
@click.pass_context
def dead(ctx: click.Context, /, **options: Any) -> None:
    """What messages died of, and dead letters.

    Alone: the causes, errors that are alike counted as one, the most frequent first.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(_causes, **options)
        return
    for each in ctx.command.params:
        if each.name and ctx.get_parameter_source(each.name) is ParameterSource.COMMANDLINE:
            said = each.opts[0]
            raise click.UsageError(f"write {said} behind the verb: duly dead VERB {said} ...", ctx)


@verb("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--look-at", type=click.IntRange(1), default=10_000, help="Messages, at most.")
@click.option("--payload", is_flag=True, help="Show payloads too.")
@filtered(dead=True)
async def _list(desk: Desk, *, filter: Filter, limit: int, look_at: int, payload: bool) -> None:
    """The dead letters that match, the newest first."""
    chosen = attrs.evolve(filter, limit=limit, order="-died_at")
    found = await desk.client.search(chosen, look_at=look_at, payload=payload)
    now = datetime.now(UTC)
    for message in found.messages:
        desk.record(facts_of(message, now, payload=payload))
    sheet(
        desk,
        ["id", "event", "died", "error", "error class", "failed", "payload"],
        [
            [
                message.id,
                message.event_name,
                message.died_at,
                " ".join((message.last_error or "").split()),
                message.error_class,
                message.retry_count + 1,
                message.payload.decode(errors="replace") if payload else "",
            ]
            for message in found.messages
        ],
        "nothing matches",
    )
    if not found.complete and found.looked_at >= look_at:
        desk.note(f"The newest of the {found.looked_at:,} that were looked at: see --look-at.")
    elif len(found.messages) == limit:
        desk.note(f"The newest {limit:,}: there may be more, see --limit.")


for _each in (_list, replay, purge):
    dead.add_command(_each)


def _tell(desk: Desk, cause: Cause, hour: int | None) -> None:
    names = ", ".join(cause.event_names[:_SHOWN])
    more = len(cause.event_names) - _SHOWN
    names += f" and {more} more" if more > 0 else ""
    known = cause.error_class is None or cause.text.startswith(cause.error_class)
    text = cause.text if known else f"{cause.error_class}: {cause.text}"
    letters = "dead letter" if cause.number == 1 else "dead letters"
    desk.say(f"{cause.number:,} {letters} of {names}: {text}", "bold")
    if cause.first is not None:
        desk.say(f"  first {desk.text(cause.first)}, last {desk.text(cause.last)}")
    if hour is not None:
        failures = "failure" if hour == 1 else "failures"
        desk.say(f"  {hour:,} {failures} of it in the last hour, attempts that are retried too")
    desk.say(f"  duly show {shlex.quote(cause.example)}{desk.target.words}", "cyan")
    desk.say(f"  duly dead list {_as_options(cause.filter)}{desk.target.words}", "cyan")
    act = f"--cause {shlex.quote(cause.example)}{desk.target.words}"
    desk.say(f"  duly dead replay {act} --rate 50", "cyan")


def words_of(filter: Filter) -> Mapping[str, Any]:
    """A filter for programs: what was given, by the names of its fields."""
    empty = Filter()
    given = attrs.asdict(filter, recurse=False)
    return {name: each for name, each in given.items() if each != getattr(empty, name)}


def _as_options(filter: Filter) -> str:
    """The options that make such a filter."""
    said = [(option, getattr(filter, name)) for name, option in _OPTIONS.items()]
    said += [("--id", each) for each in filter.ids or ()]
    said += [("--meta", f"{key}={value}") for key, value in filter.metadata.items()]
    return " ".join(f"{option} {_quoted(value)}" for option, value in said if value is not None)


def _quoted(value: str | datetime) -> str:
    return shlex.quote(value.isoformat() if isinstance(value, datetime) else value)
