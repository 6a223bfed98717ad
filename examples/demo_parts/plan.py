"""What the demonstration schedules, and when each of it is due: worked out apart from duly."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import duly

__all__ = ["Due", "Occurrence", "Plan", "make_plan"]

Due = Mapping["Occurrence", datetime]

SPAN: Final = 8.0  # seconds from the first message to the last
STEADY: Final = 240
FAILING: Final = 40
BURSTS: Final = (2.0, 4.0, 6.0)  # seconds
BURST: Final = 50  # messages that are due at the same moment
SERIES: Final = 4
FIRES: Final = 8  # of each series


class Occurrence(NamedTuple):
    """One fire of one message; ``number`` counts from 0 and stays there without a recurrence."""

    id: str
    number: int = 0


class Plan(NamedTuple):
    """The messages, when each of their occurrences is due, and which one is to be cancelled."""

    messages: Sequence[duly.Message]
    due: Due
    cancelled: str


def make_plan(start: datetime) -> Plan:
    """A few hundred messages over the :data:`SPAN` that begins at ``start``."""
    messages = [
        *(
            _message("orders.reminder", f"steady-{n}", start, n * SPAN / STEADY)
            for n in range(STEADY)
        ),
        *(
            _message("mails.send", f"failing-{n}", start, n * SPAN / FAILING, fails=1 + n % 2)
            for n in range(FAILING)
        ),
        *(
            _message("reports.build", f"burst-{second:g}-{n}", start, second)
            for second in BURSTS
            for n in range(BURST)
        ),
    ]
    due = {Occurrence(message.id): message.scheduled_at for message in messages}
    second = timedelta(seconds=1)
    for n in range(SERIES):
        every = duly.Every(second, max_occurrences=FIRES)
        first = start + n * second / SERIES
        messages.append(
            duly.Message("meters.read", id=f"every-{n}", scheduled_at=first, recurrence=every)
        )
        due |= {Occurrence(f"every-{n}", fire): first + fire * second for fire in range(FIRES)}
    cron = duly.Cron("* * * * * *", max_occurrences=FIRES)
    messages.append(duly.Message("meters.read", id="cron", scheduled_at=start, recurrence=cron))
    first = start.replace(microsecond=0) + second  # the clock's next full second
    due |= {Occurrence("cron", fire): first + fire * second for fire in range(FIRES)}
    taken_back = _message("orders.reminder", "taken-back", start, SPAN / 2)
    return Plan([*messages, taken_back], due, taken_back.id)


def _message(
    event_name: str, id: str, start: datetime, seconds: float, *, fails: int = 0
) -> duly.Message:
    metadata = {"fails": str(fails)} if fails else {}
    at = start + timedelta(seconds=seconds)
    return duly.Message(event_name, b"{}", id=id, scheduled_at=at, metadata=metadata)
