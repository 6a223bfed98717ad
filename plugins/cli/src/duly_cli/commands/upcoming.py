"""``duly upcoming``: what will fire, in order, or how much of it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from duly import Control, Cron, Expected, Filter, Message, Upcoming
from duly.words import in_words
from duly_cli.clocks import Change, changes
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.moments import zone
from duly_cli.rules import controls_of, pause_at, pause_text
from duly_cli.sheet import sheet
from duly_cli.verbs import moment_of, verb

__all__ = ["upcoming"]

_HOUR: Final = timedelta(hours=1)


@verb()
@click.option("--from", "start", metavar="MOMENT", help="At the earliest then: now.")
@click.option("--until", metavar="MOMENT", help="At the latest then: an hour later.")
@click.option("--event", metavar="NAME", help="An event name, or a prefix: 'orders.*'")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option("--counts", type=click.IntRange(1, 1000), help="How much, in so many equal spans.")
async def upcoming(
    desk: Desk,
    *,
    start: str | None,
    until: str | None,
    event: str | None,
    limit: int,
    counts: int | None,
) -> None:
    """What will fire, in order: by default within the next hour.

    Series are told fire by fire, as if each were delivered at once.
    """
    now = datetime.now(UTC)
    begin = now if start is None else moment_of(desk, start, "--from")
    end = begin + _HOUR if until is None else moment_of(desk, until, "--until", after=begin)
    if end <= max(begin, now):
        raise Refused(f"--until: {until or 'an hour later'} is past, or not after --from", USAGE)
    if counts is not None:
        if start is not None or event is not None:
            raise Refused("--counts counts all from now: leave --from and --event out", USAGE)
        await _count(desk, end, counts)
        return
    filter = Filter(event_name=event)
    found = await desk.client.upcoming(end, since=begin, filter=filter, limit=limit)
    controls = await controls_of(desk.client)
    rows = [each for place in _with_changes(found, begin) for each in _told(desk, place, controls)]
    sheet(
        desk,
        ["at", "event", "id", "what", "held"],
        rows,
        f"nothing from {desk.moment(begin)} to {desk.moment(end)}",
    )
    if len(found) == limit:
        desk.note(f"The first {limit:,}: there may be more, see --limit.")
    if begin < now:
        desk.note("What was before now is not kept here.")


async def _count(desk: Desk, until: datetime, buckets: int) -> None:
    found = await desk.client.forecast(until, buckets=buckets)
    spans: list[tuple[datetime | None, datetime, Expected]] = [(None, found.start, found.overdue)]
    for place, each in enumerate(found.buckets):
        at = found.start + found.span * place
        spans.append((at, at + found.span, each))
    for begin, end, each in spans:
        desk.record({"from": begin, "until": end, **_counts(each), "overdue": begin is None})
    sheet(
        desk,
        ["from", "once", "series", "retries", "aside", "all"],
        [
            [
                "overdue" if begin is None else desk.moment(begin),
                *(f"{count:,}" for name, count in _counts(each).items() if name != "at_least"),
            ]
            for begin, _, each in spans
        ],
    )
    if not found.complete:
        desk.note(f"At least: {found.looked_at:,} were looked at, and there is more.")


def _counts(each: Expected) -> Mapping[str, Any]:
    return {
        "once": each.once,
        "series": each.series,
        "retries": each.retries,
        "aside": each.aside,
        "total": each.total,
        "at_least": each.at_least,
    }


def _with_changes(
    found: Sequence[Upcoming], begin: datetime
) -> Iterator[Upcoming | tuple[str, Change]]:
    """The fires, and between them when the clocks of their series are put."""
    if not found:
        return
    rules = [each.message.recurrence for each in found]
    zones = {rule.timezone for rule in rules if isinstance(rule, Cron)}
    marks = [
        (name, change) for name in zones for change in changes(zone(name), begin, found[-1].at)
    ]
    marks.sort(key=lambda each: (each[1].at, each[0]), reverse=True)
    for fire in found:
        while marks and marks[-1][1].at <= fire.at:
            yield marks.pop()
        yield fire


def _told(
    desk: Desk, what: Upcoming | tuple[str, Change], controls: Mapping[str, Control]
) -> Iterator[Sequence[object]]:
    """Told to programs; the row for people."""
    if isinstance(what, tuple):
        name, change = what
        before, after = change.before, change.after
        desk.record(
            {
                "at": change.at,
                "kind": "clocks",
                "timezone": name,
                "offset_before_seconds": before,
                "offset_after_seconds": after,
            }
        )
        yield [change.at, f"({change.way})", name, str(change), ""]
        return
    message, kind = what.message, _kind(what.message)
    paused = pause_at(message.event_name, controls, what.at)
    held = "" if paused is None else pause_text(desk, *paused)
    desk.record(
        {
            "at": what.at,
            "kind": kind,
            "id": message.id,
            "event_name": message.event_name,
            "in_words": None if message.recurrence is None else in_words(message.recurrence),
            "retry_count": message.retry_count,
            "held_by": None if paused is None else paused[0],
            "held_until": None if paused is None else paused[1].until,
        }
    )
    if message.recurrence is not None:
        words = in_words(message.recurrence)
    else:
        words = f"attempt {message.retry_count + 1}" if message.retry_count else ""
    yield [what.at, message.event_name, message.id, words, held]


def _kind(message: Message) -> str:
    if message.recurrence is not None:
        return "series"
    return "retry" if message.retry_count else "once"
