"""Where a message is in its life, as stores and as people see it."""

import enum

__all__ = ["Phase", "State"]


class State(enum.Enum):
    """Where a message is in its life; a delivered one is gone and has none."""

    SCHEDULED = "scheduled"
    CLAIMED = "claimed"
    DEAD = "dead"


class Phase(enum.Enum):
    """What a person wants to know of a message: its state, and what it waits for.

    SCHEDULED is not due yet and has not failed, DUE is due, ASIDE is due and stands aside so that
    others pass, RETRYING waits for another attempt that is not due yet, CLAIMED is in the hands of
    a scheduler, DEAD is a dead letter. No filter asks for ASIDE, which is no part of a message:
    ``why`` tells it of one.
    """

    SCHEDULED = "scheduled"
    DUE = "due"
    ASIDE = "aside"
    RETRYING = "retrying"
    CLAIMED = "claimed"
    DEAD = "dead"

    @property
    def state(self) -> State:
        """The state that a message of this phase is in."""
        if self in (Phase.CLAIMED, Phase.DEAD):
            return State(self.value)
        return State.SCHEDULED
