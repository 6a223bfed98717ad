"""Whether anybody delivers what is due: for ``health()``, and for the sentence."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly._caller import ability_answers as answers
from duly._caller.inquiry import Questions, Replies
from duly._caller.presiding import Presiding
from duly._values.controls import Control, Rules
from duly._values.presence import SchedulerInfo
from duly.errors import Unsupported
from duly.health import Report
from duly.store import Stats, SupportsOverdue
from duly.words import duration

__all__ = ["Attending", "Unpaused"]

_GRACE: Final = timedelta(seconds=10)  # for which what is due may wait for a scheduler to start
_PAGES: Final = 10  # of a thousand event names each
_IN_LINE: Final = 10_000  # messages that are due
_QUESTION: Final = "delivery"


@attrs.frozen
class Unpaused:
    """Since when what is due waits, but for what a pause holds; None: nothing that is known does.

    ``sure``: it is known of all that is due.
    """

    since: datetime | None
    sure: bool = True


@attrs.frozen
class Attendance:
    """Whether somebody delivers; since when what is due waits, where that was asked."""

    attended: bool
    waits: Unpaused | None = None


class Attending(Presiding):
    """Asks who delivers."""

    def _delivers_here(self) -> bool:
        """Whether this very object delivers just now."""
        return False

    def _questions(self) -> Questions:
        questions = super()._questions()
        if not self._delivers_here():
            questions[_QUESTION] = self._attendance
        return questions

    def _examine_delivery(self, report: Report, replies: Replies) -> bool:
        found, trouble = replies.of(_QUESTION) if _QUESTION in replies else (None, None)
        if trouble is not None:
            report.odd(f"whether anybody delivers is not known: {trouble}")
        if found is None or found.attended or found.waits is None or found.waits.since is None:
            return False
        waits = self._now() - found.waits.since
        if waits <= _GRACE:
            return False
        report.odd(
            "nobody delivers: no scheduler is alive, and what is due waits, the oldest for "
            f"{duration(waits)}"
        )
        return True

    def _first_due(self, stats: Stats, replies: Replies) -> datetime | None:
        found = replies.of(_QUESTION)[0] if _QUESTION in replies else None
        if stats.oldest_due is None or found is None or found.waits is None:
            return stats.oldest_due
        since: datetime | None = found.waits.since
        return since if found.waits.sure else stats.oldest_due

    async def _attendance(self) -> Attendance:
        """Whether somebody delivers, and since when what no pause holds waits, if that matters."""
        schedulers = await self._schedulers_if_any()
        attended = schedulers is None or not all(each.gone for each in schedulers)
        rules = Rules(await self._controls_if_any())
        if attended and not rules.paused:
            return Attendance(attended)
        stats = await self.stats()
        if attended and (stats.oldest_due is None or self._now() - stats.oldest_due <= _GRACE):
            return Attendance(attended)
        return Attendance(attended, await self._unpaused(stats, rules))

    async def _unpaused(self, stats: Stats, rules: Rules) -> Unpaused:
        """How long what is due waits, of names that flow; where they must be told apart, by name.

        Of what stands aside for a limit too: it would be delivered.
        """
        moments = [each for each in (stats.oldest_due, stats.oldest_aside) if each is not None]
        if not moments or "*" in rules.paused:
            return Unpaused(None)
        if not rules.paused:
            return Unpaused(min(moments))
        store = self._calls.store
        if isinstance(store, SupportsOverdue) and stats.oldest_aside is None:
            asked = self._calls(store.overdue, self._now(), look_at=_IN_LINE)
            due = answers.overdue(await asked)
            waits = [each.oldest for each in due.names if rules.paused_by(each.name) is None]
            return Unpaused(min(waits, default=None), due.complete)
        oldest, sure, after = None, True, None
        try:
            for _ in range(_PAGES):
                page = await self.names(after=after)
                if not page:
                    return Unpaused(oldest, sure)
                flowing = [each for each in page if rules.paused_by(each.name) is None]
                sure = sure and not any(each.at_least for each in flowing)
                dues = [each.oldest for each in flowing if each.oldest is not None]
                oldest = min([*dues, *([] if oldest is None else [oldest])], default=None)
                after = page[-1].name
        except Unsupported:
            pass
        return Unpaused(oldest, sure=False)

    async def _schedulers_if_any(self) -> list[SchedulerInfo] | None:
        """Those of the store; None where it cannot tell."""
        try:
            return [*await self.schedulers()]
        except Unsupported:
            return None

    async def _controls_if_any(self) -> Mapping[str, Control]:
        try:
            return await self.controls()
        except Unsupported:
            return {}
