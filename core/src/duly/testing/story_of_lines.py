"""The story of names that stand aside, to be cut off everywhere as well.

Of one name more is due than may be published side by side; claims move the rest aside, where some
of it is cancelled, moved and replaced before it is delivered.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from duly.recurrence import Every
from duly.testing.journal import Journal
from duly.testing.queues import check_queues
from duly.testing.story import Step, Story
from duly.transport import Envelope, Limits

__all__ = ["StoryOfLines"]

_NARROW: Final = "narrow"
_MANY: Final = 8


class StoryOfLines(Story):
    """Steps that a client takes while a name stands aside."""

    limits = Limits(by_name={_NARROW: 1})

    async def receive(self, envelope: Envelope) -> None:
        if envelope.event_name == _NARROW:
            await asyncio.sleep(0.5)
        await super().receive(envelope)

    def check(self, journal: Journal) -> None:
        """Check that the name stood aside, and that nothing was lost or doubled by it.

        Raises:
            AssertionError: it was different.
        """
        looks = [entry.look for entry in journal.entries if entry.look is not None]
        assert not looks or any(look.moved for look in looks), "nothing stood aside"
        check_queues(journal.entries)
        accepted = [entry.scheduling for entry in journal.entries if entry.what == "accepted"]
        # All but the one that was cancelled, others, three fires, what was haunted, the farewell.
        assert len(accepted) == (_MANY - 1) + 2 + 3 + 1 + 1, f"not each accepted once: {accepted}"

    def all_steps(self) -> Sequence[Step]:
        new = self.message
        every = Every(timedelta(seconds=1), max_occurrences=3, missed="all")
        many = [new(f"narrow.{number}", 0.5 + number / 1000, _NARROW) for number in range(_MANY)]
        others = [new("other", 0.6), new("late", 2)]
        series = new("series", 1, _NARROW, recurrence=every)
        replacement = new("narrow.6", 1.5, _NARROW)
        return [
            (0, lambda each: each.schedule_many([*many, *others])),
            (0, lambda each: each.schedule(series)),
            (0.8, lambda each: each.cancel("narrow.4", missing_ok=True)),
            (0.8, lambda each: each.reschedule("narrow.5", self.at(3))),
            (0.8, lambda each: each.schedule(replacement, replace=True)),
        ]
