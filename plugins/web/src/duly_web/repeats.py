"""What is sent once more after a lost answer: the same again, which changes nothing."""

from collections.abc import Sequence
from typing import Final

import attrs

from duly import Message
from duly_web.messages_in import NewMessage

__all__ = ["REPEAT", "Sent", "are_repeats"]

REPEAT: Final = "repeat"
"""The outcome of a change that was none."""


@attrs.frozen
class Sent:
    """A message as it was sent, and as it is to be stored."""

    message: Message
    said: NewMessage

    def is_repeat_of(self, old: Message) -> bool:
        """Whether what is stored is just that; a moment counts where one was sent."""
        new = self.message
        timed = self.said.scheduled_at is not None and new.recurrence is None
        return (
            old.event_name == new.event_name
            and old.payload == new.payload
            and dict(old.metadata) == dict(new.metadata)
            and old.recurrence == new.recurrence
            and old.expires_at == new.expires_at
            and (not timed or old.scheduled_at == new.scheduled_at)
        )


def are_repeats(sent: Sequence[Sent], old: Sequence[Message | None]) -> bool:
    """Whether a whole request came twice."""
    return len({each.message.id for each in sent}) == len(sent) and all(
        was is not None and each.is_repeat_of(was) for each, was in zip(sent, old, strict=True)
    )
