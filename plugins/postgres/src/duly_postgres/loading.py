"""What a settle must read before it can be planned: what is buried, and what follows the others."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import attrs

from duly import Message, State
from duly.record import NewerRecord, UnreadableRecord, from_record
from duly.store import NEWER_PAUSE, Bury, Key, Release, Reschedule, Settle, Settlement, Successor
from duly_postgres.connection import Executor
from duly_postgres.following import successor_in
from duly_postgres.names import Names
from duly_postgres.sql_settling import LOAD

__all__ = ["Loaded", "load"]


class Loaded(NamedTuple):
    """What was found, by key: as :func:`duly.store.plan_settle` takes it."""

    settle: Settle
    """What is to be done; what only a newer version can do is left to that."""

    messages: Mapping[Key, Message | None]
    successors: Mapping[Key, Successor]


async def load(
    db: Executor, names: Names, now: datetime, settle: Settle, held: Collection[Key]
) -> Loaded:
    """Hold what is to be buried, and the series that go on or end."""
    told = {
        key: each
        for key, each in settle.exceptions.items()
        if key in held and not isinstance(each, Release)
    }
    buried = [key for key, each in told.items() if isinstance(each, Bury)]
    messages = dict[Key, Message | None]()
    successors = dict[Key, Successor]()
    left = dict[Key, Settlement]()
    for key, text, *record in await db.fetch(names(LOAD), [*told], buried):
        if text is None and key not in buried:
            continue
        try:
            messages[key] = from_record(record, State.CLAIMED)
        except NewerRecord:  # a newer version has changed it in hand, and can do this as well
            if not isinstance(told[key], Reschedule):
                left[key] = Release(now + NEWER_PAUSE)
        except UnreadableRecord:  # since it was claimed
            if key in buried:
                messages[key] = None
        else:
            if (successor := successor_in(text)) is not None:
                successors[key] = successor
    if left:
        settle = attrs.evolve(settle, exceptions={**settle.exceptions, **left})
    return Loaded(settle, messages, successors)
