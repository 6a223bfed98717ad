"""An operation, as it is written down."""

from typing import Annotated, Final, Literal

import attrs
import msgspec

from duly import Filter, State
from duly.moment import from_microseconds
from duly_web.filters import FilterIn, filter_of
from duly_web.times import Moment, written
from duly_web.users import User

__all__ = ["ENDED", "NOT_YET", "Action", "OperationDocument", "Record"]

Action = Literal["cancel", "replay", "purge"]
OperationState = Literal["pending", "running", "stopping", "done", "stopped", "failed"]

ENDED: Final = ("done", "stopped", "failed")
NOT_YET: Final = 253_402_300_799_999_999
"""When one begins that is still being written down: its messages are counted."""


class OperationDocument(msgspec.Struct, frozen=True):
    """An act on all messages that match, how far it is, and who began it.

    ``done`` are those it was done to, ``skipped`` those that were something else by then.
    ``matched`` is how many there were at first; with ``matched_at_least`` not all were counted.
    """

    id: str
    action: Action
    filter: FilterIn
    rate_per_second: float | None
    expect_at_most: int | None
    reason: str
    by: str
    as_of: Moment
    starts_at: Moment
    state: OperationState
    matched: int
    matched_at_least: bool
    done: int
    skipped: int
    last_error: str | None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The note of an operation. Moments are microseconds since 1970 by the store's clock.

    Whoever has written their name as ``holder`` carries it out, until ``held_until``.
    """

    id: str
    action: Action
    filter: FilterIn
    events: tuple[str, ...]
    """What the user who began it may see."""
    rate_per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    expect_at_most: int | None = None
    reason: str = ""
    by: str = ""
    created_at: int = 0
    """By the clock of the host where it was begun."""
    as_of: int = 0
    starts_at: int = 0
    state: OperationState = "pending"
    matched: int = 0
    matched_at_least: bool = False
    done: int = 0
    skipped: int = 0
    last_error: str | None = None
    holder: str = ""
    held_until: int = 0
    ended_at: int | None = None
    behind: tuple[int, str] | None = None
    """The key of the last message that was looked at."""

    @property
    def ended(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state in ENDED

    def chosen(self) -> Filter:
        """Which messages it is about."""
        user = User(self.by, ["payload"], self.events)  # its user was seen to when it was begun
        found = filter_of(self.filter, self.filter.metadata, user, redacted=False)
        if self.action == "cancel":
            return found
        return attrs.evolve(found, state=State.DEAD, phase=None)

    def document(self, *, hides: bool) -> OperationDocument:
        """What is told of it; ``hides`` what is hidden from those without the right to payloads."""
        filter = self.filter
        if hides and filter.metadata:
            filter = msgspec.structs.replace(filter, metadata=dict.fromkeys(filter.metadata, "..."))
        return OperationDocument(
            id=self.id,
            action=self.action,
            filter=filter,
            rate_per_second=self.rate_per_second,
            expect_at_most=self.expect_at_most,
            reason=self.reason,
            by=self.by,
            as_of=written(from_microseconds(self.as_of)),
            starts_at=written(from_microseconds(self.starts_at)),
            state=self.state,
            matched=self.matched,
            matched_at_least=self.matched_at_least,
            done=self.done,
            skipped=self.skipped,
            last_error=self.last_error,
        )
