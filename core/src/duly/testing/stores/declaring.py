"""Sets of series that are declared: the newest generation wins, and what it drops goes."""

import asyncio
from collections.abc import Sequence

import pytest

from duly.message import State
from duly.store import Declared, Ensured, Store, SupportsEnsure
from duly.testing.stores.bench import Bench
from duly.testing.stores.ensuring import OTHER, ensure, following, standing, wanted
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR, MINUTE


async def declare(
    desk: Bench, generation: int, *names: str, by: str = "billing", store: Store | None = None
) -> Sequence[Ensured | Exception]:
    """Declare series of these ids as a client does; what came of each."""
    asked = store or desk.store
    assert isinstance(asked, SupportsEnsure)
    series = [wanted(desk, b"%d" % generation, id=id) for id in names]
    outcomes = await asked.ensure(series, declared=Declared(by, generation))
    if Ensured.OLDER not in outcomes:
        await asked.undeclare(by, generation)
    return outcomes


class DeclareCases(StoreHarness):
    """Declared, dropped, and declared by others."""

    async def test_declare_rolling(self, desk: Bench) -> None:
        assert await declare(desk, 1, "a", "b") == [Ensured.STORED] * 2
        assert await declare(desk, 2, "b", "c") == [Ensured.CHANGED, Ensured.STORED]
        assert await declare(desk, 1, "a", "b") == [Ensured.OLDER] * 2
        assert await desk.listed() == ["b", "c"]
        assert await standing(desk, "b") == (b"2", HOUR, 0)
        assert await declare(desk, 2, "b", "c") == [Ensured.SAME] * 2

    async def test_declare_older_in_the_middle_of_its_set(self, desk: Bench) -> None:
        """The older one has stored a part when the newer one declares; it stores no more."""
        store = desk.store
        assert isinstance(store, SupportsEnsure)
        await store.ensure([wanted(desk, id="a")], declared=Declared("billing", 1))
        assert await declare(desk, 2, "b") == [Ensured.STORED]
        outcomes = await store.ensure([wanted(desk, id="c")], declared=Declared("billing", 1))
        assert outcomes == [Ensured.OLDER]
        assert await store.undeclare("billing", 1) == []
        assert await desk.listed() == ["b"]

    async def test_declare_empty_set_raises_the_floor(self, desk: Bench) -> None:
        await declare(desk, 1, "a")
        assert await declare(desk, 2) == []
        assert await desk.listed() == []
        assert await declare(desk, 1, "a") == [Ensured.OLDER]

    async def test_declare_same_series_belong_to_the_newer_generation(self, desk: Bench) -> None:
        store = desk.store
        assert isinstance(store, SupportsEnsure)
        series = [wanted(desk, id="a")]
        await store.ensure(series, declared=Declared("billing", 1))
        assert await store.ensure(series, declared=Declared("billing", 2)) == [Ensured.SAME]
        assert await store.undeclare("billing", 2) == []
        assert await desk.listed() == ["a"]

    async def test_declare_moves_between_two_by(self, desk: Bench) -> None:
        await declare(desk, 1, "a", "b", by="billing")
        await declare(desk, 1, "b", by="reports")
        await declare(desk, 2, by="billing")
        assert await desk.listed() == ["b"]
        await declare(desk, 2, by="reports")
        assert await desk.listed() == []

    async def test_declare_spares_what_others_have(self, desk: Bench) -> None:
        await desk.put("plain", after=HOUR)
        await ensure(desk, wanted(desk, id="ensured"))
        await declare(desk, 1, "a")
        await declare(desk, 2)
        assert await desk.listed() == ["ensured", "plain"]

    @pytest.mark.parametrize("state", ["waiting", "due", "due, another follows"])
    async def test_declare_holds_for_what_is_moved(self, desk: Bench, state: str) -> None:
        await declare(desk, 1, "a")
        if state != "waiting":
            await desk.pass_time(HOUR)
        if state == "due, another follows":
            await ensure(desk, wanted(desk, recurrence=OTHER))
        at = desk.start + 5 * HOUR
        await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
        await declare(desk, 2)
        assert await desk.listed() == []

    async def test_declare_holds_for_what_follows(self, desk: Bench) -> None:
        await declare(desk, 1, "a")
        await desk.pass_time(HOUR)
        batch = await desk.claim()
        await ensure(desk, wanted(desk, recurrence=OTHER))
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert (await standing(desk))[1] == 80 * MINUTE
        await declare(desk, 2)
        assert await desk.listed() == []

    async def test_undeclare_tells_what_it_found(self, desk: Bench) -> None:
        store = desk.store
        assert isinstance(store, SupportsEnsure)
        await declare(desk, 1, "a", "b")
        await store.ensure(
            [wanted(desk, id="c", recurrence=OTHER)], declared=Declared("billing", 1)
        )
        await desk.pass_time(20 * MINUTE)
        batch = await desk.claim()
        found = sorted(await store.undeclare("billing", 2))
        assert found == [
            ("a", State.SCHEDULED), ("b", State.SCHEDULED), ("c", State.CLAIMED)
        ]  # fmt: skip
        assert await desk.listed() == []
        assert await desk.renew(batch) == ["c"]
        assert await store.undeclare("billing", 2) == []

    async def test_undeclare_spares_redeclared(self, desk: Bench) -> None:
        store = desk.store
        assert isinstance(store, SupportsEnsure)
        await declare(desk, 1, "a")
        await store.cancel(["a"])
        await ensure(desk, wanted(desk, id="a"))
        assert await store.undeclare("billing", 5) == []
        assert await desk.listed() == ["a"]

    async def test_undeclare_in_flight_with_successor(self, desk: Bench) -> None:
        await declare(desk, 1, "a")
        await desk.pass_time(HOUR)
        batch = await desk.claim()
        await ensure(desk, wanted(desk, recurrence=OTHER))
        store = desk.store
        assert isinstance(store, SupportsEnsure)
        assert await store.undeclare("billing", 2) == [("a", State.CLAIMED)]
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await desk.listed() == []

    async def test_twenty_ensure_one_series(self, desk: Bench) -> None:
        stores = [await desk.another() for _ in range(4)]

        async def start(number: int) -> Ensured | Exception:
            store = stores[number % 4]
            assert isinstance(store, SupportsEnsure)
            return (await store.ensure([wanted(desk, id="a")]))[0]

        outcomes = await asyncio.gather(*(start(number) for number in range(20)))
        assert sorted(str(each) for each in outcomes) == sorted(
            [str(Ensured.STORED)] + [str(Ensured.SAME)] * 19
        )
        assert await desk.listed() == ["a"]

    async def test_generations_that_declare_at_once_end_with_the_newest(self, desk: Bench) -> None:
        stores = [await desk.another() for _ in range(4)]
        sets = {1: ["a", "b"], 2: ["b", "c"], 3: ["c", "d"]}
        await asyncio.gather(
            *(
                declare(desk, generation, *names, store=stores[number])
                for number in range(4)
                for generation, names in sets.items()
            )
        )
        assert await desk.listed() == ["c", "d"]
        for name in ("c", "d"):
            assert (await standing(desk, name))[0] == b"3"
