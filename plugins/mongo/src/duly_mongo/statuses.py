"""What a document's ``status`` says."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from duly import State
from duly.store import SUSPECT_LAPSES

__all__ = [
    "ASIDE",
    "CLAIMED",
    "DEAD",
    "PUT_BACK",
    "SCHEDULED",
    "SUSPECT",
    "WAITING",
    "in_state",
    "state_of",
    "waiting_status",
]

SCHEDULED: Final = "scheduled"
SUSPECT: Final = "suspect"  # waits too, but is claimed alone
ASIDE: Final = "aside"  # waits too, in the siding of its event name
CLAIMED: Final = "claimed"
DEAD: Final = "dead"
WAITING: Final = (SCHEDULED, SUSPECT)
"""Of what waits in the main line."""

_STATES: Final[Mapping[Any, State]] = {
    SCHEDULED: State.SCHEDULED,
    SUSPECT: State.SCHEDULED,
    ASIDE: State.SCHEDULED,
    CLAIMED: State.CLAIMED,
}

PUT_BACK: Final[Sequence[Mapping[str, Any]]] = (
    {"$set": {"status": {"$cond": [{"$gte": ["$lapses", SUSPECT_LAPSES]}, SUSPECT, SCHEDULED]}}},
    {"$unset": "token"},
)
"""The stages of an update that let a claimed message wait again."""


def state_of(status: object) -> State:
    """The state that a status stands for; an unknown one counts as a dead letter."""
    return _STATES.get(status, State.DEAD) if isinstance(status, str) else State.DEAD


def in_state(state: State) -> dict[str, Any]:
    """The condition on a status that stands for a state."""
    if state is State.DEAD:
        return {"$nin": [*_STATES]}
    return {"$in": [*WAITING, ASIDE] if state is State.SCHEDULED else [CLAIMED]}


def waiting_status(lapses: int) -> str:
    """The status of a message that waits."""
    return SUSPECT if lapses >= SUSPECT_LAPSES else SCHEDULED
