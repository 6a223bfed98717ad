"""What a caller may have delivered again, or now: replay dead letters, fire what waits."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from duly._caller.arguments import as_filter, as_id
from duly._caller.changes import check_move
from duly._caller.scheduling import Scheduling
from duly._values.plain import real, shown
from duly.errors import InvalidArgument, MessageNotFound, WrongState
from duly.message import UNREADABLE, Filter, Message, Phase, State
from duly.moment import as_moment

__all__ = ["Replaying"]

_AT_ONCE: Final = 50  # dead letters that are scheduled side by side
_MOST_RATE: Final = 1_000_000.0  # messages a second
_CENTURY: Final = 36525 * 86400.0  # seconds
_LEFT_OUT: Final = (InvalidArgument, MessageNotFound, WrongState)  # expired, gone, taken or damaged


class Replaying(Scheduling):
    """The verbs of a client that have something delivered again, or at once."""

    async def replay(self, message_id: str, *, at: datetime | None = None) -> None:
        """Schedule a dead letter again, counters at 0: due ``at``, or at once.

        At once it keeps its ``scheduled_at``, from which its lateness counts: so it is due by the
        clock of the store, whatever the clock of this host says.

        Raises:
            MessageNotFound: the id is unknown.
            WrongState: it is no dead letter, or a record that cannot be read.
            InvalidArgument: ``at``, or now, is not before ``expires_at`` of the message: schedule a
                new one in its place.
        """
        message_id = as_id(message_id)
        moment = None if at is None else as_moment(at, "at")
        async with self._changing("replay", target=message_id, at=moment) as change:
            message = await self.get(message_id)
            asked = self._here_and_now()
            await self._replay(message, moment)
            change.number = 1
            self._replayed([message], [_due_at(message, moment)], asked)

    async def replay_many(
        self,
        filter: Filter,
        *,
        at: datetime | None = None,
        rate: float | None = None,
        as_of: datetime | None = None,
    ) -> int:
        """Schedule all dead letters that match again, counters at 0; how many there were.

        They are due ``at``, or at once, as with :meth:`replay`; with a ``rate`` one after the
        other, so many a second: the due times are spread when they are stored, and nothing has to
        keep running for it. With ``as_of`` only what died at or before that moment is taken, by the
        store's clock; each is taken once in any case, so that what fails again meanwhile is not
        replayed for ever. Left out is what has expired by the time it would be due, and what cannot
        be read.

        Raises:
            InvalidArgument: a filter for another state, or with a limit or an offset; a rate that
                is no positive number.
            StoreUnavailable: some may be replayed and others not: call again, with the same
                ``as_of``.
        """
        state = as_filter(filter).state
        if state not in (None, State.DEAD) or filter.phase not in (None, Phase.DEAD):
            raise InvalidArgument("replay_many takes dead letters only: leave the state out")
        if filter.limit is not None or filter.offset:
            raise InvalidArgument(
                "replay_many takes no limit and no offset: it takes all that match"
            )
        last = None if as_of is None else as_moment(as_of, "as_of")
        start = self._now() if at is None else as_moment(at, "at")
        apart = _apart(rate)
        moving = at is not None or rate is not None
        wanted = attrs.evolve(filter, state=State.DEAD)
        taken = set[str]()  # those that may come again, further on in the list
        told: dict[str, Any] = {"at": at, "rate": rate, "as_of": last}
        async with self._changing("replay", filter=wanted, **told) as change:
            async for page in self._walk(wanted, payload=False).pages():
                died = [each for each in page if each.id not in taken and _died_by(each, last)]
                for begin in range(0, len(died), _AT_ONCE):
                    some, number = died[begin : begin + _AT_ONCE], change.number
                    moments = [_later(start, apart * (number + n)) for n in range(len(some))]
                    done = await self._replay_each(some, moments if moving else None)
                    change.number += len(done)
                    if moving:
                        taken.update(each.id for each in done)
            return change.number

    async def fire(self, message_id: str) -> str:
        """Have a message delivered now; the id under which it goes.

        A message that waits is moved to now and keeps its id. Of a series one occurrence more is
        scheduled beside it, as a message of its own with a delivery id of its own; the series goes
        on as before.

        Raises:
            MessageNotFound: the id is unknown.
            WrongState: it is claimed and no series; or dead: replay it instead; or a record that
                this version cannot read, which may be a series.
            InvalidArgument: it has expired.
        """
        async with self._changing("fire", target=as_id(message_id)) as change:
            fired = await self._fire(message_id)
            change.number = 1
            return fired

    async def _fire(self, message_id: str) -> str:
        message = await self.get(message_id)
        if message.state is State.DEAD:
            raise WrongState(f"message {message_id!r} is dead: a replay schedules it again")
        if message.event_name == UNREADABLE:
            raise WrongState(f"message {message_id!r} cannot be fired: {message.last_error}")
        if message.recurrence is None:
            await self.reschedule(message.id, self._now())
            return message.id
        one = Message(
            message.event_name,
            message.payload,
            metadata=message.metadata,
            scheduled_at=self._now(),
        )
        return await self.schedule(one)

    async def _replay_each(
        self, messages: Sequence[Message], moments: Sequence[datetime] | None
    ) -> Sequence[Message]:
        asked = self._here_and_now()
        wanted: Sequence[datetime | None] = moments or [None] * len(messages)
        answers = await asyncio.gather(*map(self._replay, messages, wanted), return_exceptions=True)
        both = zip(messages, wanted, answers, strict=True)
        done = [(each, _due_at(each, at)) for each, at, answer in both if answer is None]
        replayed = [message for message, _ in done]
        self._replayed(replayed, [at for _, at in done], asked)
        for answer in answers:
            if answer is not None and not isinstance(answer, _LEFT_OUT):
                raise answer
        return replayed

    async def _replay(self, message: Message, at: datetime | None) -> None:
        if message.event_name == UNREADABLE:
            raise WrongState(f"message {message.id!r} cannot be read: it can only be purged")
        if message.state is State.DEAD:
            now = self._now()
            check_move(message, now if at is None else max(at, now))
        await self._move(message.id, at, State.DEAD)

    def _replayed(
        self, messages: Sequence[Message], due_at: Sequence[datetime], asked: datetime
    ) -> None:
        if messages:
            self._telemetry.count("replayed", [each.event_name for each in messages])
            self._plugins.tell(
                "duly_replayed",
                message_ids=[each.id for each in messages],
                event_names=[each.event_name for each in messages],
                due_at=due_at,
                asked_at=asked,
            )


def _died_by(message: Message, last: datetime | None) -> bool:
    return last is None or message.died_at is None or message.died_at <= last


def _apart(rate: Any) -> float:
    """Seconds between two."""
    if rate is None:
        return 0.0
    number = real(rate)
    if number is None or not 0 < number <= _MOST_RATE:
        raise InvalidArgument(f"rate must be a number of messages a second, not {shown(rate)}")
    return min(1 / number, _CENTURY)  # what is divided by next to nothing is infinite


def _due_at(message: Message, at: datetime | None) -> datetime:
    """When it is due again; at once it keeps its schedule."""
    return message.scheduled_at if at is None else at


def _later(moment: datetime, seconds: float) -> datetime:
    try:
        return moment + timedelta(seconds=min(seconds, _CENTURY))
    except OverflowError:
        raise InvalidArgument(
            "at this rate the last ones would be due after the year 9999"
        ) from None
