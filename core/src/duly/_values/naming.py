"""How messages are told apart: by the ``created_at`` they were given, and by new names.

To be imported from :mod:`duly.record`.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from duly.message import UNTOUCHED, Message, State, with_changes
from duly.moment import to_microseconds

__all__ = ["given_at", "moved", "occurrence", "renamed", "with_next_id"]

_MICROSECOND: Final = timedelta(microseconds=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC)  # no moment is later


def given_at(message: Message) -> int:
    """The ``created_at`` that was given, in microseconds; with the id it identifies a message.

    It stays when :func:`renamed` moves ``created_at``.
    """
    given = message._given_at  # noqa: SLF001  # this module is the one that moves it
    return to_microseconds(message.created_at if given is None else given)


def renamed(message: Message, behind: datetime) -> Message:
    """The message under new names, if one created at ``behind`` may have had the same names.

    Its ``created_at`` moves to a microsecond after ``behind``, unless it is later anyway; the one
    that it was given is kept as well.
    """
    if message.created_at > behind or behind == _LAST:
        return message
    given = message._given_at  # noqa: SLF001  # this module is the one that moves it
    return with_changes(
        message,
        created_at=behind + _MICROSECOND,
        _given_at=message.created_at if given is None else given,
        _delivery_id=None,
    )


def moved(message: Message, at: datetime) -> Message:
    """A message after it was moved or replayed: see :meth:`duly.store.Store.reschedule`."""
    if message.recurrence is not None and at != message.scheduled_at:
        message = renamed(message, message.created_at)
    return with_changes(
        message,
        scheduled_at=at,
        next_attempt_at=at,
        **{**UNTOUCHED, "occurrence_count": message.occurrence_count},
    )


def occurrence(
    message: Message,
    reason: str,
    *,
    error_class: str | None = None,
    died_at: datetime | None = None,
) -> Message:
    """The dead letter that a buried occurrence of a series becomes: a message of its own."""
    name = message.delivery_id
    return with_changes(
        message,
        id=name,
        _delivery_id=name,
        _given_at=None,
        recurrence=None,
        state=State.DEAD,
        last_error=reason,
        error_class=error_class,
        died_at=died_at,
        _put_back=False,
    )


def with_next_id(message: Message) -> Message:
    """The message under the id to try next when its own is taken: with one more ``+``.

    Only for dead letters; their delivery id stays as it is: see :class:`duly.store.Bury`.
    """
    return with_changes(message, id=f"{message.id}+")
