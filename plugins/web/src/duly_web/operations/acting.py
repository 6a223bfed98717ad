"""What an operation does: page by page, written down after every hundred messages."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
import msgspec

from duly import Client, DulyError, Filter, InvalidArgument, Message, StoreUnavailable, changing
from duly.moment import from_microseconds, to_microseconds
from duly_web.operations.ledger import Entry, Ledger
from duly_web.operations.record import Record

__all__ = ["Taken", "carry_out"]

_PAGE: Final = 500  # messages that are looked at
_AT_ONCE: Final = 100  # messages that are changed in one call
_TRIES: Final = 3


class Lost(Exception):
    """Somebody else holds the note by now, or has removed it."""


class Stopped(Exception):
    """Somebody has it stop."""


class Taken:
    """An operation whose note this process holds."""

    def __init__(self, ledger: Ledger, entry: Entry, holder: str, hold: float) -> None:
        self._ledger = ledger
        self._entry = entry
        self._holder = holder
        self._hold = round(hold * 1_000_000)

    @property
    def record(self) -> Record:
        """As it was written last."""
        return self._entry.record

    def see_stop(self) -> None:
        """Go no further when it is to stop.

        Raises:
            Stopped: somebody has said so.
        """
        if self.record.state == "stopping":
            raise Stopped

    async def save(self, **changes: Any) -> None:
        """Write down how far it is, and hold the note for longer.

        Raises:
            Lost: it is somebody else's.
            Stopped: it is to stop.
        """
        for _ in range(_TRIES):
            fresh = await self._ledger.read(self.record.id)
            if fresh.record.holder != self._holder:
                raise Lost
            until = to_microseconds(fresh.now) + self._hold
            record = msgspec.structs.replace(
                self.record, held_until=until, state=fresh.record.state, **changes
            )
            written = await self._ledger.write(fresh, record)
            if written is not None:
                self._entry = written
                self.see_stop()
                return
        raise Lost

    async def end(self, state: str, error: str | None = None) -> None:
        """Write down that it has ended."""
        for _ in range(_TRIES):
            fresh = await self._ledger.read(self.record.id)
            if fresh.record.holder != self._holder:
                return
            now = to_microseconds(fresh.now)
            record = msgspec.structs.replace(
                self.record, state=state, last_error=error, held_until=now, ended_at=now
            )
            if await self._ledger.write(fresh, record) is not None:
                return

    async def give_back(self) -> None:
        """Let another go on with it at once."""
        fresh = await self._ledger.read(self.record.id)
        if fresh.record.holder == self._holder and not fresh.record.ended:
            record = msgspec.structs.replace(
                self.record, state=fresh.record.state, held_until=to_microseconds(fresh.now)
            )
            await self._ledger.write(fresh, record)


async def carry_out(client: Client, taken: Taken) -> None:
    """Do it to all that match.

    Raises:
        StoreUnavailable: the store is away: somebody goes on with it later.
    """
    record = taken.record
    try:
        taken.see_stop()
        filter = record.chosen()
        async with changing(
            client, record.action, filter=filter, by=record.by, reason=record.reason,
            operation=record.id, rate_per_second=record.rate_per_second,
        ) as change:  # fmt: skip
            await _all(client, taken, filter)
            change.number = taken.record.done - record.done
    except Lost:
        return
    except Stopped:
        await taken.end("stopped")
    except StoreUnavailable:
        raise
    except DulyError as error:
        await taken.end("failed", str(error))
    else:
        await taken.end("done")


async def _all(client: Client, taken: Taken, filter: Filter) -> None:
    behind = taken.record.behind
    key = None if behind is None else (from_microseconds(behind[0]), behind[1])
    while True:
        found = await client.search(filter, look_at=_PAGE, from_key=key, payload=False)
        some = [each for each in found.messages if _was_there(taken.record, each)]
        for start in range(0, len(some), _AT_ONCE):
            await _some(client, taken, filter, some[start : start + _AT_ONCE])
        key = found.from_key
        if found.complete or key is None:
            return
        await taken.save(behind=(to_microseconds(key[0]), key[1]))


def _was_there(record: Record, message: Message) -> bool:
    """Whether it matched when the operation was begun, as far as anybody knows."""
    as_of = from_microseconds(record.as_of)
    since: datetime | None = message.created_at if record.action == "cancel" else message.died_at
    return since is None or since <= as_of


async def _some(client: Client, taken: Taken, filter: Filter, some: Sequence[Message]) -> None:
    record = taken.record
    most = record.expect_at_most
    if most is not None and record.done + len(some) > most:
        raise InvalidArgument(
            f"more than the {most:,} match that were expected: {record.done:,} are done, and no "
            "more were touched"
        )
    # Only what still matches: it may be another under the same id by now.
    these = attrs.evolve(filter, ids=[each.id for each in some])
    if record.action == "cancel":
        number = await client.cancel_many(these)
    elif record.action == "purge":
        number = await client.purge(these)
    else:
        number = await _replay(client, record, these)
    done, skipped = record.done + number, record.skipped + len(some) - number
    await taken.save(done=done, skipped=skipped)


async def _replay(client: Client, record: Record, these: Filter) -> int:
    as_of = from_microseconds(record.as_of)
    rate = record.rate_per_second
    if rate is None:
        return await client.replay_many(these, as_of=as_of)
    at = from_microseconds(record.starts_at) + timedelta(seconds=record.done / rate)
    return await client.replay_many(these, at=at, rate=rate, as_of=as_of)
