"""Series and what follows them in a file that other versions, or strange hands, write to as well."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from duly import Ensured, Every, Filter, Message, State
from duly.moment import to_microseconds
from duly.store import Batch, Bury, Counters, End, Group, Reschedule, Settle, Settlement
from duly.testing.clock import HandClock
from duly_sqlite import SQLiteStore

HOUR = timedelta(hours=1)


class Desk:
    """A store with a series of which a fire is in hand, and the new rule that follows it."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, HandClock()
        self.store = SQLiteStore(path, clock=self.clock)
        self.start = self.clock()

    def series(self, payload: bytes = b"one", *, every: float = 1) -> Message:
        rule = Every(every * HOUR, anchor=self.start)
        return Message("tick", payload, id="s", recurrence=rule)

    async def claim(self) -> Batch:
        return await self.store.claim(limit=9, lease=HOUR, owner="me")

    async def follow(self) -> Batch:
        await self.store.ensure([self.series()])
        self.clock.advance(hours=1)
        batch = await self.claim()
        (outcome,) = await self.store.ensure([self.series(b"two", every=1.5)])
        assert outcome is Ensured.FOLLOWS
        return batch

    async def tell(self, batch: Batch, settlement: Settlement) -> bool:
        (claim,) = batch.claims
        assert batch.token is not None
        (done,) = await self.store.settle([Settle(batch.token, {claim.key: settlement})])
        return done

    def next(self, batch: Batch) -> Reschedule:
        fire = batch.claims[0].message.scheduled_at + HOUR
        return Reschedule(fire, Counters(fire, occurrence_count=1))

    def write(self, statement: str, *values: Any) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as db, db:
            db.execute(statement, values)

    def settle_as_before(self, batch: Batch) -> None:
        """As the version before does it, which knows nothing of what follows."""
        due_at = to_microseconds(self.next(batch).next_attempt_at)
        self.write(
            "UPDATE duly_messages SET due_at = ?1, next_attempt_at = ?1, scheduled_at = ?1", due_at
        )
        self.write("DELETE FROM duly_leases")
        self.write("INSERT INTO duly_due SELECT 0, due_at, key FROM duly_messages")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path / "duly.db")
    await desk.store.open()
    yield desk
    await desk.store.close()


async def test_what_the_version_before_settled_is_over_when_its_old_fire_comes(desk: Desk) -> None:
    desk.settle_as_before(await desk.follow())
    desk.clock.advance(hours=1)
    assert not (await desk.claim()).claims[1:]
    (claim,) = (await desk.claim()).claims or (await desk.claim()).claims
    assert (claim.message.payload, claim.message.scheduled_at) == (b"two", desk.start + 1.5 * HOUR)


async def test_changed_after_the_version_before_has_settled_it_comes_at_its_own_time(
    desk: Desk,
) -> None:
    desk.settle_as_before(await desk.follow())
    await desk.store.ensure([desk.series(b"three", every=3.5)])
    desk.clock.advance(hours=1)
    assert not (await desk.claim()).claims
    desk.clock.advance(hours=1.5)
    (claim,) = (await desk.claim()).claims
    assert (claim.message.payload, claim.message.scheduled_at) == (
        b"three", desk.start + 3.5 * HOUR,
    )  # fmt: skip


DAMAGE = ["nonsense{", "{}", "[]", '{"cut": 0}', b"\xff", '{"cut": "x", "at": 1e99}', b"\x8c"]


@pytest.mark.parametrize("text", DAMAGE, ids=str)
@pytest.mark.parametrize("told", ["next", "end", "bury"])
async def test_what_follows_cannot_be_read(desk: Desk, text: str | bytes, told: str) -> None:
    """The series goes on as it is, and so does all else."""
    batch = await desk.follow()
    desk.write("UPDATE duly_messages SET successor = ?", text)
    await desk.store.put([Group([Message("else", id="else", scheduled_at=desk.start)])])
    following = desk.next(batch)
    settlements: dict[str, Settlement] = {
        "next": following,
        "end": End(1),
        "bury": Bury("x", following),
    }
    assert await desk.tell(batch, settlements[told])
    assert [each.message.id for each in (await desk.claim()).claims] == ["else"]
    desk.clock.advance(hours=1)
    found = [each.message.id for each in (await desk.claim()).claims if each.message.id == "s"]
    assert found == ([] if told == "end" else ["s"])


@pytest.mark.parametrize("column", ["format = 99", "metadata = 5"])
async def test_over_and_not_to_be_read_holds_nobody_up(desk: Desk, column: str) -> None:
    desk.settle_as_before(await desk.follow())
    desk.write(f"UPDATE duly_messages SET {column}")
    await desk.store.put([Group([Message("else", id="else", scheduled_at=desk.start)])])
    desk.clock.advance(hours=1)
    batch = await desk.claim()
    assert [each.message.id for each in batch.claims] == ["else"]
    assert (batch.newer, len(batch.unreadable)) == ((1, 0) if "format" in column else (0, 1))


async def test_a_record_damaged_in_hand_is_set_aside_and_not_put_in_line(desk: Desk) -> None:
    batch = await desk.follow()
    desk.write("UPDATE duly_messages SET metadata = 5")
    assert await desk.tell(batch, desk.next(batch))
    stats = await desk.store.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (0, 0, 1)
    desk.clock.advance(hours=2)
    batch = await desk.claim()
    assert not batch.claims
    assert not batch.unreadable
    assert len(await desk.store.list(Filter(state=State.DEAD))) == 1


async def test_what_a_newer_version_has_changed_in_hand_is_buried_by_that(desk: Desk) -> None:
    batch = await desk.follow()
    desk.write("UPDATE duly_messages SET format = 99, recurrence = 'newer', successor = 'newer'")
    assert await desk.tell(batch, Bury("x", desk.next(batch)))
    stats = await desk.store.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (1, 0, 0)
    (found,) = await desk.store.list(Filter())
    assert found.state is State.SCHEDULED


@pytest.mark.parametrize("payload", [b"two", b"three"], ids=str)
async def test_set_aside_by_the_version_before_it_is_taken_back(desk: Desk, payload: bytes) -> None:
    """That had it in hand, was to bury a fire of it, and could no longer read it."""
    await desk.follow()
    desk.write("UPDATE duly_messages SET dead = 2")
    desk.write("DELETE FROM duly_leases")
    (outcome,) = await desk.store.ensure([desk.series(payload, every=1.5)])
    assert outcome is (Ensured.SAME if payload == b"two" else Ensured.FOLLOWS)
    batch = await desk.claim()
    assert [each.message.scheduled_at for each in batch.claims] == [desk.start + HOUR]
    assert await desk.tell(batch, desk.next(batch))
    (found,) = await desk.store.list(Filter())
    assert (found.payload, found.scheduled_at, found.state) == (
        payload, desk.start + 1.5 * HOUR, State.SCHEDULED,
    )  # fmt: skip
    stats = await desk.store.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (1, 0, 0)


async def test_a_newer_version_changes_what_is_in_hand(desk: Desk) -> None:
    """What it has written is left to it: the fire is told, and nothing is set aside."""
    batch = await desk.follow()
    desk.write("UPDATE duly_messages SET format = 99, recurrence = 'newer', successor = 'newer'")
    assert await desk.tell(batch, desk.next(batch))
    stats = await desk.store.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (1, 0, 0)
    desk.clock.advance(hours=1)
    assert (await desk.claim()).newer == 1
    (outcome,) = await desk.store.ensure([desk.series()])
    assert outcome is Ensured.NEWER
