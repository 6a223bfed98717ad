"""How things stand, in one sentence and what helps."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import attrs

from duly._caller import ability_answers as answers
from duly._caller.explaining import Causes, Explaining
from duly._caller.findings import Finding, died, ended, failing, gone, held, lateness, nobody, well
from duly._values.controls import Control, Rules
from duly._values.error_text import error_text
from duly._values.presence import SchedulerInfo
from duly._values.states import Phase, State
from duly.errors import StoreError, StoreUnavailable, Unsupported
from duly.message import Filter
from duly.store import NameStats, Stats, SupportsOverdue

__all__ = ["Finding", "Standing", "Surveying"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

_LATE: Final = timedelta(seconds=10)
_RECENT: Final = timedelta(hours=1)  # dead letters that count as new
_LOOKED_AT: Final = 2000  # messages of which the causes are told
_IN_LINE: Final = 10_000  # messages of which the names are told
_PAGES: Final = 10  # of a thousand event names each
_TOLD: Final = 3  # causes
_NAMED: Final = 100  # event names


@attrs.frozen(kw_only=True)
class Standing:
    """How things stand: ``findings``, the gravest first; the first is the sentence to show.

    ``stats`` is None when the store does not answer. ``schedulers`` and ``controls`` are empty
    where the store keeps none.
    """

    as_of: datetime
    findings: Sequence[Finding]
    stats: Stats | None = None
    schedulers: Sequence[SchedulerInfo] = ()
    controls: Mapping[str, Control] = attrs.field(factory=dict)
    late: int = 0
    """Messages that are due, of event names of which one is over 10 s late; at least so many.

    Those aside are left out, and names that are paused, or limited so that some stand aside.
    """
    late_names: Sequence[str] = ()
    """Of which event names these are, that of the oldest first: up to 100 of them."""

    @property
    def sentence(self) -> str:
        """The text of the first finding."""
        return self.findings[0].text

    @property
    def code(self) -> str:
        """The code of the first finding: "well" when all is well."""
        return self.findings[0].code


class Surveying(Explaining):
    """The verb of a client that says how things stand."""

    async def standing(self) -> Standing:
        """How things stand: one sentence, and what is not as it should be, the gravest first.

        Asks for counts, rules, schedulers and event names, and for the causes of at most 2,000
        messages. Trouble of the store is a finding, never raised.
        """
        try:
            return await self._standing()
        except StoreError as error:
            said = ended(error_text(error))
            text = f"The store does not answer: {said} Nothing leaves, nothing is lost."
            if not isinstance(error, StoreUnavailable):  # it does
                text = f"The store does not tell how things stand: {said}"
            finding = Finding(code="store_away", text=text)
            return Standing(as_of=self._now(), findings=[finding])

    async def _standing(self) -> Standing:
        stats, controls, schedulers = await _together(
            self.stats(), self._controls_if_any(), self._schedulers_if_any()
        )
        now = self._now()
        rules = Rules(controls)
        (late, names), failures, deaths = await _together(
            self._late(stats, rules, now), self._failures(), self._deaths(stats, now)
        )
        living = None if schedulers is None else [each for each in schedulers if not each.gone]
        attended = living or living is None
        findings = [
            *([] if attended else nobody(stats, await self._unpaused(stats, rules), now)),
            *lateness(stats, late, names, living or [], now),
            *failures,
            *gone(stats, schedulers or [], now),
        ]
        findings += [died(each, complete=deaths.complete) for each in deaths.causes[:_TOLD]]
        findings += held(controls, alone=not findings)
        return Standing(
            as_of=now,
            findings=findings or [well(stats, controls, now, old=deaths.complete)],
            stats=stats,
            schedulers=schedulers or [],
            controls=controls,
            late=late,
            late_names=[each.name for each in names[:_NAMED]],
        )

    async def _late(
        self, stats: Stats, rules: Rules, now: datetime
    ) -> tuple[int, Sequence[NameStats]]:
        """How many are late at least, and under which names, the oldest first."""
        if stats.oldest_due is None or now - stats.oldest_due <= _LATE:
            return 0, []
        unknown = 0 if rules.paused else 1  # that is late, where nobody can say of which name
        try:
            found, complete = await self._due(rules, now)
        except Unsupported:
            return unknown, []
        late = [each for each in found if each.oldest is None or now - each.oldest > _LATE]
        if not late and not complete:
            return unknown, []
        late.sort(key=lambda each: (each.oldest or now, each.name))
        return sum(each.due - each.aside for each in late), late

    async def _due(self, rules: Rules, now: datetime) -> tuple[Sequence[NameStats], bool]:
        """The names of which something is due that no rule holds back, and whether that is all."""
        store = self._calls.store
        if not isinstance(store, SupportsOverdue):
            return await self._due_of_names(rules)
        answer = await self._calls(store.overdue, now, look_at=_IN_LINE)
        found = answers.overdue(answer)
        return [
            NameStats(
                name=each.name, due=each.in_line, oldest=each.oldest, at_least=not found.complete
            )
            for each in found.names
            if rules.paused_by(each.name) is None and not (each.aside and rules.touch(each.name))
        ], found.complete

    async def _due_of_names(self, rules: Rules) -> tuple[Sequence[NameStats], bool]:
        """The same, among the first names of all."""
        found: list[NameStats] = []
        after, partial = None, False
        for _ in range(_PAGES):
            page = await self.names(after=after)
            if not page:
                return found, not partial
            partial |= any(each.at_least and not rules.touch(each.name) for each in page)
            found += [
                each
                for each in page
                if each.due > each.aside
                and rules.paused_by(each.name) is None
                and not (each.aside and rules.touch(each.name))
            ]
            after = page[-1].name
        return found, False

    async def _failures(self) -> Sequence[Finding]:
        """What is tried again and again, where several fail alike."""
        found = await self._causes(Filter(phase=Phase.RETRYING), look_at=_LOOKED_AT)
        causes = [cause for cause in found.causes[:1] if cause.number > 1]
        return [failing(cause, complete=found.complete) for cause in causes]

    async def _deaths(self, stats: Stats, now: datetime) -> Causes:
        """What the new dead letters died of; of very many first those that were due of late."""
        if not stats.dead:
            return Causes(causes=[], looked_at=0, complete=True)
        new = Filter(state=State.DEAD, died_after=now - _RECENT)
        found = await self._causes(new, look_at=_LOOKED_AT)
        if not found.complete:
            late = attrs.evolve(new, after=now - _RECENT)
            of_late = await self._causes(late, look_at=_LOOKED_AT)
            if of_late.causes:
                return attrs.evolve(of_late, complete=False)
        return found


async def _together(one: Awaitable[A], two: Awaitable[B], three: Awaitable[C]) -> tuple[A, B, C]:
    """What three that are asked at the same time answer; none is left behind if another fails."""
    first, second, third = await asyncio.gather(one, two, three, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    if isinstance(third, BaseException):
        raise third
    return first, second, third
