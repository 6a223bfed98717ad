"""What a service says of its series at each start: they are to be there, as they are given."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from duly._caller import ability_answers as answers
from duly._caller.arguments import all_or_none, as_number
from duly._caller.replaying import Replaying
from duly._values.texts import as_name
from duly.errors import DuplicateMessage, InvalidArgument, InvalidMessage, Unsupported
from duly.message import Message, State
from duly.store import Declared, Ensured, SupportsEnsure

__all__ = ["Ensuring"]

_MOST: Final = 2**63 - 1
_AT_ONCE: Final = 1000.0  # milliseconds
_IN_A_CALL: Final = 100  # series; each has its share of the time that a store is given to answer


class Ensuring(Replaying):
    """The verbs of a client for series that are declared in code."""

    async def ensure(self, message: Message) -> Ensured:
        """See to it that a series is there as it is given, whatever is there.

        To be called at each start, by any number of processes: an unknown one is stored, an equal
        one is left alone, and one that differs is changed without losing a fire. What is due or in
        hand keeps its rule; another rule follows it. The first fire of a new one is the first
        after now, by the store's clock; an :class:`duly.Every` that shall keep to certain moments
        has an ``anchor``.

        Raises:
            InvalidMessage: no recurrence or no id is given, or ``scheduled_at`` or
                ``max_occurrences`` are, or the payload exceeds ``max_payload``.
            DuplicateMessage: the id is that of a message without a recurrence, or of a dead letter.
            StoreUnavailable: call again.
            Unsupported: the store cannot do it.
        """
        wanted = self._wanted([message])
        (outcome,) = await self._ensure(wanted, None)
        return _raised(outcome)

    async def declare(
        self, messages: Iterable[Message], *, by: str, generation: int
    ) -> Mapping[str, Ensured]:
        """See to it that just these series of ``by`` are there; what became of each, by its id.

        Each as by :meth:`ensure`; then what ``by`` has declared with a lower ``generation``, and no
        more, is cancelled. ``generation`` numbers deployments, so that a rollback has a higher one
        than what it rolls back: while two generations run side by side, the older one changes
        nothing, and each of its series is OLDER. A crash in the middle is mended by the next start.

        Raises:
            InvalidArgument: ``by`` is no name, ``generation`` no whole number from 0, or there are
                more than 10,000 series or 64 MiB of payload.
            DuplicateMessage: an id is taken by what is no series; all others are seen to.
            InvalidMessage, StoreUnavailable, Unsupported: as with :meth:`ensure`.
        """
        number = as_number(generation, "generation", at_least=0, at_most=_MOST)
        try:
            declared = Declared(as_name(by, "by"), number)
        except InvalidMessage as error:  # it is no part of a message
            raise InvalidArgument(str(error)) from None
        wanted = self._wanted(messages)
        outcomes = await self._ensure(wanted, declared)
        if Ensured.OLDER in outcomes:
            return {message.id: Ensured.OLDER for message in wanted}
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, DuplicateMessage):
                raise outcome  # it may be there, and of the generation before
        store = self._able()
        asked = self._here_and_now()
        gone = answers.undeclare(
            await self._calls(store.undeclare, declared.by, declared.generation)
        )
        self._cancelled([id for id, state in gone if state is not State.CLAIMED], asked)
        return {
            message.id: _raised(outcome) for message, outcome in zip(wanted, outcomes, strict=True)
        }

    async def _ensure(
        self, wanted: Sequence[Message], declared: Declared | None
    ) -> Sequence[Ensured | Exception]:
        outcomes: list[Ensured | Exception] = []
        for start in range(0, len(wanted) or 1, _IN_A_CALL):  # none too: a generation without any
            some, asked = wanted[start : start + _IN_A_CALL], self._here_and_now()
            if Ensured.OLDER in outcomes:
                outcomes += [Ensured.OLDER] * len(some)
            else:
                answer = await self._calls(self._able().ensure, some, declared=declared)
                outcomes += answers.ensure(answer, len(some))
            self._ensured(some, outcomes[start:], asked)
        return outcomes

    def _ensured(
        self, wanted: Sequence[Message], outcomes: Sequence[Ensured | Exception], asked: datetime
    ) -> None:
        told = [
            (message, outcome)
            for message, outcome in zip(wanted, outcomes, strict=True)
            if isinstance(outcome, Ensured)
        ]
        if told:
            messages, kinds = zip(*told, strict=True)
            self._plugins.tell("duly_ensured", messages=messages, outcomes=kinds, asked_at=asked)

    def _able(self) -> SupportsEnsure:
        store: Any = self._calls.store
        if not isinstance(store, SupportsEnsure):
            raise Unsupported(f"{type(store).__name__} cannot ensure or declare series")
        return store

    def _wanted(self, messages: Iterable[Message]) -> Sequence[Message]:
        return [_as_series(each) for each in all_or_none(messages, self._max_payload, ended=True)]

    def _cancelled(self, ids: Sequence[str], asked: datetime) -> None:
        if ids:
            self._telemetry.count("cancelled", [None] * len(ids))
            self._plugins.tell(
                "duly_cancelled", message_ids=ids, event_names=[None] * len(ids), asked_at=asked
            )


def _as_series(message: Message) -> Message:
    recurrence = message.recurrence
    if recurrence is None:
        raise InvalidMessage(f"{message.id!r} has no recurrence: schedule() is for single messages")
    if recurrence.max_occurrences is not None:
        raise InvalidMessage(
            f"{message.id!r} has max_occurrences: an ended series would begin anew with each start"
        )
    if _is_made(message):
        raise InvalidMessage(
            "a series to ensure needs an id of its own, as id='nightly-report': without one each "
            "start would store another"
        )
    if message.__dict__.get("_given_fire", True):
        raise InvalidMessage(
            f"{message.id!r} has scheduled_at, another one at each start: leave it out, and give "
            "Every an anchor instead"
        )
    return message


def _is_made(message: Message) -> bool:
    """Whether its id was made when the message was: a UUID of version 7 of that very moment."""
    try:
        made = uuid.UUID(message.id)
    except ValueError:
        return False
    apart = (made.int >> 80) - message.created_at.timestamp() * 1000  # milliseconds
    return made.version == 7 and abs(apart) < _AT_ONCE


def _raised(outcome: Ensured | Exception) -> Ensured:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
