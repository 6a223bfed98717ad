"""Why a message is where it is, and what the dead ones died of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from duly._caller.attending import Attending
from duly._caller.overview import Overview
from duly._values.causes import Cause, Causes, causes_of
from duly._values.controls import Control, Rules
from duly._values.matching import phase_of
from duly._values.patterns import best_key, matches_name
from duly._values.presence import SchedulerInfo
from duly._values.spoken import counted, moment
from duly._values.states import Phase, State
from duly.errors import Expired
from duly.message import UNREADABLE, Filter, Message
from duly.store import SupportsWhere, Whereabouts
from duly.words import duration

__all__ = ["Cause", "Causes", "Explaining", "Why"]

_DEAD: Final = Filter(state=State.DEAD)
_LOOKED_AT: Final = 10_000  # messages


@attrs.frozen(kw_only=True)
class Why:
    """Why a message is where it is, in one word and one sentence.

    ``code`` is one of "scheduled", "postponed", "retrying", "due", "late", "aside", "paused",
    "limited", "nobody", "away", "claimed", "lapsed" and "dead". ``until`` is when that ends by
    itself, None where it does not or nobody knows. ``holder`` is the owner of the lease it is in,
    ``rule`` the name or prefix that holds it back, ``route`` says why the transport is away.
    ``where`` is None on a store that cannot tell.
    """

    code: str
    text: str
    phase: Phase
    message: Message
    where: Whereabouts | None = None
    until: datetime | None = None
    holder: str | None = None
    rule: str | None = None
    route: str | None = None


class Explaining(Attending):
    """The verbs of a client that tell why."""

    async def why(self, message_id: str) -> Why:
        """Why a message is where it is: what it waits for, in whose hands it is, what it died of.

        Asks the store for the message, its place, the rules and the schedulers, as far as the
        store can tell.

        Raises:
            MessageNotFound: the id is unknown: never scheduled, delivered already, or cancelled.
        """
        message = await self.get(message_id)
        where = None
        if isinstance(self._calls.store, SupportsWhere):
            where = await Overview.where(self, message_id)
            if where.state is not message.state:  # it went on meanwhile
                message = await self.get(message_id)
        now = self._now()
        if message.state is State.DEAD:
            return _dead(message, where)
        alive = await self._schedulers_if_any()
        if message.state is State.CLAIMED:
            return _claimed(message, where, alive or [], now)
        return _waiting(message, where, await self._controls_if_any(), alive, now)

    async def causes(self, filter: Filter = _DEAD) -> Causes:
        """What the dead letters died of: errors that are alike, counted.

        With another filter the messages that match it; those without an error count nowhere. At
        most 10,000 messages are looked at, without their payloads.

        Raises:
            InvalidArgument: the filter is none.
        """
        return await self._causes(filter, look_at=_LOOKED_AT)

    async def _causes(self, filter: Filter, *, look_at: int) -> Causes:
        found = await self.search(filter, look_at=look_at, payload=False)
        return Causes(
            causes=causes_of(found.messages, filter),
            looked_at=found.looked_at,
            complete=found.complete,
        )


def _dead(message: Message, where: Whereabouts | None) -> Why:
    since = "" if message.died_at is None else f" since {moment(message.died_at)}"
    error = message.last_error or "no error was kept"
    tried = message.retry_count + (message.error_class != Expired.__name__)  # which did not begin
    if message.event_name == UNREADABLE:
        text = f": a record that cannot be read, {error}. It stays until it is purged."
    else:
        after = f"after {counted(tried, 'attempt')}" if tried else "before any attempt"
        text = f", given up {after}: {error}. It stays until it is replayed or purged."
    return Why(
        code="dead",
        text=f"It is a dead letter{since}{text}",
        phase=Phase.DEAD,
        message=message,
        where=where,
    )


def _claimed(
    message: Message, where: Whereabouts | None, schedulers: list[SchedulerInfo], now: datetime
) -> Why:
    owner = None if where is None else where.owner
    end = None if where is None else where.lease_ends_at
    holder = next((each for each in schedulers if each.owner == owner), None)
    name = "a scheduler" if owner is None else owner
    if holder is not None and holder.instance is not None:
        name = f"{holder.instance} ({owner})"
    if end is not None and end <= now:
        code, text = "lapsed", f"The lease of {name} ended at {moment(end)}: the next claim of any "
        text += "scheduler brings it back."
    elif end is None:
        code, text = "claimed", f"It is in the hands of {name}."
    else:
        code = "claimed"
        text = f"It is in the hands of {name}, whose lease is good until {moment(end)}."
        if holder is not None and holder.gone:
            text += (
                f" That scheduler was last seen at {moment(holder.seen)} and counts as gone: "
                "recover it, or it comes back when the lease ends."
            )
    return Why(
        code=code, text=text, phase=Phase.CLAIMED, message=message, where=where, until=end,
        holder=owner,
    )  # fmt: skip


def _waiting(
    message: Message,
    where: Whereabouts | None,
    controls: Mapping[str, Control],
    schedulers: list[SchedulerInfo] | None,
    now: datetime,
) -> Why:
    due_at = message.next_attempt_at
    aside = where is not None and where.aside
    phase = Phase.ASIDE if aside else phase_of(message, now)
    code, text, until, rule, route = _waits(message, phase, now)
    rules = Rules(controls)
    paused, end = _longest_pause(rules, message.event_name)
    limits = _limits(rules, message.event_name)
    if paused is not None:
        rule = paused
        held = paused_text(paused, controls[paused])
        if due_at <= now:
            code, until, text = "paused", end, f"Due since {moment(due_at)}, and {held}."
        else:
            text = f"{text} By then {held}." if end is None or end > due_at else text
    elif due_at <= now and schedulers is not None:
        living = [each for each in schedulers if not each.gone]
        away = [each.outage for each in living if each.outage]
        late = duration(now - due_at)
        if not living:
            code = "nobody"
            text = f"It is {late} late: no scheduler is alive. Start one."
        elif len(away) == len(living):
            code, route = "away", away[0]
            text = f"It is {late} late: the transport is away ({away[0]}). Nothing is counted."
        elif limits and aside:
            code, rule = "limited", limits[0]
            said = "rule" if len(limits) == 1 else "rules"
            verb = "limits" if len(limits) == 1 else "limit"
            text = f"It is {late} late, aside: the {said} for {' and '.join(limits)} {verb} how "
            text += "much is published."
    return Why(
        code=code, text=text, phase=phase, message=message, where=where, until=until,
        rule=rule, route=route,
    )  # fmt: skip


def _longest_pause(rules: Rules, name: str) -> tuple[str | None, datetime | None]:
    """Of the rules that pause a name the one that does so longest, and until when."""
    found: str | None = None
    end: datetime | None = None
    for key in rules.paused:
        pause = rules.controls[key].pause
        if pause is None or not matches_name(key, name):
            continue
        if found is None or (end is not None and (pause.until is None or pause.until > end)):
            found, end = key, pause.until
    return found, end


def _limits(rules: Rules, name: str) -> Sequence[str]:
    """The rules that give a name its rate and its number in flight, the longer one first."""
    found = {best_key(rules.rates, name), best_key(rules.in_flight, name)} - {None}
    return sorted(map(str, found), key=len, reverse=True)


def _waits(
    message: Message, phase: Phase, now: datetime
) -> tuple[str, str, datetime | None, str | None, str | None]:
    due_at = message.next_attempt_at
    if phase is Phase.ASIDE:
        text = (
            f"Due since {moment(due_at)}, it stands aside, so that others pass: its event name "
            "has all the slots it may have. It goes as they become free."
        )
        return "aside", text, None, None, None
    if phase is Phase.DUE:
        late = now - due_at
        text = f"Due since {moment(due_at)}, {duration(late)} ago: it goes with one of the next "
        return ("late" if late.total_seconds() > 1 else "due"), text + "claims.", None, None, None
    when = f"at {moment(due_at)}, in {duration(due_at - now)}"
    if phase is Phase.RETRYING:
        number = message.retry_count + 1
        text = f"It waits for attempt {number} {when}. The last one failed"
        text += "." if message.last_error is None else f": {message.last_error}."
        return "retrying", text, due_at, None, None
    if message.postpone_count and due_at > message.scheduled_at:
        return "postponed", f"It was put off and is tried again {when}.", due_at, None, None
    return "scheduled", f"It is due {when}.", due_at, None, None


def paused_text(rule: str, control: Control) -> str:
    """A pause in words: by whom, why, until when."""
    pause = control.pause
    assert pause is not None, "the rule pauses"  # noqa: S101  # for the type checker
    by = f" by {pause.by}" if pause.by else ""
    until = "" if pause.until is None else f" until {moment(pause.until)}"
    reason = f" ({pause.reason})" if pause.reason else ""
    return f"{rule} is paused{by}{until}{reason}"
