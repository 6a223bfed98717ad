"""Event names: how much there is of each, and whether that is as it should be."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from duly import Client, Control, NameStats
from duly_cli.desk import Desk
from duly_cli.rules import limit_text, pause_at, pause_text, rules_for

__all__ = ["all_names", "rule_words", "state_of"]

_LATE: Final = timedelta(seconds=10)
_PAGE: Final = 1000


async def all_names(client: Client, *, most: int) -> tuple[Sequence[NameStats], bool]:
    """The event names, and whether these are all.

    Raises:
        Unsupported: the store cannot find them.
    """
    found: list[NameStats] = []
    while len(found) < most:
        after = found[-1].name if found else None
        page = await client.names(after=after, limit=min(_PAGE, most - len(found)))
        if not page:
            return found, True
        found += page
    return found, False


def state_of(stats: NameStats, controls: Mapping[str, Control], now: datetime) -> str:
    """In a word, how a name is: "paused", "late", "aside", "dead", "limited" or "well"."""
    if pause_at(stats.name, controls, now) is not None:
        return "paused"
    waits_long = stats.oldest is not None and now - stats.oldest > _LATE
    if stats.due > stats.aside and waits_long:
        return "late"
    if stats.aside:
        return "aside"
    if stats.dead:
        return "dead"
    limited = any(controls[rule].limit for rule in rules_for(stats.name, controls))
    return "limited" if limited else "well"


def rule_words(desk: Desk, name: str, controls: Mapping[str, Control]) -> str:
    """What the rules on a name say; empty where there is none."""
    now, said = datetime.now(UTC), []
    paused = pause_at(name, controls, now)
    if paused is not None:
        said.append(pause_text(desk, *paused))
    for rule in rules_for(name, controls):
        limit = controls[rule].limit
        if limit is not None:
            said.append(limit_text(rule, limit))
    return "; ".join(said)
