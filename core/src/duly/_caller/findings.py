"""What is not as it should be, each in a sentence of its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from duly._caller.attending import Unpaused
from duly._caller.explaining import paused_text
from duly._values.causes import Cause
from duly._values.controls import Control
from duly._values.presence import SchedulerInfo
from duly._values.spoken import counted
from duly.message import Filter
from duly.store import NameStats, Stats
from duly.words import duration

__all__ = ["Finding", "died", "ended", "failing", "gone", "held", "lateness", "nobody", "well"]

_TOLD: Final = 3  # names, schedulers or causes in a row
_CLIPPED: Final = 120  # characters of an error


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that is not as it should be, or the word that all is well.

    ``code`` is one of "store_away", "nobody", "away", "late", "failing", "gone",
    "dead", "paused", "empty" and "well".
    ``act`` is the verb that helps, None where none does: "run", "show", "replay", "recover",
    "resume", "schedule"; ``about`` is what it is to be used on, an event name or an instance.
    ``filter`` finds the messages that it is about, where errors that are alike tell which.
    """

    code: str
    text: str
    act: str | None = None
    about: str | None = None
    filter: Filter | None = None


def nobody(stats: Stats, unpaused: Unpaused, now: datetime) -> Sequence[Finding]:
    """That nobody delivers what waits; or that there is nothing at all."""
    if unpaused.since is not None:
        what = f"what is due waits, the oldest for {duration(now - unpaused.since)}"
    elif stats.oldest_due is not None or stats.aside:
        what = "all that is due is paused" if unpaused.sure else "what is due waits, or is paused"
    elif stats.scheduled:
        when = "" if stats.next_due is None else f", the next in {duration(stats.next_due - now)}"
        what = f"{counted(stats.scheduled, 'message')} will be due{when}"
    elif stats.claimed:
        what = f"{counted(stats.claimed, 'message')} wait for the end of a lease"
    elif stats.dead:
        return []
    else:
        return [Finding(code="empty", text="Nothing is scheduled yet.", act="schedule")]
    return [
        Finding(code="nobody", text=f"Nobody delivers: no scheduler is alive, {what}.", act="run")
    ]


def lateness(
    stats: Stats,
    late: int,
    names: Sequence[NameStats],
    living: Sequence[SchedulerInfo],
    now: datetime,
) -> Sequence[Finding]:
    """That a transport is away, and that messages are late."""
    findings = []
    away = [each for each in living if each.outage]
    for each in away[:_TOLD]:
        who = each.instance or each.owner
        text = f"The transport of {who} is away: {_clipped(str(each.outage))}. "
        text += "What is due waits, nothing is counted as failed."
        findings.append(Finding(code="away", text=text, about=who))
    if late and stats.oldest_due is not None:
        oldest = names[0].oldest if names else stats.oldest_due
        since = duration(now - (oldest or stats.oldest_due))
        told = ", ".join(each.name for each in names[:_TOLD])
        more = " and others" if len(names) > _TOLD else ""
        of = f" of {told}{more}" if told else ""
        some = "at least " if any(each.at_least for each in names) or not names else ""
        verb = "is" if late == 1 else "are"
        text = f"{some}{counted(late, 'message')}{of} {verb} late, the oldest by {since}."
        findings.append(Finding(code="late", text=text[:1].upper() + text[1:]))
    return findings


def gone(stats: Stats, schedulers: Sequence[SchedulerInfo], now: datetime) -> Sequence[Finding]:
    """Schedulers that say nothing any more while somebody's leases hold messages."""
    findings = []
    # More than those who live hold, as they have said: one that is gone may have claimed since.
    others = stats.claimed - sum(each.claimed for each in schedulers if not each.gone)
    silent = [each for each in schedulers if each.gone and (each.claimed or others > 0)]
    for each in [each for each in silent if now - each.seen < 2 * each.lease][:_TOLD]:
        who = each.instance or each.owner
        seen = f"seen {duration(now - each.seen)} ago"
        if each.claimed:
            held = f"when it held {counted(each.claimed, 'message')}, which come back"
        else:
            held = f"and {counted(others, 'message')} in hand may be its own; they come back"
        text = f"The scheduler {who} is gone: {seen}, {held} when its leases end."
        findings.append(Finding(code="gone", text=text, act="recover", about=who))
    return findings


def held(controls: Mapping[str, Control], *, alone: bool) -> Sequence[Finding]:
    """Pauses, where something else is wrong too; ``alone`` only one of all names."""
    paused = [key for key, each in controls.items() if each.pause is not None]
    told = [key for key in paused if key == "*"] if alone else paused
    return [
        Finding(
            code="paused",
            text=f"{ended(paused_text(key, controls[key]))}",
            act="resume",
            about=key,
        )
        for key in told[:_TOLD]
    ]


def failing(cause: Cause, *, complete: bool) -> Finding:
    some = "" if complete else "At least "
    what = f"{some}{counted(cause.number, 'message')} of {_names(cause.event_names)}"
    text = f"{what} failed and are tried again by themselves: {ended(_told(cause))}"
    return Finding(code="failing", text=text, act="show", about=cause.example, filter=cause.filter)


def died(cause: Cause, *, complete: bool) -> Finding:
    some = "" if complete else "at least "
    text = (
        f"{some}{counted(cause.number, 'new dead letter')} of one cause: "
        f"{_names(cause.event_names)}, {ended(_told(cause))}"
    )
    text = text[:1].upper() + text[1:]
    return Finding(
        code="dead", text=text, act="replay", about=cause.event_names[0], filter=cause.filter
    )


def _told(cause: Cause) -> str:
    text = _clipped(cause.text)
    known = cause.error_class is None or text.startswith(cause.error_class)
    return text if known else f"{cause.error_class}: {text}"


def ended(text: str) -> str:
    """With a full stop, unless it has one."""
    return text if text.endswith(".") else f"{text}."


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more


def _clipped(text: str) -> str:
    return text if len(text) <= _CLIPPED else f"{text[: _CLIPPED - 3]}..."


def well(stats: Stats, controls: Mapping[str, Control], now: datetime, *, old: bool) -> Finding:
    """That all is well, when the next is due, what is paused, and whether the dead are old ones."""
    said = []
    if stats.next_due is not None:
        said.append(f"the next is due in {duration(stats.next_due - now)}")
    paused = [key for key, each in controls.items() if each.pause is not None]
    said += [paused_text(key, controls[key]) for key in paused[:_TOLD]]
    if len(paused) > _TOLD:
        more = len(paused) - _TOLD
        said.append(f"{more} more {'is' if more == 1 else 'are'} paused")
    if stats.dead:
        age = " from before the last hour" if old else ", of which not all were looked at"
        said.append(f"{counted(stats.dead, 'dead letter')}{age}")
    return Finding(code="well", text=f"All is well{': ' if said else ''}{'; '.join(said)}.")
