"""Whether a message is what a filter asks for: the meaning of each of its words."""

import fnmatch
from datetime import datetime
from typing import Any

from duly._values.patterns import matches_name
from duly._values.states import Phase, State
from duly.message import Filter, Message

__all__ = ["matches", "phase_of"]


def phase_of(message: Message, now: datetime) -> Phase:
    """The phase that a message is in at ``now``, the store's time."""
    if message.state is not State.SCHEDULED:
        return Phase(message.state.value)
    if message.next_attempt_at <= now:
        return Phase.DUE
    return Phase.RETRYING if message.retry_count else Phase.SCHEDULED


def matches(filter: Filter, message: Message, now: datetime) -> bool:
    """Whether a message has all that a filter asks for, its limit, offset and order aside."""
    return (
        filter.state in (None, message.state)
        and (filter.event_name is None or matches_name(filter.event_name, message.event_name))
        and _between(filter.after, message.scheduled_at, filter.before)
        and (filter.id_prefix is None or message.id.startswith(filter.id_prefix))
        and (filter.ids is None or message.id in filter.ids)
        and _between(filter.due_after, message.next_attempt_at, filter.due_before)
        and _between(filter.died_after, message.died_at, filter.died_before)
        and filter.error_class in (None, message.error_class)
        and (filter.error is None or _is_like(message.last_error, filter.error))
        and all(_has(message, *each) for each in filter.metadata.items())
        and filter.phase in (None, phase_of(message, now))
    )


def _between(first: datetime | None, moment: Any, last: datetime | None) -> bool:
    if first is None and last is None:
        return True
    if moment is None:
        return False
    return (first is None or first <= moment) and (last is None or moment <= last)


def _is_like(text: str | None, pattern: str) -> bool:
    return text is not None and fnmatch.fnmatchcase(text, pattern)


def _has(message: Message, key: str, value: str) -> bool:
    return message.metadata.get(key) == value
