"""The version before, beside this one on the same tables: before its migration and after."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.stores import postgres_before as before
from tests.stores.postgres_kit import Place, due, place

from duly import Every, Filter, Message, State, after
from duly.message import with_changes
from duly.record import NewerRecord
from duly.store import Batch, Bury, Counters, Group, Release, Reschedule, Settle, Settlement
from duly_postgres import PostgresStore, desk

__all__ = ["place"]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
EVERY = '{"max_occurrences":null,"until":null,"missed":"once","grace":60000000,"every":3600000000}'


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


async def claim(store: PostgresStore, settle: tuple[Settle, ...] = ()) -> Batch:
    return await store.claim(limit=9, lease=MINUTE, owner="me", settle=settle)


async def settle_all(store: PostgresStore, batch: Batch, outcome: Settlement | None) -> None:
    assert batch.token is not None
    outcomes = {} if outcome is None else {each.key: outcome for each in batch.claims}
    assert await store.settle([Settle(batch.token, outcomes)]) == [True]


async def found(store: PostgresStore, id: str) -> Message:
    message = await store.get(id)
    assert message is not None
    return message


def series(jitter: timedelta = timedelta(0)) -> Message:
    every = Every(HOUR, jitter=jitter)
    return Message("event", id="a", recurrence=every, scheduled_at=after(hours=-2))


def further(message: Message, **counts: int | bool) -> Reschedule:
    """The next attempt, which is due."""
    return Reschedule(message.next_attempt_at, Counters(message.scheduled_at, **counts))  # type: ignore[arg-type]  # by name


class TestMigrating:
    """From the schema before, with messages in it in every state."""

    @pytest.fixture
    async def old(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
        with monkeypatch.context() as then:
            before.at_version(then)
            await place.store().migrate()
        for id in ("waiting", "retried", "held", "lapsed", "dead", "damaged", "noted", "series"):
            await place.fetch(before.STORE, id, EVERY if id == "series" else None)
        keys = {id: await before.key_of(place, id) for (id,) in await place.fetch(self.IDS)}
        await place.fetch(before.RETRY, keys["retried"])
        await place.fetch(before.CLAIM, keys["held"], "held", HOUR)
        await place.fetch(before.CLAIM, keys["lapsed"], "lapsed", timedelta(0))
        await place.fetch(before.BURY, keys["dead"], "broken")
        note = '{"as": "buried", "reason": "noted", "next": null}'
        await place.fetch(before.NOTE, keys["noted"], "noted", note)
        await place.execute("UPDATE {t} SET metadata = '\\x80' WHERE id = 'damaged'")
        return place

    IDS = "SELECT id FROM {t} ORDER BY id"

    async def test_all_of_them_go_on(self, old: Place) -> None:
        records = {id: await before.record_of(old, id) for (id,) in await old.fetch(self.IDS)}
        ((file,),) = await old.fetch("SELECT pg_relation_filenode('{t}')")
        async with old.opened() as store:
            assert await old.fetch("SELECT pg_relation_filenode('{t}')") == [(file,)]
            for id, record in records.items():
                assert await before.record_of(old, id) == record
            states = {each.id: each.state for each in await store.list(Filter())}
            assert states == dict.fromkeys(("waiting", "retried", "series"), State.SCHEDULED) | (
                dict.fromkeys(("held", "lapsed", "noted"), State.CLAIMED)
                | dict.fromkeys(("dead", "damaged"), State.DEAD)
            )
            batch = await claim(store)
            claimed = {each.message.id: each for each in batch.claims}
            assert {*claimed} == {"waiting", "retried", "series", "lapsed"}
            assert (claimed["retried"].message.retry_count, claimed["lapsed"].lapses) == (1, 1)
            assert [each.id for each in batch.unreadable] == ["damaged"]
            noted, dead = await found(store, "noted"), await found(store, "dead")
            assert (noted.state, noted.last_error, noted.error_class) == (State.DEAD, "noted", None)
            assert noted.died_at is not None
            assert (dead.last_error, dead.died_at, dead.error_class) == ("broken", None, None)
            held = Settle("held", {await before.key_of(old, "held"): Bury("x", error_class="X")})
            assert await store.settle([held]) == [True]
            assert (await found(store, "held")).error_class == "X"

    async def test_its_statements_are_few_and_none_reads_the_table(self, old: Place) -> None:
        store = old.store(auto_migrate="false")
        statements = await store.migrate(dry_run=True)
        assert await old.fetch("SELECT version FROM {t}_version") == [(before.VERSION,)]
        altered = f'"public"."{old.table}" '  # not the table of versions, which has one row
        (altering,) = [each for each in statements if each.startswith(f"ALTER TABLE {altered}")]
        for word in ("NOT NULL", "DEFAULT", "CHECK", "TYPE"):
            assert word not in altering
        assert await store.migrate() == statements
        assert await store.migrate(dry_run=True) == []

    async def test_the_version_before_may_go_on(self, old: Place) -> None:
        async with old.opened():
            ((usable_from,),) = await old.fetch("SELECT usable_from FROM {t}_version")
            assert usable_from <= before.VERSION


class TestRecords:
    async def test_what_needs_nothing_new_is_read_by_both(
        self, store: PostgresStore, place: Place
    ) -> None:
        await store.put([due("a", "b", "c"), Group([with_changes(series(), id="s")])])
        batch = await claim(store)
        claims = {each.message.id: each for each in batch.claims}
        retry = further(claims["b"].message, retry_count=1)
        outcomes: dict[object, Settlement] = {
            claims["a"].key: Bury("x", error_class="X"),
            claims["b"].key: retry,
            claims["c"].key: Release(after()),
            claims["s"].key: Bury("x", further(claims["s"].message), error_class="X"),
        }
        assert batch.token is not None
        assert await store.settle([Settle(batch.token, outcomes)]) == [True]
        every = await store.list(Filter())
        assert len(every) == 5
        for message in every:
            assert await before.read(place, message.id, message.state) == with_changes(
                message, error_class=None
            )
        dead = [each for each in every if each.state is State.DEAD]
        assert [each.error_class for each in dead] == ["X", "X"]
        assert len({each.died_at for each in dead}) == 1

    async def test_what_it_stores_is_as_any_other(self, store: PostgresStore, place: Place) -> None:
        await place.fetch(before.STORE, "a", None)
        await settle_all(store, batch := await claim(store), further(batch.claims[0].message))
        await settle_all(store, await claim(store), Bury("x", error_class="X"))
        message = await found(store, "a")
        assert (message.last_error, message.error_class) == ("x", "X")
        assert message.died_at is not None

    async def test_the_function_writes_what_it_reads(
        self, store: PostgresStore, place: Place
    ) -> None:
        await place.execute("SELECT {t}_schedule('event', id => 'a')")
        assert await before.read(place, "a") == await found(store, "a")

    @pytest.mark.parametrize("counts", [{"postpone_count": 1}, {"put_back": True}], ids=str)
    async def test_what_was_postponed_is_newer(
        self, store: PostgresStore, place: Place, counts: dict[str, int | bool]
    ) -> None:
        await store.put([due("a")])
        batch = await claim(store)
        await settle_all(store, batch, further(batch.claims[0].message, **counts))
        with pytest.raises(NewerRecord):
            await before.read(place, "a")
        await settle_all(store, await claim(store), further(batch.claims[0].message))
        with pytest.raises(NewerRecord):  # one who has not seen it go may know it as it was
            await before.read(place, "a")

    async def test_so_is_a_series_with_jitter(self, store: PostgresStore, place: Place) -> None:
        await store.put([Group([series(MINUTE)])])
        with pytest.raises(NewerRecord):
            await before.read(place, "a")
        await settle_all(store, batch := await claim(store), further(batch.claims[0].message))
        with pytest.raises(NewerRecord):
            await before.read(place, "a")

    async def test_to_be_stored_anew_makes_it_plain(
        self, store: PostgresStore, place: Place
    ) -> None:
        postponed = with_changes(due("a").messages[0], postpone_count=3)
        await store.put([Group([postponed])])
        assert (await before.read(place, "a")).postpone_count == 0


class TestMoves:
    """It leaves columns that it does not know as they are."""

    async def test_a_replay_forgets_the_death(self, store: PostgresStore, place: Place) -> None:
        await store.put([due("a")])
        await settle_all(store, await claim(store), Bury("x", error_class="X"))
        ((key,),) = await place.fetch(before.MOVE, await before.key_of(place, "a"))
        message = await found(store, "a")
        assert (message.state, message.died_at, message.error_class) == (
            State.SCHEDULED,
            None,
            None,
        )
        await place.fetch(before.BURY, key, "y")
        message = await found(store, "a")
        assert (message.last_error, message.died_at, message.error_class) == ("y", None, None)

    async def test_a_move_forgets_that_it_was_postponed(
        self, store: PostgresStore, place: Place
    ) -> None:
        await store.put([due("a")])
        batch = await claim(store)
        further_on = further(batch.claims[0].message, postpone_count=2, put_back=True)
        await settle_all(store, batch, further_on)
        await place.fetch(before.MOVE, await before.key_of(place, "a"))
        (one,) = (await claim(store)).claims
        assert one.message == with_changes(batch.claims[0].message)


class TestNotes:
    """Outcomes of messages that somebody's transaction holds, done by whoever comes later."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("_BRIEF", "BRIEF"):
            monkeypatch.setattr(desk, name, timedelta(milliseconds=20))

    @asynccontextmanager
    async def held(self, place: Place) -> AsyncIterator[None]:
        async with place.connection() as connection, connection.transaction():
            await connection.execute(f"SELECT FROM {place.table} WHERE id = 'a' FOR UPDATE")
            yield

    @pytest.mark.parametrize("kind", ["delivered", "release", "retry", "bury", "bury and go on"])
    async def test_it_does_what_it_understands(
        self, store: PostgresStore, place: Place, kind: str
    ) -> None:
        outcome = await self._noted(store, place, series(), kind)
        assert len(await place.fetch(before.NOTED)) == 1
        await self._assert_done(store, outcome)

    @pytest.mark.parametrize("kind", ["postpone", "bury and postpone"])
    async def test_it_does_not_see_what_is_new(
        self, store: PostgresStore, place: Place, kind: str
    ) -> None:
        outcome = await self._noted(store, place, series(), kind)
        assert await place.fetch(before.NOTED) == []
        await self._assert_done(store, outcome)

    @pytest.mark.parametrize("kind", ["retry", "bury", "bury and go on", "postpone"])
    async def test_nor_what_it_would_have_to_read_the_record_for(
        self, store: PostgresStore, place: Place, kind: str
    ) -> None:
        outcome = await self._noted(store, place, series(MINUTE), kind)
        assert await place.fetch(before.NOTED) == []
        await self._assert_done(store, outcome)

    @pytest.mark.parametrize("kind", ["delivered", "release"])
    async def test_what_takes_no_reading_it_does_with_every_record(
        self, store: PostgresStore, place: Place, kind: str
    ) -> None:
        outcome = await self._noted(store, place, series(MINUTE), kind)
        assert len(await place.fetch(before.NOTED)) == 1
        await self._assert_done(store, outcome)

    async def _noted(
        self, store: PostgresStore, place: Place, message: Message, kind: str
    ) -> Settlement | None:
        await store.put([Group([message])])
        batch = await claim(store)
        later = after(hours=1)
        counters = Counters(message.scheduled_at, occurrence_count=1)
        postponed = Counters(message.scheduled_at, postpone_count=2, put_back=True)
        outcomes: dict[str, Settlement | None] = {
            "delivered": None,
            "release": Release(later),
            "retry": Reschedule(later, Counters(message.scheduled_at, 1, last_error="x")),
            "postpone": Reschedule(later, postponed),
            "bury": Bury("broken", error_class="X"),
            "bury and go on": Bury("broken", Reschedule(later, counters), error_class="X"),
            "bury and postpone": Bury("broken", Reschedule(later, postponed), error_class="X"),
        }
        async with self.held(place):
            await settle_all(store, batch, outcomes[kind])
            assert (await found(store, "a")).state is State.CLAIMED
            stats = await store.stats()
            assert (stats.claimed, stats.dead) == (1, 0)
            assert not (await claim(store)).claims
        return outcomes[kind]

    async def _assert_done(self, store: PostgresStore, outcome: Settlement | None) -> None:
        batch = await claim(store)
        assert not batch.claims
        assert batch.next_due is None or batch.next_due < after(hours=2)
        series = await store.get("a")
        letters = await store.list(Filter(state=State.DEAD))
        back = outcome
        if isinstance(outcome, Bury):
            (letter,) = letters
            assert (letter.last_error, letter.error_class) == ("broken", "X")
            assert letter.died_at is not None
            back = outcome.next
        else:
            assert letters == []
        assert (series is None) is (back is None)
        if isinstance(back, Reschedule):
            assert series is not None
            counters = back.counters
            assert (series.postpone_count, series._put_back, series.retry_count) == (
                counters.postpone_count,
                counters.put_back,
                counters.retry_count,
            )
            assert series.next_attempt_at == back.next_attempt_at
