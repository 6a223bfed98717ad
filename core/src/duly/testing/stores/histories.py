"""Random histories: whatever is done, in whatever order, the store does as the model does."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from duly.errors import DuplicateMessage
from duly.message import Filter, Message, State
from duly.recurrence import Every
from duly.store import Group, Rooms
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.history_parts import IDS, MOST, MOVABLE, NAMES, SECONDS, STATES, Held, Said
from duly.testing.stores.lines_checks import Look
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, check_taken
from duly.testing.stores.situations import SECOND

T = TypeVar("T")


class History(RuleBasedStateMachine):
    """One store and one model, told the same."""

    harness: StoreHarness

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self.desk: Bench = self._run(self._stack.enter_async_context(self.harness.bench()))
        self.model = Model(self.desk.start)
        self.held: list[Held] = []
        self.stored: list[Message] = []

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def teardown(self) -> None:
        self._run(self._stack.aclose())
        self._runner.close()

    @rule(
        ids=st.lists(IDS, min_size=1, max_size=4, unique=True),
        seconds=SECONDS,
        replace=st.booleans(),
        series=st.booleans(),
        name=NAMES,
        created=st.none() | SECONDS,
    )
    def put(
        self,
        *,
        ids: Sequence[str],
        seconds: int,
        name: str,
        replace: bool,
        series: bool,
        created: int | None,
    ) -> None:
        at = self.model.now + seconds * SECOND
        more: dict[str, Any] = {"recurrence": Every(5 * SECOND) if series else None}
        if created is not None:  # rather than later than all before
            more["created_at"] = self.desk.start + created * SECOND
        messages = [self.desk.message(id, event_name=name, scheduled_at=at, **more) for id in ids]
        self.stored = messages
        self._put(messages, replace=replace)

    @rule(replace=st.booleans())
    def put_again(self, *, replace: bool) -> None:
        self._put(self.stored, replace=replace)

    @rule(data=st.data(), replace=st.booleans())
    def put_as_is(self, data: st.DataObject, *, replace: bool) -> None:
        if found := list(self._run(self.desk.store.list(Filter()))):
            some = data.draw(
                st.lists(st.sampled_from(found), unique_by=attrgetter("id"), max_size=2)
            )
            if data.draw(st.booleans()):
                self.cancel([each.id for each in some], None)
            self._put(some, replace=replace, as_is=True)

    def _put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> None:
        stored = self.model.put(messages, replace=replace, as_is=as_is)
        group = Group(messages, replace, as_is)
        assert self._run(self.desk.outcomes(group)) == [None if stored else DuplicateMessage]

    @rule(ids=st.lists(IDS, max_size=2, unique=True), of_state=STATES)
    def cancel(self, ids: Sequence[str], of_state: State | None) -> None:
        expected = [self.model.cancel(id, of_state) for id in ids]
        assert list(self._run(self.desk.store.cancel(ids, of_state=of_state))) == expected

    @rule(id=IDS, seconds=st.none() | SECONDS, of_state=MOVABLE)
    def reschedule(self, id: str, seconds: int | None, of_state: State) -> None:
        at = None if seconds is None else self.model.now + seconds * SECOND
        expected = self.model.reschedule(id, at, of_state)
        assert self._run(self.desk.store.reschedule(id, at, of_state=of_state)) is expected

    @rule(seconds=st.integers(0, 8))
    def advance(self, seconds: int) -> None:
        self.model.now += seconds * SECOND
        self._run(self.desk.pass_time(seconds * SECOND))

    @rule(data=st.data(), limit=st.integers(1, 6), lease=st.integers(1, 9), suspects=st.booleans())
    def claim(self, data: st.DataObject, limit: int, lease: int, *, suspects: bool) -> None:
        most = data.draw(MOST) if self.desk.lines else {}
        self._claim(data, limit, lease, most, suspects=suspects)

    def _claim(
        self, data: Any, limit: int, lease: int, most: Mapping[str, int], *, suspects: bool
    ) -> None:
        said = [self._say(data, held) for held in self._some(data)]
        settled = [self.model.settle(*each) for _, each in said]
        self.model.recover()
        look = Look.at(self.model, limit, most, suspects=suspects)
        batch = self._run(
            self.desk.claim(
                limit,
                lease=lease * SECOND,
                suspects=suspects,
                settle=[settle for settle, _ in said],
                most=most,
            )
        )
        assert list(batch.settled) == settled
        taken = [self.model.entries[claim.message.id] for claim in batch.claims]
        rooms = self._taken(look, taken, batch.moved)
        expected = self.model.claim(taken, lease * SECOND)
        assert [(claim.message, claim.lapses) for claim in batch.claims] == [
            (entry.message, entry.lapses) for entry in taken
        ]
        assert batch.now == self.model.now
        assert batch.more == self.model.more(rooms, suspects=suspects)
        assert batch.aside == self.model.kept_back(rooms)
        if not batch.more:
            assert batch.next_due in [
                self.model.next_due(expected, rooms=rooms, suspects=suspects, empty=empty)
                for empty in (False, True)
            ]
        if expected is not None:
            self.held.append(Held(batch, expected))

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        said = [self._say(data, held) for held in self._some(data)]
        expected = [self.model.settle(*each) for _, each in said]
        settles = [settle for settle, _ in said]
        assert list(self._run(self.desk.store.settle(settles))) == expected

    @rule(data=st.data(), lease=st.integers(1, 9))
    def renew(self, data: st.DataObject, lease: int) -> None:
        some = self._some(data)
        expected = [self.model.renew(held.lease, lease * SECOND) for held in some]
        tokens = [held.batch.token or "" for held in some]
        answers = self._run(self.desk.store.renew(tokens, lease * SECOND))
        for held, keys, entries in zip(some, answers, expected, strict=True):
            if entries is None:
                assert keys is None
            else:
                assert keys is not None
                assert set(keys) == {held.claim_of(entry).key for entry in entries}

    @rule(
        event_name=st.none() | NAMES,
        state=STATES,
        after=st.none() | SECONDS,
        before=st.none() | SECONDS,
        limit=st.none() | st.integers(1, 4),
        offset=st.integers(0, 3),
        behind=st.none() | IDS,
    )
    def list(
        self, *, after: int | None, before: int | None, behind: str | None, **bounds: Any
    ) -> None:
        filter = Filter(
            after=None if after is None else self.model.now + after * SECOND,
            before=None if before is None else self.model.now + before * SECOND,
            **bounds,
        )
        entry = None if behind is None else self.model.entries.get(behind)
        from_key = None if entry is None else (entry.message.scheduled_at, entry.message.id)
        expected = list(self.model.list(filter, from_key))
        assert list(self._run(self.desk.store.list(filter, from_key=from_key))) == expected

    @invariant()
    def everything_is_as_the_model_has_it(self) -> None:
        found = list(self._run(self.desk.store.list(Filter())))
        expected = list(self.model.list(Filter(), None))
        assert found == expected
        assert [each.died_at for each in found] == [each.died_at for each in expected]
        assert self._run(self.desk.store.stats()) == self.model.stats()

    def _taken(self, look: Look, taken: Sequence[Entry], moved: int) -> Rooms:
        """Check what was taken and moved, and note what stands aside now; what is left."""
        aside = []
        if self.desk.lines:
            scheduled = list(self.model.of_state(State.SCHEDULED))
            aside = [each for each in scheduled if self._run(self.desk.aside(each.message.id))]
        if not look.most and not look.aside:
            assert not aside
            assert moved == 0
            check_taken(taken, [*look.main, *look.suspects], look.limit)
        rooms = look.check(taken, aside, moved)
        for entry in self.model.entries.values():
            entry.aside = entry in aside
        return rooms

    def _say(self, data: st.DataObject, held: Held) -> Said:
        """What a holder says of a batch."""
        return held.say(data, self.model)

    def _some(self, data: st.DataObject) -> Sequence[Held]:
        """Some of the batches claimed lately, ended ones too."""
        if not self.held:
            return []
        return data.draw(st.lists(st.sampled_from(self.held[-5:]), max_size=2))


class HistoryCases(StoreHarness):
    """Random histories, compared step by step with a dictionary."""

    histories = 200
    """How many histories are tried, at scale 1."""

    async def test_random_histories(self) -> None:
        await try_histories(self, History, self.many(self.histories))


async def try_histories(harness: StoreHarness, history: type[History], number: int) -> None:
    """Try so many histories of a kind on a store."""
    await asyncio.to_thread(
        run_state_machine_as_test,
        type("HistoryOfThisStore", (history,), {"harness": harness}),
        settings=settings(
            max_examples=number,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
