"""``duly schedule``: a message for a moment, or again and again."""

import itertools
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from duly import Cron, Ensured, Every, Message, MessageNotFound
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.moments import as_duration
from duly_cli.verbs import metadata_of, moment_of, verb

__all__ = ["schedule"]

_MOST: Final = 2**30  # bytes of a payload that are read
_FIRES: Final = 3
_WHEN: Final = "say when, by one of --in 10m, --at MOMENT, --cron 'EXPR' and --every 15m"
_SERIES: Final = ("until", "max", "missed", "jitter", "ensure")
_TOLD: Final = {
    Ensured.STORED: "it is new",
    Ensured.SAME: "it is there just like that, and nothing was written",
    Ensured.CHANGED: "it was there and is changed",
    Ensured.FOLLOWS: "what is due or in hand keeps its rule, and this one follows",
    Ensured.ENDED: "it has no fire any more",
    Ensured.NEWER: "a newer version of duly wrote what is there, and it was left alone",
    Ensured.OLDER: "a newer generation of it is there, and it was left alone",
}


def _options(work: Any) -> Any:
    made: list[Callable[[Any], Any]] = [
        click.option("--in", "in_", metavar="DURATION", help="Due that long from now: 10m, 2d."),
        click.option("--at", metavar="MOMENT", help="Due then: 2026-11-30T14:00Z, or 14:00."),
        click.option("--cron", metavar="EXPR", help="By the clock of --tz: '30 2 * * *'."),
        click.option("--every", metavar="DURATION", help="Again and again: 15m."),
        click.option("--id", metavar="ID", help="Taken once; made up if none is given."),
        click.option("--meta", metavar="KEY=VALUE", multiple=True, help="Metadata."),
        click.option("--content-type", metavar="TYPE", help="Of the payload: application/json."),
        click.option("--expires", metavar="MOMENT", help="Not delivered from then on."),
        click.option("--until", metavar="MOMENT", help="Of a series, the last that may fire."),
        click.option("--max", type=click.IntRange(1), help="Of a series, so many fires."),
        click.option(
            "--missed",
            type=click.Choice(["once", "all", "skip"]),
            help="Of a series, what becomes of missed fires.",
        ),
        click.option("--jitter", metavar="DURATION", help="Of a series, up to that much later."),
        click.option("--replace", is_flag=True, help="Take the place of what has that id."),
        click.option("--ensure", is_flag=True, help="See to it that a series is just like that."),
    ]
    for option in reversed(made):
        work = option(work)
    return work


@verb(changes=True, makes=True)
@click.argument("event")
@click.argument("payload", metavar="[PAYLOAD|-]", default="")
@_options
async def schedule(desk: Desk, *, event: str, payload: str, **said: Any) -> None:
    """Schedule a message; a PAYLOAD of - is read from the input."""
    message = _message(desk, event, payload, said)
    desk.target.see_that_it_is_there()
    outcome = None
    if said["ensure"]:
        desk.confirm(f"See to it that {message.id} is {message.recurrence}")
        outcome = await desk.client.ensure(message)
        message = await _stored(desk, message)
    else:
        desk.confirm(f"Schedule {event} for {desk.moment(message.next_attempt_at)}")
        await desk.client.schedule(message, replace=said["replace"])
    fires = _fires(message)
    desk.say(f"{message.id} {_due(desk, message.next_attempt_at)}.")
    if fires:
        more = " ..." if len(fires) == _FIRES else ""
        desk.say(f"Then: {', '.join(map(desk.moment, fires))}{more}")
    if outcome is not None:
        desk.say(f"It was ensured: {_TOLD[outcome]}.")
    desk.record(
        {
            "id": message.id,
            "event_name": message.event_name,
            "scheduled_at": message.scheduled_at,
            "next_attempt_at": message.next_attempt_at,
            "expires_at": message.expires_at,
            "recurrence": None if message.recurrence is None else str(message.recurrence),
            "next": fires,
            "outcome": "stored" if outcome is None else outcome.value,
        }
    )


def _message(desk: Desk, event: str, payload: str, said: dict[str, Any]) -> Message:
    if sum(said[each] is not None for each in ("in_", "at", "cron", "every")) != 1:
        raise Refused(_WHEN, USAGE)
    recurrence = _recurrence(desk, said)
    odd = [each for each in _SERIES if said[each]] if recurrence is None else []
    if odd:
        raise Refused(f"--{odd[0]} is for a series: say --cron or --every", USAGE)
    if recurrence is not None and said["expires"]:
        raise Refused("--expires is for a single message: a series ends with --until", USAGE)
    if said["ensure"] and said["replace"]:
        raise Refused("--ensure changes what is there: leave --replace out", USAGE)
    if said["ensure"] and said["id"] is None:
        raise Refused("--ensure needs the --id of the series", USAGE)
    at = None
    if said["in_"] is not None:
        at = moment_of(desk, f"+{said['in_']}", "--in")
    elif said["at"] is not None:
        at = moment_of(desk, said["at"], "--at")
    more = {} if at is None else {"scheduled_at": at}
    metadata = metadata_of(said["meta"])
    if said["content_type"] is not None:
        metadata["content-type"] = said["content_type"]
    return Message(
        event,
        _bytes(payload),
        id=said["id"],
        metadata=metadata,
        recurrence=recurrence,
        expires_at=_moment(desk, said, "expires"),
        **more,
    )


def _recurrence(desk: Desk, said: dict[str, Any]) -> Cron | Every | None:
    if said["cron"] is None and said["every"] is None:
        return None
    bounds: dict[str, Any] = {
        "max_occurrences": said["max"],
        "until": _moment(desk, said, "until"),
        "missed": said["missed"] or "once",
    }
    if said["jitter"] is not None:
        bounds["jitter"] = as_duration(said["jitter"], "--jitter")
    if said["cron"] is not None:
        return Cron(said["cron"], timezone=getattr(desk.zone, "key", "UTC"), **bounds)
    return Every(as_duration(said["every"], "--every"), **bounds)


def _moment(desk: Desk, said: dict[str, Any], name: str) -> datetime | None:
    return None if said[name] is None else moment_of(desk, said[name], f"--{name}")


def _bytes(payload: str) -> bytes:
    if payload != "-":
        return payload.encode(errors="surrogateescape")  # the very bytes that were typed
    return sys.stdin.buffer.read(_MOST + 1)


async def _stored(desk: Desk, message: Message) -> Message:
    """The series as it is there now, whose next fire may be another."""
    try:
        return await desk.client.get(message.id)
    except MessageNotFound:
        return message


def _due(desk: Desk, due: datetime) -> str:
    told = desk.moment(due)
    return f"is due {told}" if due > datetime.now(UTC) else f"is due now, since {told}"


def _fires(message: Message) -> Sequence[datetime]:
    """The fires that follow the first."""
    recurrence = message.recurrence
    if recurrence is None:
        return []
    most = _FIRES if recurrence.max_occurrences is None else recurrence.max_occurrences - 1
    fires = recurrence.all_after(message.scheduled_at)
    return list(itertools.islice(fires, min(_FIRES, most)))
