"""What the ledgers prove, compared with what was scheduled."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from demo_parts.ledger import Entry
from demo_parts.plan import Occurrence, Plan

__all__ = ["Verdict", "judge", "percentile"]


Moments = Mapping[Occurrence, Sequence[datetime]]


class Verdict(NamedTuple):
    """Counts of occurrences, and the lateness in seconds of each at its first delivery."""

    scheduled: int
    delivered: int
    redelivered: int
    failed_first: int
    lost: Collection[Occurrence]
    early: Sequence[Entry]
    unwanted: Collection[Occurrence]
    undisturbed: Sequence[float]
    """Of those that neither failed nor had to do with the killed scheduler."""
    retried: Sequence[float]
    rescued: Sequence[float]
    """Of those in the hands of the killed scheduler, and of fires that waited behind such a one."""

    @property
    def promise_kept(self) -> bool:
        """Nothing lost, nothing early, nothing that was cancelled."""
        return not self.lost and not self.early and not self.unwanted


def judge(plan: Plan, entries: Iterable[Entry], held: Collection[Occurrence]) -> Verdict:
    """The verdict on all that was noted; ``held`` was in hand when a process was killed."""
    published: defaultdict[Occurrence, list[datetime]] = defaultdict(list)
    failed, early = set(), []
    for entry in entries:
        if entry.what not in ("published", "failed"):
            continue
        if entry.occurrence in plan.due and entry.at < plan.due[entry.occurrence]:
            early.append(entry)
        if entry.what == "published":
            published[entry.occurrence].append(entry.at)
        else:
            failed.add(entry.occurrence)
    lateness = _lateness(plan, published)
    held = {each for each in lateness if _waited(each, held, plan, published)}
    return Verdict(
        scheduled=len(plan.due),
        delivered=len(lateness),
        redelivered=sum(len(moments) > 1 for moments in published.values()),
        failed_first=len(failed),
        lost=plan.due.keys() - published.keys(),
        early=early,
        unwanted=published.keys() - plan.due.keys(),
        undisturbed=[s for each, s in lateness.items() if each not in failed and each not in held],
        retried=[s for each, s in lateness.items() if each in failed and each not in held],
        rescued=[s for each, s in lateness.items() if each in held],
    )


def _waited(each: Occurrence, held: Collection[Occurrence], plan: Plan, published: Moments) -> bool:
    """Whether an occurrence was held, or came due while an earlier one of its series still was."""
    return each in held or any(
        each.id == other.id
        and other.number < each.number
        and plan.due[each] < max(published[other], default=plan.due[other])
        for other in held
    )


def _lateness(plan: Plan, published: Moments) -> Mapping[Occurrence, float]:
    return {
        each: (min(moments) - plan.due[each]).total_seconds()
        for each, moments in published.items()
        if each in plan.due
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that so many percent do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)] if ordered else 0.0
