"""``duly events``: the event names, and how much there is of each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from duly import Control, NameStats
from duly.words import duration
from duly_cli.desk import Desk
from duly_cli.names import all_names, rule_words, state_of
from duly_cli.past import figures_of
from duly_cli.rules import control_facts, controls_of, rules_for
from duly_cli.sheet import sheet
from duly_cli.verbs import verb

if TYPE_CHECKING:
    from duly_history import EventFigures

__all__ = ["events"]

_COLUMNS: Final = [
    "event", "is", "scheduled", "due", "aside", "in hand", "dead", "oldest", "rule",
    "rate", "failed", "p50 late", "p99 late",
]  # fmt: skip
_END: Final = datetime.max.replace(tzinfo=UTC)
_ORDERS: Final[Mapping[str, Callable[[NameStats], Any]]] = {
    "name": lambda each: each.name,
    "scheduled": lambda each: -each.scheduled,
    "due": lambda each: -each.due,
    "aside": lambda each: -each.aside,
    "in-hand": lambda each: -each.claimed,
    "dead": lambda each: -each.dead,
    "oldest": lambda each: each.oldest or _END,
}


@verb()
@click.option("--sort", type=click.Choice([*_ORDERS]), default="name", show_default=True)
@click.option("--prefix", metavar="TEXT", default="", help="What the names begin with.")
@click.option("--late", is_flag=True, help="Only those that are late.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
async def events(desk: Desk, *, sort: str, prefix: str, late: bool, limit: int) -> None:
    """How much there is of each event name.

    With a word for each: late, paused, aside, limited, dead or well; and the rules on it. Where a
    history is kept, with the deliveries a minute, what failed and how late it was in the last hour.
    """
    found, complete = await all_names(desk.client, most=limit, prefix=prefix)
    controls = await controls_of(desk.client)
    now = datetime.now(UTC)
    figures = await figures_of(desk)
    here = {each.name for each in found}
    if figures is not None and complete:  # what is delivered at once is never there to be seen
        kept = (
            NameStats(name=name) for name in figures if name not in here and name.startswith(prefix)
        )
        found = [*found, *kept]
    if late:
        found = [each for each in found if state_of(each, controls, now) == "late"]
    ordered = sorted(found, key=lambda each: (_ORDERS[sort](each), each.name))
    for each in ordered:
        desk.record({**_facts(each, controls, now), **_kept_facts(each.name, figures)})
    sheet(
        desk,
        _COLUMNS,
        [[*_row(desk, each, controls, now), *_kept(each.name, figures)] for each in ordered],
        "nothing matches" if prefix or late else "there are no messages",
    )
    if any(each.at_least for each in found):
        desk.note("With a + there may be more: not all were counted.")
    if not complete:
        desk.note(f"The first {limit:,} names: there may be more, see --limit.")


def _row(
    desk: Desk, each: NameStats, controls: Mapping[str, Control], now: datetime
) -> Sequence[object]:
    more = "+" if each.at_least else ""
    counts = [each.scheduled, each.due, each.aside, each.claimed, each.dead]
    return [
        each.name,
        state_of(each, controls, now),
        *(f"{count:,}{more}" if count else "0" for count in counts),
        "" if each.oldest is None else duration(now - each.oldest),
        rule_words(desk, each.name, controls),
    ]


def _facts(each: NameStats, controls: Mapping[str, Control], now: datetime) -> Mapping[str, Any]:
    state = state_of(each, controls, now)
    return {
        "event_name": each.name,
        "is": state,
        "late": state == "late",
        "scheduled": each.scheduled,
        "due": each.due,
        "aside": each.aside,
        "claimed": each.claimed,
        "dead": each.dead,
        "oldest": each.oldest,
        "at_least": each.at_least,
        "rules": [control_facts(rule, controls[rule]) for rule in rules_for(each.name, controls)],
    }


def _kept(name: str, figures: "Mapping[str, EventFigures] | None") -> Sequence[object]:
    found = None if figures is None else figures.get(name)
    if found is None:
        return [None] * 4
    late = [
        None if each is None else duration(timedelta(seconds=each))
        for each in (found.p50, found.p99)
    ]
    return [f"{found.per_minute:.3g}/min", found.failed or None, *late]


def _kept_facts(name: str, figures: "Mapping[str, EventFigures] | None") -> Mapping[str, Any]:
    if figures is None:
        return {"last_hour": None}
    found = figures.get(name)
    return {
        "last_hour": {
            "delivered": found.delivered if found else 0,
            "failed": found.failed if found else 0,
            "buried": found.buried if found else 0,
            "per_minute": found.per_minute if found else 0.0,
            "lateness_p50_seconds": found.p50 if found else None,
            "lateness_p99_seconds": found.p99 if found else None,
        }
    }
