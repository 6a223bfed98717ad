"""What a scheduler says of itself to all who share its store, and what is made of that."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from duly._values.notes import Note
from duly._values.processes import Process, lives, this_process

__all__ = ["EVERY", "HERE", "PREFIX", "SchedulerInfo", "Seen", "announced", "outdated", "seen"]

PREFIX: Final = "schedulers/"
"""What the names of the notes begin with; the owner stands behind it."""
EVERY: Final = 5.0
"""Seconds between two announcements."""
HERE: Final[set[str]] = set()
"""The owners that run in this process."""

_LASTS: Final = timedelta(seconds=15)  # an announcement
_SLOW: Final = timedelta(seconds=2 * EVERY)
_KEPT: Final = timedelta(days=1)  # one that has run out
_OF_A_HOST: Final = 10  # that have run out are kept: a host may start and crash without end
_IN_ALL: Final = 100
_MOST_TEXT: Final = 1000  # characters of each text


@attrs.frozen(kw_only=True)
class SchedulerInfo:
    """A scheduler, as it announced itself in its store when it was last ``seen``.

    ``owner`` is what it is called in leases (:attr:`Whereabouts.owner`): ``host:pid:random``,
    another one each time it starts. ``instance`` is the name that it was given, if any. ``since``
    is when it began to run and ``seen`` when it last said so, both by the store's clock;
    ``process_started`` is by its host's, None where the system does not tell.

    ``transport`` is the class of its transport, ``version`` that of duly. It publishes
    ``slots_used`` messages just now, at most ``slots``; ``claimed`` messages are in its hands,
    those included. ``outage`` says why its transport is away, None when it is not. ``lease`` is its
    ``stuck_duration``.

    ``overdue``: it has said nothing for longer than it does while all is well, and is not gone yet.
    With a file of SQLite an idle one need say nothing: it is never overdue.

    ``gone``: it has said nothing for 15 seconds, and did not leave either. That it is dead is
    likely, not certain: a host may be cut off or frozen. With a file of SQLite, where nobody writes
    only to be seen, it is certain: its process is there no more. Only of one in another container,
    whose process cannot be looked at, it is a guess there too: it has written nothing for 15
    seconds and a third of its lease, as one that holds something would. If it holds nothing it may
    live.
    """

    owner: str
    instance: str | None
    host: str
    pid: int
    process_started: datetime | None
    version: str
    since: datetime
    transport: str
    slots_used: int
    slots: int
    claimed: int
    outage: str | None
    lease: timedelta
    seen: datetime
    gone: bool = False
    overdue: bool = False


@attrs.frozen
class Seen:
    """An announcement that was read, from which note.

    ``certain``: whether it is known, rather than supposed, to live or to be gone. ``left`` is in
    how many seconds it is gone, unless it is renewed before.
    """

    name: str
    note: Note
    info: SchedulerInfo
    certain: bool
    left: float


def announced(info: SchedulerInfo, process: Process) -> bytes:
    """What to write into a note. ``process`` is that in which the scheduler runs."""
    facts = attrs.asdict(info)
    del facts["gone"], facts["overdue"]
    texts = {name: each[:_MOST_TEXT] for name, each in facts.items() if isinstance(each, str)}
    moments = {name: each.isoformat() for name, each in facts.items() if isinstance(each, datetime)}
    own = {"lease": info.lease.total_seconds(), "process": attrs.asdict(process)}
    return json.dumps({"format": 1, **facts, **texts, **moments, **own}).encode()


def seen(name: str, note: Note, *, one_host: bool) -> Seen | None:
    """What a note announces; None if it cannot be read, as of a version that is much newer.

    ``one_host``: all who share the store run on one host, and renew what they say only when they
    write anyway.
    """
    try:
        facts = json.loads(note.value)
        process = Process(**facts["process"])
        return _judged(name, note, _info(facts), process if one_host else None)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return None


def _judged(name: str, note: Note, info: SchedulerInfo, process: Process | None) -> Seen:
    """``process`` None: only the time tells whether it is gone."""
    alive = None
    info = attrs.evolve(info, overdue=note.now - info.seen > _silent(info, process))
    if process is not None:
        alive = info.owner in HERE if process == this_process() else lives(process)
    if alive is not None:
        info = attrs.evolve(info, gone=not alive, overdue=info.overdue and alive)
        return Seen(name, note, info, certain=True, left=EVERY if alive else 0.0)
    lasts = _LASTS if process is None else _LASTS + info.lease / 3
    left = max(0.0, (info.seen + lasts - note.now).total_seconds())
    info = attrs.evolve(info, gone=not left, overdue=info.overdue and left > 0)
    return Seen(name, note, info, certain=False, left=left)


def _silent(info: SchedulerInfo, process: Process | None) -> timedelta:
    """How long it says nothing at most while all is well: two announcements may be slow."""
    if process is None:
        return _SLOW
    return info.lease / 3 + _SLOW if info.claimed else timedelta.max


def outdated(found: Iterable[Seen]) -> Sequence[Seen]:
    """Of all announcements those that are kept no longer: gone for a day, or the eldest of many."""
    kept: Counter[str] = Counter()
    old = []
    for each in sorted(found, key=lambda each: each.info.seen, reverse=True):
        if not each.info.gone:
            continue
        host = each.info.host
        if (
            each.note.now - each.info.seen > _KEPT
            or kept[host] >= _OF_A_HOST
            or kept.total() >= _IN_ALL
        ):
            old.append(each)
        else:
            kept[host] += 1
    return old


def _info(facts: Mapping[str, Any]) -> SchedulerInfo:
    started = facts["process_started"]
    return SchedulerInfo(
        owner=str(facts["owner"]),
        instance=None if facts["instance"] is None else str(facts["instance"]),
        host=str(facts["host"]),
        pid=int(facts["pid"]),
        process_started=None if started is None else datetime.fromisoformat(started),
        version=str(facts["version"]),
        since=datetime.fromisoformat(facts["since"]),
        transport=str(facts["transport"]),
        slots_used=int(facts["slots_used"]),
        slots=int(facts["slots"]),
        claimed=int(facts["claimed"]),
        outage=None if facts["outage"] is None else str(facts["outage"]),
        lease=timedelta(seconds=facts["lease"]),
        seen=datetime.fromisoformat(facts["seen"]),
    )
