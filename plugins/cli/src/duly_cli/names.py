"""Event names: how much there is of each, and whether that is as it should be."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from duly import Client, Control, NameStats
from duly_cli.desk import Desk
from duly_cli.rules import limit_text, pause_at, pause_text, rules_for

__all__ = ["all_names", "rule_words", "state_of"]

_LATE: Final = timedelta(seconds=10)
_PAGE: Final = 1000


async def all_names(
    client: Client, *, most: int, prefix: str = ""
) -> tuple[Sequence[NameStats], bool]:
    """The event names that begin so, and whether these are all.

    Raises:
        Unsupported: the store cannot find them.
    """
    found: list[NameStats] = []
    while len(found) < most:
        after = found[-1].name if found else _before(prefix)
        page = await client.names(after=after, limit=min(_PAGE, most - len(found)))
        found += [each for each in page if each.name.startswith(prefix)]
        if not page or not page[-1].name.startswith(prefix):
            return found, True
    return found, False


def _before(prefix: str) -> str | None:
    """What sorts right before all that begin so."""
    if not prefix or prefix[-1] == "\0":
        return prefix[:-1] or None
    code = ord(prefix[-1]) - 1
    return prefix[:-1] + chr(0xD7FF if 0xD800 <= code <= 0xDFFF else code) + chr(sys.maxunicode)


def state_of(stats: NameStats, controls: Mapping[str, Control], now: datetime) -> str:
    """In a word, how a name is: "paused", "late", "aside", "dead", "limited" or "well"."""
    if pause_at(stats.name, controls, now) is not None:
        return "paused"
    limited = any(controls[rule].limit for rule in rules_for(stats.name, controls))
    waits_long = stats.oldest is not None and now - stats.oldest > _LATE
    if stats.due > stats.aside and waits_long and not (limited and stats.aside):
        return "late"
    if stats.aside:
        return "aside"
    if stats.dead:
        return "dead"
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
