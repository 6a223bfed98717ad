"""What a dead letter tells of its end, and what a postponed message keeps."""

from datetime import datetime, timedelta

import pytest

from duly.message import Filter, Message, State, with_changes
from duly.record import to_record
from duly.recurrence import Every
from duly.store import Bury, Counters, Reschedule
from duly.testing.stores.bench import LEASE, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.recurring import series
from duly.testing.stores.situations import DAY, HOUR, MINUTE, next_fire

_ALL = Filter()
_DEAD = Filter(state=State.DEAD)


class DeathCases(StoreHarness):
    """``died_at`` and ``error_class``."""

    async def test_a_dead_letter_tells_when_and_of_what_it_died(self, desk: Bench) -> None:
        await desk.put("a", "b")
        await desk.pass_time(MINUTE)
        batch = await desk.claim()
        await desk.pass_time(MINUTE)
        assert await desk.settle(
            batch, {"a": Bury("no such house", error_class="Rejected"), "b": Bury("lapsed")}
        )
        a, b = [await desk.store.get(id) for id in ("a", "b")]
        assert a is not None
        assert b is not None
        assert (a.last_error, a.error_class) == ("no such house", "Rejected")
        assert (b.last_error, b.error_class) == ("lapsed", None)
        for each in (a, b):
            self._assert_died(each, desk.start + 2 * MINUTE)

    async def test_what_waits_has_not_died(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        found = await desk.store.get("a")
        assert found is not None
        assert (found.died_at, found.error_class) == (None, None)
        assert found == message

    async def test_each_dead_letter_of_a_list_tells_its_own(self, desk: Bench) -> None:
        await desk.put("a", "b")
        assert await desk.settle(await desk.claim(1), {"a": Bury("x", error_class="One")})
        await desk.pass_time(HOUR)
        assert await desk.settle(await desk.claim(1), {"b": Bury("x", error_class="Two")})
        found = {each.id: each for each in await desk.store.list(_DEAD)}
        assert {id: each.error_class for id, each in found.items()} == {"a": "One", "b": "Two"}
        self._assert_died(found["a"], desk.start)
        self._assert_died(found["b"], desk.start + HOUR)

    async def test_a_buried_occurrence_tells_too(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        batch = await desk.claim()
        await desk.pass_time(MINUTE)
        further = next_fire(message)
        assert await desk.settle(batch, {"a": Bury("broken", further, error_class="Rejected")})
        dead = await desk.store.get(message.delivery_id)
        assert dead is not None
        assert dead.error_class == "Rejected"
        self._assert_died(dead, desk.start + MINUTE)
        goes_on = await desk.store.get("a")
        assert goes_on is not None
        assert (goes_on.died_at, goes_on.error_class) == (None, None)

    @pytest.mark.parametrize("at", [None, HOUR], ids=["at its time", "later"])
    async def test_a_replay_forgets_the_death(self, desk: Bench, at: timedelta | None) -> None:
        await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": Bury("x", error_class="Rejected")})
        moment = None if at is None else desk.start + at
        await desk.store.reschedule("a", moment, of_state=State.DEAD)
        found = await desk.store.get("a")
        assert found is not None
        assert (found.state, found.died_at, found.error_class) == (State.SCHEDULED, None, None)

    async def test_it_dies_again(self, desk: Bench) -> None:
        await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": Bury("x", error_class="One")})
        await desk.store.reschedule("a", None, of_state=State.DEAD)
        await desk.pass_time(HOUR)
        assert await desk.settle(await desk.claim(), {"a": Bury("y")})
        found = await desk.store.get("a")
        assert found is not None
        assert (found.last_error, found.error_class) == ("y", None)
        self._assert_died(found, desk.start + HOUR)

    async def test_a_new_message_of_its_id_knows_nothing_of_it(self, desk: Bench) -> None:
        await desk.put("a", "b")
        death = Bury("x", error_class="Rejected")
        assert await desk.settle(await desk.claim(), {"a": death, "b": death})
        await desk.put("a", replace=True)
        await desk.store.cancel(["b"])
        await desk.put("b")
        for id in ("a", "b"):
            found = await desk.store.get(id)
            assert found is not None
            assert (found.state, found.died_at, found.error_class) == (State.SCHEDULED, None, None)
        assert await desk.settle(await desk.claim(), {"a": Bury("y"), "b": Bury("y")})
        assert {each.error_class for each in await desk.store.list(_DEAD)} == {None}

    def _assert_died(self, message: Message, at: datetime) -> None:
        assert message.state is State.DEAD
        assert message.died_at is not None
        assert abs(message.died_at - at) < max(self.resolution, timedelta(microseconds=1))


class PostponeCases(StoreHarness):
    """``postpone_count``, and the mark of a fire that was put back."""

    @pytest.mark.parametrize(
        ("postpone_count", "put_back"), [(1, False), (0, True), (100, True)], ids=str
    )
    async def test_they_are_kept(self, desk: Bench, postpone_count: int, put_back: bool) -> None:
        message = desk.message("a", recurrence=Every(DAY, jitter=MINUTE))
        await desk.put(message)
        await desk.pass_time(HOUR)
        counters = Counters(
            message.scheduled_at, 1, 2, "x", postpone_count=postpone_count, put_back=put_back
        )
        back = Reschedule(desk.start + 2 * HOUR, counters)
        assert await desk.settle(await desk.claim(), {"a": back})
        wanted = with_changes(
            message,
            next_attempt_at=desk.start + 2 * HOUR,
            retry_count=1,
            occurrence_count=2,
            last_error="x",
            postpone_count=postpone_count,
            _put_back=put_back,
        )
        assert await desk.store.get("a") == wanted
        assert list(await desk.store.list(_ALL)) == [wanted]
        await desk.pass_time(HOUR)
        (claim,) = (await desk.claim()).claims
        assert with_changes(claim.message, state=State.SCHEDULED) == wanted
        await desk.pass_time(LEASE)  # and by those who recover it
        (claim,) = (await desk.claim()).claims
        assert with_changes(claim.message, state=State.SCHEDULED) == wanted

    async def test_later_counters_forget_them(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        counters = Counters(message.scheduled_at, postpone_count=3, put_back=True)
        back = Reschedule(message.scheduled_at, counters)
        assert await desk.settle(await desk.claim(), {"a": back})
        again = Reschedule(message.scheduled_at, Counters(message.scheduled_at))
        assert await desk.settle(await desk.claim(), {"a": again})
        assert await desk.store.get("a") == message

    async def test_to_move_it_forgets_them(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        counters = Counters(message.scheduled_at, postpone_count=3, put_back=True)
        back = Reschedule(message.scheduled_at + DAY, counters)
        assert await desk.settle(await desk.claim(), {"a": back})
        await desk.store.reschedule("a", message.scheduled_at, of_state=State.SCHEDULED)
        assert await desk.store.get("a") == message

    async def test_one_that_dies_keeps_its_count(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        back = Reschedule(message.scheduled_at, Counters(message.scheduled_at, postpone_count=3))
        assert await desk.settle(await desk.claim(), {"a": back})
        assert await desk.settle(await desk.claim(), {"a": Bury("x")})
        found = await desk.store.get("a")
        assert found is not None
        assert (found.state, found.postpone_count) == (State.DEAD, 3)

    async def test_a_series_with_jitter(self, desk: Bench) -> None:
        message = series(desk, recurrence=Every(HOUR, jitter=MINUTE))
        due = message.next_attempt_at
        assert message.scheduled_at < due < message.scheduled_at + MINUTE
        await desk.put(message)
        assert await desk.store.get("a") == message
        await desk.pass_time(due - desk.start - timedelta(milliseconds=2))
        assert ids(await desk.claim()) == []
        await desk.pass_time(timedelta(milliseconds=4))
        assert ids(await desk.claim()) == ["a"]

    async def test_what_an_older_reader_would_misread_says_so(self, desk: Bench) -> None:
        plain, jitter = desk.message("plain"), series(desk, recurrence=Every(HOUR, jitter=MINUTE))
        await desk.put(plain, jitter)
        formats = {to_record(each).format for each in await desk.store.list(_ALL)}
        assert formats == {1, 2}
