"""``duly cancel``: messages that shall not be delivered."""

import shlex
from collections.abc import Sequence
from typing import Any

import attrs

from duly import Cancellation, DulyError, Filter, Message, MessageNotFound, State
from duly_cli.desk import Desk
from duly_cli.errors import IN_PART, REFUSED, USAGE, Refused
from duly_cli.many import Match, Tally, bulk, carried_out, matching, number_of
from duly_cli.verbs import filtered, verb

__all__ = ["cancel"]

_TOLD = {
    "cancelled": "{} is cancelled.",
    "too_late": "{}: too late, a scheduler holds it. It may be delivered once more, and is not "
    "tried again.",
    "dead": "{} is a dead letter and waits for nothing: duly dead purge --id {} removes it.",
    "unknown": "{} is unknown: it was never scheduled, or delivered or cancelled.",
}


@verb(changes=True)
@bulk
@filtered(acts=True, named=True)
async def cancel(desk: Desk, *, filter: Filter, **given: Any) -> None:
    """Take messages back: those of these ids, or all that match.

    Dead letters stay as they are. What a scheduler holds may be delivered once more.
    """
    if filter.state is State.DEAD or (filter.phase and filter.phase.state is State.DEAD):
        raise Refused("dead letters wait for nothing: duly dead purge removes them", USAGE)
    if filter == Filter(ids=filter.ids) and filter.ids and not given["dry_run"]:
        await _each(desk, [*filter.ids], given["expect"])
    else:
        await _all(desk, filter, **given)


async def _each(desk: Desk, ids: Sequence[str], expect: int | None) -> None:
    if expect is not None and expect != len(ids):
        raise Refused(f"{number_of(len(ids), 'id')}, and {expect:,} were expected")
    desk.confirm(f"Cancel {ids[0] if len(ids) == 1 else number_of(len(ids), 'message')}")
    done = 0
    for id in ids:
        try:
            outcome = await _outcome(desk, id)
        except DulyError as error:
            if not done:
                raise
            text = f"{done:,} of {len(ids):,} are cancelled, then: {error}"
            raise Refused(text, IN_PART) from error
        done += outcome == "cancelled"
        desk.say(_TOLD[outcome].format(id, shlex.quote(id)))
        desk.record({"id": id, "outcome": outcome})
    if done < len(ids):
        desk.code = IN_PART if done else REFUSED


async def _outcome(desk: Desk, id: str) -> str:
    try:
        message = await desk.client.get(id)
    except MessageNotFound:
        return "unknown"
    if message.state is State.DEAD:
        return "dead"
    found = await desk.client.cancel(id, missing_ok=True)
    return str(found.value if found is not Cancellation.TOO_LATE else "too_late")


async def _all(
    desk: Desk, filter: Filter, *, dry_run: bool, expect: int | None, look_at: int
) -> None:
    """What waits and what is in hand, each by itself: dead letters are among neither."""
    one = None if filter.phase is None else filter.phase.state
    states = [State.SCHEDULED, State.CLAIMED] if one is None else [one]
    match = Match(0, exact=True)
    for state in states:
        some = attrs.evolve(filter, state=state)
        match += await matching(desk, some, look_at=look_at)
    match.check(expect, "message")
    facts = {"action": "cancel", **match.facts(), "dry_run": dry_run}
    if dry_run:
        match.show(desk, "message", "cancelled")
        desk.record({**facts, "done": 0, "first": [each.id for each in match.first]})
        return
    if match.number:
        desk.confirm(f"Cancel {match.told('message')}", always=True)
    tally, held = Tally(), Tally()
    for state in states:
        some = attrs.evolve(filter, state=state)

        async def act(messages: Sequence[Message], _: int, state: State = state) -> int:
            ids = Filter(ids=[each.id for each in messages], state=state)
            return await desk.client.cancel_many(ids)

        counted = held if state is State.CLAIMED else tally
        await carried_out(desk, some, act, what="cancelled", tally=counted, total=match.number)
    be = "is" if tally.done == 1 else "are"
    desk.say(
        f"{number_of(tally.done, 'message')} {be} cancelled."
        if tally.seen or held.seen
        else "Nothing matches: nothing was done."
    )
    if held.seen:
        desk.say(
            f"{held.seen:,} in hand: they may be delivered once more, and are not tried again."
        )
    desk.record({**facts, "done": tally.done, "in_hand": held.seen})
    desk.code = Tally(tally.seen + held.seen, tally.done).code
