"""What a caller may do to messages that are stored: cancel, move, replay, purge."""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from duly._caller.arguments import as_filter, as_flag, as_id
from duly._caller.lookup import ALL, Lookup, not_found
from duly._telemetry.telemetry import Telemetry
from duly.errors import InvalidArgument, WrongState
from duly.message import UNREADABLE, Filter, Message, State
from duly.moment import as_moment

__all__ = ["Cancellation", "Changes"]


class Cancellation(enum.Enum):
    """What ``cancel`` did; true in a condition for CANCELLED only.

    CANCELLED: it will not be published. TOO_LATE: a scheduler holds it and may publish it once
    more; it is not retried, does not recur, and its id is free. UNKNOWN: there was no such message.
    """

    CANCELLED = "cancelled"
    TOO_LATE = "too late"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        return self is Cancellation.CANCELLED


class Changes(Lookup):
    """The verbs of a client for messages that are stored."""

    _telemetry: Telemetry

    async def cancel(
        self, message_id: str, *, missing_ok: bool = False, within: Any = None
    ) -> Cancellation:
        """Take a message back: CANCELLED means that it will not be published.

        Raises:
            MessageNotFound: the id is unknown, and not ``missing_ok``.
        """
        message_id = as_id(message_id)
        as_flag(missing_ok, "missing_ok")
        (found,) = await self._calls.cancel([message_id], within=self._within(within))
        if found is None:
            if missing_ok:
                return Cancellation.UNKNOWN
            raise not_found(message_id)
        if found is State.CLAIMED:
            return Cancellation.TOO_LATE
        self._telemetry.count("cancelled", [None])
        self._plugins.tell("duly_cancelled", message_ids=[message_id])
        return Cancellation.CANCELLED

    async def cancel_many(self, filter: Filter) -> int:
        """Cancel all messages that match; how many were CANCELLED.

        Raises:
            InvalidArgument: an empty filter, or one with a limit or an offset.
        """
        if as_filter(filter) == ALL:
            raise InvalidArgument(
                "cancel_many with an empty filter would cancel everything: if that is meant, give "
                "Filter(state=State.SCHEDULED)"
            )
        removed = await self._remove(filter, "cancel_many")
        if removed:
            self._telemetry.count("cancelled", [name for _, name in removed])
            self._plugins.tell("duly_cancelled", message_ids=[id for id, _ in removed])
        return len(removed)

    async def purge(self, filter: Filter = ALL) -> int:
        """Remove the dead letters that match, for good; how many there were.

        Raises:
            InvalidArgument: a filter for another state, or with a limit or an offset.
        """
        if as_filter(filter).state not in (None, State.DEAD):
            raise InvalidArgument(
                "purge removes dead letters only: leave the state out, or use cancel_many"
            )
        return len(await self._remove(attrs.evolve(filter, state=State.DEAD), "purge"))

    async def _remove(self, filter: Filter, verb: str) -> Sequence[tuple[str, str]]:
        """The ids and event names of those removed."""
        if filter.limit is not None or filter.offset:
            raise InvalidArgument(f"{verb} takes no limit and no offset: it removes all that match")
        removed: list[tuple[str, str]] = []
        async for page in self._pages(filter, payload=False):
            ids = [message.id for message in page]
            states = await self._calls.cancel(ids, of_state=filter.state)
            wanted = ({State.SCHEDULED, State.DEAD} if filter.state is None else {filter.state}) - {
                State.CLAIMED
            }
            removed += [
                (message.id, message.event_name)
                for message, state in zip(page, states, strict=True)
                if state in wanted
            ]
        return removed

    async def reschedule(
        self, message_id: str, scheduled_at: datetime, *, within: Any = None
    ) -> None:
        """Move a waiting message; of a series it moves the next fire, and ``Every`` counts on.

        The fires of a series then have delivery ids that are new; any other message keeps its own.
        A repeat of the call that scheduled it does not move it back.

        Raises:
            MessageNotFound: the id is unknown.
            WrongState: it is claimed or dead.
            InvalidArgument: not before ``expires_at`` of the message, or after ``until`` of its
                recurrence.
        """
        message_id, at = as_id(message_id), as_moment(scheduled_at, "scheduled_at")
        within = self._within(within)
        message = await self._calls.get(message_id, within)
        if message is not None:
            _check_move(message, at)
        await self._move(message_id, at, State.SCHEDULED, within)

    async def replay(self, message_id: str, *, at: datetime | None = None) -> None:
        """Schedule a dead letter again, counters at 0: due ``at``, or at once.

        Raises:
            MessageNotFound: the id is unknown.
            WrongState: it is no dead letter, or a record that cannot be read.
            InvalidArgument: ``at``, or now, is not before ``expires_at`` of the message: schedule a
                new one in its place.
        """
        message_id = as_id(message_id)
        moment = None if at is None else as_moment(at, "at")
        message = await self.get(message_id)
        if message.event_name == UNREADABLE:
            raise WrongState(f"message {message_id!r} cannot be read: it can only be purged")
        if message.state is State.DEAD:
            now = self._now()
            _check_move(message, now if moment is None else max(moment, now))
        await self._move(message_id, moment, State.DEAD, None)

    async def _move(self, id: str, at: datetime | None, of_state: State, within: Any) -> None:
        found = await self._calls.reschedule(id, at, of_state=of_state, within=within)
        if found is None:
            raise not_found(id)
        if found is not of_state:
            raise WrongState(f"message {id!r} is {found.value}, not {of_state.value}")


def _check_move(message: Message, at: datetime) -> None:
    recurrence, expires_at = message.recurrence, message.expires_at
    if recurrence is not None and recurrence.until is not None and at > recurrence.until:
        raise InvalidArgument(
            f"{message.id!r} cannot fire at {at}: its recurrence ends at {recurrence.until}"
        )
    if expires_at is not None and at >= expires_at:
        raise InvalidArgument(f"{message.id!r} expires at {expires_at}: {at} is not before that")
