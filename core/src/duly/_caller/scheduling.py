"""What a caller does first: schedule messages."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from duly._caller.arguments import all_or_none, as_flag, as_message, chunks
from duly._caller.changes import Changes
from duly._caller.intake import Intake
from duly.errors import PartlyScheduled, StoreError
from duly.message import Message
from duly.store import Group

__all__ = ["Scheduling"]


class Scheduling(Changes):
    """The verbs of a client that store messages."""

    _intake: Intake
    _max_payload: int

    async def schedule(self, message: Message, *, replace: bool = False, within: Any = None) -> str:
        """Store a message to be published when it is due; its id.

        The same id with the same ``created_at`` as the one stored is a repeat after a lost answer
        and no error, so that calling again with the same object is always safe: nothing changes,
        even if it was moved since. Replacing a dead letter (``replace``) is no repeat.

        Raises:
            InvalidMessage: the payload exceeds ``max_payload``; nothing is stored.
            DuplicateMessage: the id is taken, and not to ``replace``.
            StoreUnavailable: nobody knows whether it is stored: call again.
            Unsupported: the store has no transactions to act ``within``.
        """
        message = as_message(message, self._max_payload)
        await self._store_group([message], as_flag(replace, "replace"), within)
        return message.id

    async def schedule_many(
        self,
        messages: Iterable[Message],
        *,
        replace: bool = False,
        atomic: bool = True,
        within: Any = None,
    ) -> list[str]:
        """Store many messages, all or none; their ids, in order.

        At most 10,000 messages and 64 MiB. ``atomic=False`` takes any number from any iterable
        and stores them in chunks, each message on its own.

        Raises:
            DuplicateMessage: an id is taken or given twice.
            PartlyScheduled: some were stored and some not (``atomic=False`` only).
            Unsupported: this store cannot store many in one step: give ``atomic=False``.
            InvalidMessage, StoreUnavailable: as with :meth:`schedule`.
        """
        as_flag(replace, "replace")
        if not as_flag(atomic, "atomic"):
            return await self._store_each(messages, replace, within)
        group = all_or_none(messages, self._max_payload)
        if group:
            await self._store_group(group, replace, within)
        return [message.id for message in group]

    async def _store_group(self, messages: Sequence[Message], replace: bool, within: Any) -> None:
        asked = self._here_and_now()
        (outcome,) = await self._store([Group(messages, replace)], within)
        if outcome is not None:
            raise outcome
        self._stored(messages, asked)

    async def _store_each(
        self, messages: Iterable[Message], replace: bool, within: Any
    ) -> list[str]:
        stored: list[str] = []
        first: Exception | None = None
        try:
            for chunk, refused in chunks(messages, self._max_payload):
                groups, asked = [Group([each], replace) for each in chunk], self._here_and_now()
                outcomes = await self._store(groups, within) if groups else []
                done = [
                    each for each, outcome in zip(chunk, outcomes, strict=True) if outcome is None
                ]
                self._stored(done, asked)
                stored += [message.id for message in done]
                first = first or refused or next(filter(None, outcomes), None)
        except Exception as error:
            if not stored and not isinstance(error, StoreError):
                raise
            first = first or error
        if first is not None:
            text = f"{len(stored)} messages are stored, others are not: {first}"
            raise PartlyScheduled(text, stored) from first
        return stored

    async def _store(self, groups: Sequence[Group], within: Any) -> Sequence[Exception | None]:
        if not self._telemetry.active:
            return await self._send(groups, within)
        with self._telemetry.scheduling(groups) as scheduling:
            outcomes = await self._send(scheduling.groups, within)
            scheduling.stored(outcomes)
        return outcomes

    async def _send(self, groups: Sequence[Group], within: Any) -> Sequence[Exception | None]:
        if within is None:
            return await self._intake.put(groups)
        return await self._calls.put(groups, within=self._within(within))

    def _stored(self, messages: Sequence[Message], asked: datetime) -> None:
        if messages:
            self._plugins.tell("duly_scheduled", messages=messages, asked_at=asked)
