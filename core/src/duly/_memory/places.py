"""Places in line: moments, and behind them the order in which messages were stored."""

from datetime import datetime
from typing import Final

from duly._memory.shelf import Entry
from duly.message import State
from duly.moment import from_microseconds, to_microseconds
from duly.store import Whereabouts, succeeded

__all__ = ["earliest", "moment_of", "place_after", "place_at", "whereabouts"]

_NUMBER_BITS: Final = 64


def place_at(moment: datetime, number: int) -> int:
    """The place of what is due then, and was the so many-th to be stored."""
    return to_microseconds(moment) << _NUMBER_BITS | number


def place_after(moment: datetime) -> int:
    """The bound above every place of that moment, below every later one."""
    return to_microseconds(moment) + 1 << _NUMBER_BITS


def moment_of(place: int) -> datetime:
    """The moment of a place."""
    return from_microseconds(place >> _NUMBER_BITS)


def earliest(*places: int | None) -> int | None:
    """The first of those places that there are."""
    return min((place for place in places if place is not None), default=None)


def whereabouts(entry: Entry) -> Whereabouts:
    """Where a message is."""
    state, lease = entry.message.state, entry.lease
    return Whereabouts(
        state=state,
        due_at=moment_of(entry.place) if state is State.SCHEDULED else None,
        lapses=entry.lapses,
        aside=entry.aside,
        owner=None if lease is None else lease.owner,
        lease_ends_at=None if lease is None else moment_of(lease.place),
        follows=None
        if entry.successor is None
        else succeeded(entry.message, entry.successor, entry.message.occurrence_count),
    )
