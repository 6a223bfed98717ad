"""What observers are told of messages that were delivered or died, and of missed fires."""

from datetime import datetime, timedelta

import attrs

from duly.message import Message

__all__ = ["Burial", "Delivery", "MissedFires"]


@attrs.frozen(kw_only=True)
class Delivery:
    """A message that was published and settled.

    ``lateness`` is published minus scheduled by the store's clock, never negative; of a retry or
    a redelivery it counts from the first moment the message was due. ``receipt`` is the broker's.
    """

    message: Message
    lateness: timedelta
    receipt: str | None


@attrs.frozen(kw_only=True)
class Burial:
    """A message, or one occurrence of a series, that became a dead letter.

    ``message`` is as it was claimed, or as a record that cannot be read is listed. ``reason`` is
    the ``last_error`` of the dead letter, ``error_class`` the class of that error, None when it was
    none: a claimant has died, or a record could not be read.
    """

    message: Message
    reason: str
    error_class: str | None = None

    @property
    def message_id(self) -> str:
        """The id of the dead letter: of an occurrence it is the delivery id.

        If that was taken, ``+`` stand behind it.
        """
        message = self.message
        return message.id if message.recurrence is None else message.delivery_id


@attrs.frozen(kw_only=True)
class MissedFires:
    """Fires of a series that are not delivered, because they were missed.

    ``message`` is the series as it was claimed; ``first`` and ``last`` are the fires that were
    dropped, and all between them; ``count`` is their number, of a cron expression at most 100;
    ``following`` is the fire with which the series goes on, None when it has ended.
    """

    message: Message
    first: datetime
    last: datetime
    count: int
    following: datetime | None
