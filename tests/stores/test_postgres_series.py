"""Series that are declared: what others have written, may do, and hold."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tests.stores.postgres_kit import Place
from tests.stores.postgres_series import HOUR, Timetable, place, series

from duly import Ensured, Every, Message, State, StoreError
from duly.store import NEWER_PAUSE, Bury, Declared, End, Settlement
from duly_postgres import desk

__all__ = ["place", "series"]

DAMAGE = ["nonsense{", "{}", "[]", '{"cut": 0}', '{"cut": "x", "at": 1e99}', ""]


class TestDamage:
    """Somebody else has written."""

    @pytest.mark.parametrize("text", DAMAGE)
    @pytest.mark.parametrize("told", ["next", "end", "bury"])
    async def test_what_follows_cannot_be_read(
        self, series: Timetable, text: str, told: str
    ) -> None:
        """The series goes on as it is, and so does all else."""
        batch = await series.follow()
        await series.place.fetch("UPDATE {t} SET successor = $1", text)
        await series.only_else()
        settlements: dict[str, Settlement] = {
            "next": series.next(batch),
            "end": End(1),
            "bury": Bury("x", series.next(batch)),
        }
        assert await series.tell(batch, settlements[told])
        assert [each.message.id for each in (await series.claim()).claims] == ["else"]
        series.clock.advance(hours=1)
        found = [each.message.id for each in (await series.claim()).claims]
        assert found == ([] if told == "end" else ["s"])

    @pytest.mark.parametrize("column", ["format = 99", "metadata = '5'"])
    async def test_over_and_not_to_be_read_holds_nobody_up(
        self, series: Timetable, column: str
    ) -> None:
        await series.settle_as_before(await series.follow())
        await series.place.execute(f"UPDATE {{t}} SET {column}")
        await series.only_else()
        series.clock.advance(hours=1)
        batch = await series.claim()
        assert [each.message.id for each in batch.claims] == ["else"]
        assert (batch.newer, len(batch.unreadable)) == ((1, 0) if "format" in column else (0, 1))

    @pytest.mark.parametrize("told", ["next", "end", "bury", "bury and end"])
    async def test_what_a_newer_version_has_changed_in_hand_is_left_to_it(
        self, series: Timetable, told: str
    ) -> None:
        batch = await series.follow()
        await series.place.execute(
            "UPDATE {t} SET format = 99, recurrence = 'newer', successor = 'newer'"
        )
        settlements: dict[str, Settlement] = {
            "next": series.next(batch),
            "end": End(1),
            "bury": Bury("x", series.next(batch)),
            "bury and end": Bury("x", End(1)),
        }
        assert await series.tell(batch, settlements[told])
        assert await series.counts() == (1, 0, 0)
        ((due_at,),) = await series.place.fetch("SELECT due_at FROM {t}_due")
        again = series.start + HOUR + (HOUR if told == "next" else NEWER_PAUSE)
        assert due_at == again
        assert await series.ensure() is Ensured.NEWER


class TestGrants:
    @pytest.fixture
    async def clerk(self, place: Place) -> AsyncIterator[Place]:
        """Somebody who may do all but declare."""
        name = f"{place.table}_clerk"
        async with place.opened():
            pass
        await place.execute(
            f"CREATE ROLE {name} LOGIN",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {{t}}, {{t}}_due, {{t}}_aside, {{t}}_leases TO {name}",
            f"GRANT SELECT ON {{t}}_version TO {name}",
        )
        yield Place(place.url.replace("postgres@", f"{name}@"), place.table)
        await place.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")

    async def test_who_declares_needs_one_more(self, place: Place, clerk: Place) -> None:
        message = Message("tick", id="s", recurrence=Every(HOUR))
        by = Declared("billing", 1)
        async with clerk.opened() as store:
            assert await store.ensure([message]) == [Ensured.STORED]
            with pytest.raises(StoreError, match="lacks a grant.*_floors"):
                await store.ensure([message], declared=by)
            await place.execute("GRANT SELECT, INSERT, UPDATE ON {t}_floors TO {t}_clerk")
            assert await store.ensure([message], declared=by) == [Ensured.SAME]
            assert await store.undeclare("billing", 2) == [("s", State.SCHEDULED)]


async def test_the_same_again_writes_nothing(series: Timetable) -> None:
    """Not even a lock, which PostgreSQL writes into the row."""
    by = Declared("billing", 3)
    wanted = [series.series()]
    await series.store.ensure(wanted, declared=by)

    async def written() -> Any:
        rows = await series.place.fetch("SELECT ctid, xmin, xmax FROM {t}")
        return [*rows, *await series.place.fetch("SELECT ctid, xmin FROM {t}_floors")]

    once = await written()
    assert await series.store.ensure(wanted, declared=by) == [Ensured.SAME]
    assert await series.store.ensure(wanted) == [Ensured.SAME]
    assert await written() == once


async def test_a_claim_that_began_before_a_change_does_not_find_what_was(
    series: Timetable,
) -> None:
    """The place in the line is a new one, though it is at the same moment."""
    await series.ensure()
    places = await series.place.fetch("SELECT ctid, * FROM {t}_due")
    assert await series.ensure(b"two") is Ensured.CHANGED
    ((place, *where),) = await series.place.fetch("SELECT ctid, * FROM {t}_due")
    ((former, *before),) = places
    assert place != former
    assert where == before


async def test_ensure_waits_for_the_row_and_reads_the_time_then(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has become due while somebody held it has begun, and is not moved."""
    monkeypatch.setattr(desk, "_BRIEF", timedelta(seconds=5))
    async with place.opened() as store:
        message = Message("tick", id="s", recurrence=Every(HOUR))
        await store.ensure([message])
        async with place.connection() as holder:
            await holder.execute(f"BEGIN; SELECT FROM {place.table} FOR UPDATE")
            asked = await holder.fetchval("SELECT clock_timestamp()")
            other = Message("tick", id="s", recurrence=Every(2 * HOUR, anchor=asked))
            waiting = asyncio.create_task(store.ensure([other]))
            while not await waits(holder):  # noqa: ASYNC110  # it happens elsewhere
                await asyncio.sleep(0.01)
            fire = await holder.fetchval(
                f"UPDATE {place.table} SET scheduled_at = clock_timestamp() + interval '20 ms' "
                "RETURNING scheduled_at"
            )
            await holder.execute("SELECT pg_sleep(0.05); COMMIT")
            assert await waiting == [Ensured.FOLLOWS]
            found = await store.get("s")
            assert found is not None
            assert found.scheduled_at == fire


async def test_what_is_changed_before_it_is_declared_again_is_not_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "_BRIEF", timedelta(seconds=5))
    async with place.opened() as store:
        wanted = [Message("tick", id=id, recurrence=Every(HOUR)) for id in "ab"]
        await store.ensure(wanted, declared=Declared("billing", 1))
        async with place.connection() as holder:
            await holder.execute(f"BEGIN; UPDATE {place.table} SET payload = 'x' WHERE id = 'b'")
            again = asyncio.create_task(store.ensure(wanted, declared=Declared("billing", 2)))
            while not await waits(holder):  # noqa: ASYNC110  # it happens elsewhere
                await asyncio.sleep(0.01)
            await holder.execute("COMMIT")
            assert await again == [Ensured.SAME, Ensured.CHANGED]
        found = await store.get("b")
        assert found is not None
        assert found.payload == b""
        assert await store.undeclare("billing", 2) == []


async def waits(connection: asyncpg.Connection) -> bool:
    """Whether somebody waits for the messages that this transaction holds."""
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
    )
