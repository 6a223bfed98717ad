"""What a caller may do to messages that are stored: cancel, move, purge."""

import enum
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from duly._caller.arguments import as_filter, as_flag, as_id, as_ids
from duly._caller.lookup import ALL, not_found
from duly._caller.walking import state_of
from duly._caller.witnessing import Witnessing
from duly._telemetry.telemetry import Telemetry
from duly._values.acts import Changing
from duly._values.spoken import exact
from duly.errors import InvalidArgument, WrongState
from duly.message import Filter, Message, Phase, State
from duly.moment import as_moment

__all__ = ["Cancellation", "Changes", "check_move"]

_PAGE: Final = 500  # messages
_IDS: Final = 10_000  # that a filter takes
_ALL_DEAD: Final = Filter(state=State.DEAD)
_REMOVED: Final = frozenset({State.SCHEDULED, State.DEAD})  # those that are not published any more

_Removed = Sequence[tuple[str, str | None]]  # ids and event names


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


class Changes(Witnessing):
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
        async with self._changing("cancel", target=message_id) as change:
            asked = self._here_and_now()
            (found,) = await self._calls.cancel([message_id], within=self._within(within))
            if found is None:
                if not missing_ok:
                    raise not_found(message_id)
                change.outcome = Cancellation.UNKNOWN.value
                return Cancellation.UNKNOWN
            if found is State.CLAIMED:
                change.outcome = Cancellation.TOO_LATE.value
                return Cancellation.TOO_LATE
            self._removed("cancelled", [(message_id, None)], asked, change)
            return Cancellation.CANCELLED

    async def cancel_many(
        self, filter: Filter | None = None, *, ids: Iterable[str] | None = None
    ) -> int:
        """Cancel all messages that match, or those of these ids; how many were CANCELLED.

        Ids that are unknown count for nothing.

        Raises:
            InvalidArgument: an empty filter, or one with a limit or an offset; a filter and ids.
        """
        if (filter is None) == (ids is None):
            raise InvalidArgument("cancel_many takes a filter, or ids=[...]: one of them")
        if ids is not None:
            return await self._cancel_each(as_ids(ids))
        if as_filter(filter) == ALL:
            raise InvalidArgument(
                "cancel_many with an empty filter would cancel everything: if that is meant, give "
                "Filter(state=State.SCHEDULED)"
            )
        return await self._remove_all(as_filter(filter), "cancel_many", "cancelled")

    async def _cancel_each(self, ids: Sequence[str]) -> int:
        wanted = Filter(ids=ids) if len(ids) <= _IDS else None
        more: dict[str, Any] = {} if wanted else {"ids": len(ids)}
        async with self._changing("cancel", filter=wanted, **more) as change:
            for start in range(0, len(ids), _PAGE):
                some, asked = ids[start : start + _PAGE], self._here_and_now()
                states = await self._calls.cancel(some)
                both = zip(some, states, strict=True)
                removed = [(id, None) for id, state in both if state in _REMOVED]
                self._removed("cancelled", removed, asked, change)
            return change.number

    async def purge(self, filter: Filter = ALL, *, everything: bool = False) -> int:
        """Remove the dead letters that match, for good; how many there were.

        Raises:
            InvalidArgument: an empty filter, unless ``everything`` says that this is meant; a
                filter for another state, or with a limit or an offset.
        """
        state = as_filter(filter).state
        if state not in (None, State.DEAD) or filter.phase not in (None, Phase.DEAD):
            raise InvalidArgument(
                "purge removes dead letters only: leave the state out, or use cancel_many"
            )
        filter = attrs.evolve(filter, state=State.DEAD, phase=None)
        if not as_flag(everything, "everything") and filter == _ALL_DEAD:
            raise InvalidArgument(
                "purge would remove all dead letters: give a filter that says which, or "
                "everything=True if that is meant"
            )
        return await self._remove_all(filter, "purge", "purged")

    def _removed(self, what: str, removed: _Removed, asked: datetime, change: Changing) -> None:
        """Told of each call by itself: the store may go away in the middle, and ids come again."""
        change.number += len(removed)
        if removed:
            ids, names = [id for id, _ in removed], [name for _, name in removed]
            self._telemetry.count(what, names)
            self._plugins.tell(f"duly_{what}", message_ids=ids, event_names=names, asked_at=asked)

    async def _remove_all(self, filter: Filter, verb: str, what: str) -> int:
        """Remove all that match; how many there were."""
        if filter.limit is not None or filter.offset or filter.order is not None:
            raise InvalidArgument(
                f"{verb} takes no limit, offset or order: it removes all that match"
            )
        async with self._changing(verb.partition("_")[0], filter=filter) as change:
            await self._remove(filter, what, change)
            return change.number

    async def _remove(self, filter: Filter, what: str, change: Changing) -> None:
        state = state_of(filter)  # what has left it meanwhile is asked for no more
        async for page in self._walk(filter, payload=False, light_page=_PAGE).pages():
            if not page:
                continue
            ids, asked = [message.id for message in page], self._here_and_now()
            states = await self._calls.cancel(ids, of_state=state)
            wanted = _REMOVED if state is None else _REMOVED & {state}
            removed: _Removed = [
                (message.id, message.event_name)
                for message, found in zip(page, states, strict=True)
                if found in wanted
            ]
            self._removed(what, removed, asked, change)

    async def reschedule(
        self,
        message_id: str,
        scheduled_at: datetime,
        *,
        missing_ok: bool = False,
        within: Any = None,
    ) -> bool:
        """Move a waiting message; of a series it moves the next fire, and ``Every`` counts on.

        The fires of a series then have delivery ids that are new; any other message keeps its own.
        A repeat of the call that scheduled it does not move it back. True when it was moved; False
        only where there is none and ``missing_ok``.

        Raises:
            MessageNotFound: the id is unknown, and not ``missing_ok``.
            WrongState: it is claimed or dead.
            InvalidArgument: not before ``expires_at`` of the message, or after ``until`` of its
                recurrence.
        """
        message_id, at = as_id(message_id), as_moment(scheduled_at, "scheduled_at")
        as_flag(missing_ok, "missing_ok")
        within = self._within(within)
        async with self._changing("reschedule", target=message_id, scheduled_at=at) as change:
            message = await self._calls.get(message_id, within)
            if message is not None:
                check_move(message, at)
            asked = self._here_and_now()
            moved = await self._move(message_id, at, State.SCHEDULED, within, missing_ok=missing_ok)
            if moved:
                change.number, names = 1, [None if message is None else message.event_name]
                self._telemetry.count("moved", names)
                self._plugins.tell(
                    "duly_rescheduled",
                    message_ids=[message_id],
                    event_names=names,
                    scheduled_at=at,
                    asked_at=asked,
                )
            return moved

    async def _move(
        self,
        id: str,
        at: datetime | None,
        of_state: State,
        within: Any = None,
        *,
        missing_ok: bool = False,
    ) -> bool:
        found = await self._calls.reschedule(id, at, of_state=of_state, within=within)
        if found is None:
            if missing_ok:
                return False
            raise not_found(id)
        if found is not of_state:
            raise WrongState(f"message {id!r} is {found.value}, not {of_state.value}")
        return True


def check_move(message: Message, at: datetime) -> None:
    """Refuse to move a message to where it cannot be delivered."""
    recurrence, expires_at = message.recurrence, message.expires_at
    if recurrence is not None and recurrence.until is not None and at > recurrence.until:
        raise InvalidArgument(
            f"{message.id!r} cannot fire at {exact(at)}: its recurrence ends at "
            f"{exact(recurrence.until)}"
        )
    if expires_at is not None and at >= expires_at:
        raise InvalidArgument(
            f"{message.id!r} expires at {exact(expires_at)}: {exact(at)} is not before that"
        )
