"""``duly dead replay`` and ``duly dead purge``: all dead letters that match."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import click

from duly import Filter, Message, MessageNotFound, State
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.many import Match, Tally, bulk, carried_out, matching, number_of
from duly_cli.verbs import filtered, moment_of, verb

__all__ = ["purge", "replay"]

_NOUN = "dead letter"
_cause = click.option(
    "--cause", metavar="ID|TEXT", help="Those that died like this one, or of such an error."
)
_as_of = click.option("--as-of", metavar="MOMENT", help="Only what had died then [now].")
_reason = click.option("--reason", metavar="TEXT", help="Why, for those who ask later.")


@verb("replay", changes=True)
@_cause
@click.option(
    "--rate", type=click.FloatRange(0, 1_000_000, min_open=True), help="So many a second."
)
@click.option("--at", metavar="MOMENT", help="Due then, instead of at once.")
@_as_of
@_reason
@bulk
@filtered(dead=True, acts=True)
async def replay(
    desk: Desk,
    *,
    filter: Filter,
    cause: str | None,
    rate: float | None,
    at: str | None,
    **given: Any,
) -> None:
    """Schedule all dead letters that match again.

    With --rate one after the other: their due times are spread in the store, and nothing has to
    keep running for it. What has expired or cannot be read is left out.
    """
    chosen, last, match = await _chosen(desk, filter, cause, given)
    start = None if at is None else moment_of(desk, at, "--at")
    if given["dry_run"]:
        _shown(desk, match, "replayed", last)
        return
    if match.number:
        desk.confirm(f"Replay {match.told(_NOUN)}")
    begin = datetime.now(UTC) if start is None else start

    async def act(some: Sequence[Message], done: int) -> int:
        ids = Filter(ids=[each.id for each in some])
        moment = start if rate is None else begin + timedelta(seconds=done / rate)
        return await desk.client.replay_many(ids, at=moment, rate=rate, as_of=last)

    tally = Tally()
    total = match.number if match.exact else None
    await carried_out(desk, chosen, act, what="replayed", tally=tally, total=total, last=last)
    text = f"{number_of(tally.done, _NOUN)} {'is' if tally.done == 1 else 'are'} scheduled again"
    if rate is not None and tally.done:
        ends = begin + timedelta(seconds=(tally.done - 1) / rate)
        text += f", the last one due {desk.moment(ends)}"
    elif start is not None and tally.done:
        text += f", due {desk.moment(start)}"
    _told(desk, "replay", match, tally, last=last, reason=given["reason"], text=f"{text}.")


@verb("purge", changes=True)
@_cause
@_as_of
@_reason
@bulk
@filtered(dead=True, acts=True)
async def purge(desk: Desk, *, filter: Filter, cause: str | None, **given: Any) -> None:
    """Remove all dead letters that match, for good."""
    chosen, last, match = await _chosen(desk, filter, cause, given)
    if given["dry_run"]:
        _shown(desk, match, "purged", last)
        return
    if match.number:
        desk.confirm(f"Purge {match.told(_NOUN)}, for good,", always=True)

    async def act(some: Sequence[Message], _: int) -> int:
        dated = [each.id for each in some if each.died_at is not None]
        others = [each.id for each in some if each.died_at is None]  # nobody noted when
        # The bound leaves alone what was replayed meanwhile and died again.
        number = await desk.client.purge(Filter(ids=dated, died_before=last)) if dated else 0
        return number + (await desk.client.purge(Filter(ids=others)) if others else 0)

    tally = Tally()
    total = match.number if match.exact else None
    await carried_out(desk, chosen, act, what="purged", tally=tally, total=total, last=last)
    text = f"{number_of(tally.done, _NOUN)} {'is' if tally.done == 1 else 'are'} gone for good."
    _told(desk, "purge", match, tally, last=last, reason=given["reason"], text=text)


async def _chosen(
    desk: Desk, filter: Filter, cause: str | None, given: Mapping[str, Any]
) -> tuple[Filter, datetime, Match]:
    """Which dead letters, until when they died, and how many these are."""
    said = given["as_of"]
    last = datetime.now(UTC) if said is None else moment_of(desk, said, "--as-of")
    if cause is not None:
        filter = await _alike(desk, filter, cause)
    match = await matching(desk, filter, look_at=given["look_at"], last=last)
    if not match.exact and said is None and filter == Filter(state=State.DEAD):
        count = await desk.client.count(filter)  # which the store keeps
        match = attrs.evolve(match, number=count.number, exact=True)
    match.check(given["expect"], _NOUN)
    return filter, last, match


async def _alike(desk: Desk, filter: Filter, cause: str) -> Filter:
    """The filter for what died like that dead letter, or of an error with that text."""
    if filter.error is not None or filter.error_class is not None:
        raise Refused("--cause and --error, or --error-class, cannot go together", USAGE)
    try:
        like = await desk.client.get(cause)
    except MessageNotFound:
        like = None
    if like is not None and like.state is State.DEAD:
        found = await desk.client.causes(Filter(state=State.DEAD, ids=[cause]))
        if not found.causes:
            raise Refused(f"of {cause!r} nobody knows what it died of")
        same = found.causes[:1]
    else:
        found = await desk.client.causes(filter)
        texts = [(each, f"{each.error_class}: {each.text}") for each in found.causes]
        same = [each for each, text in texts if cause in (text, each.text)]
        same = same or [each for each, text in texts if cause in text]
    if len(same) != 1:
        several = f"{len(same)} causes match" if same else "there is no dead letter and no cause"
        some = "" if found.complete else f" among the first {found.looked_at:,}"
        raise Refused(f"{several} {cause!r}{some}: give the id of a dead letter, see: duly dead")
    (one,) = same
    return attrs.evolve(filter, error=one.filter.error, error_class=one.filter.error_class)


def _shown(desk: Desk, match: Match, what: str, last: datetime) -> None:
    match.show(desk, _NOUN, what)
    desk.record(
        {
            "action": "replay" if what == "replayed" else "purge",
            **match.facts(),
            "done": 0,
            "as_of": last,
            "dry_run": True,
            "first": [each.id for each in match.first],
        }
    )


def _told(
    desk: Desk,
    action: str,
    match: Match,
    tally: Tally,
    *,
    last: datetime,
    reason: str | None,
    text: str,
) -> None:
    desk.say(text if tally.seen else "No dead letter matches: nothing was done.")
    left = tally.seen - tally.done
    if left:
        why = "has expired, cannot be read, or is gone" if action == "replay" else "is gone"
        desk.say(f"{number_of(left, 'other')} left out: what {why} meanwhile.")
    if reason is not None and desk.target.history is None:
        desk.note("The reason is not kept: no history is said that keeps what was done.")
    desk.record(
        {
            "action": action,
            **match.facts(),
            "done": tally.done,
            "left_out": left,
            "as_of": last,
            "dry_run": False,
            "reason_kept": reason is not None and desk.target.history is not None,
        }
    )
    desk.code = tally.code
