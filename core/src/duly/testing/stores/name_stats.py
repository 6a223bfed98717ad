"""What a store tells of its event names."""

from collections.abc import Sequence

from duly.store import Bury, NameStats, Release, SupportsNames
from duly.testing.stores.bench import LEASE, Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import put_of, stand_aside
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SECOND, make_suspect, retry

_MANY = 10_000
_NAMES = ("\U0001f550", "b", "\uffee", "B", "a.b", "a", "\u00e9", "a*", "a b")


class NameStatsCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsNames`."""

    async def test_names_come_by_code_point(self, desk: Bench) -> None:
        for number, name in enumerate(_NAMES):
            await put_of(desk, name, f"{number}", f"{number}+")
        for limit in (1, 2, 5, len(_NAMES), 1000):
            found = await _all(desk, limit)
            assert [each.name for each in found] == sorted(_NAMES)
            assert {each.scheduled for each in found} == {2}

    async def test_names_behind_one(self, desk: Bench) -> None:
        for number, name in enumerate(_NAMES):
            await put_of(desk, name, f"{number}")
        for after in ("", "a", "a\0", "aa", "b", "c", "\uffee", "\U0010ffff", *_NAMES):
            expected = [name for name in sorted(_NAMES) if name > after]
            assert [each.name for each in await _all(desk, 3, after)] == expected

    async def test_there_are_no_names(self, desk: Bench) -> None:
        assert await _all(desk) == []

    async def test_counts_of_each_state(self, desk: Bench) -> None:
        await put_of(desk, "mail", "m1", "m2", "m3", "m4")
        await put_of(desk, "report", "r1", after=HOUR)
        await put_of(desk, "order", "o1", "o2", after=-HOUR)
        await desk.pass_time(MINUTE)
        batch = await desk.claim(4)
        assert ids(batch) == ["o1", "o2", "m1", "m2"]
        assert await desk.settle(batch, {"o2": Bury("x"), "m2": Bury("x")}, only=["o2", "m2"])
        assert await _all(desk) == [
            NameStats(
                name="mail", scheduled=2, due=2, claimed=1, dead=1, oldest=desk.start + 2 * SECOND
            ),
            NameStats(name="order", claimed=1, dead=1),
            NameStats(name="report", scheduled=1),
        ]
        await desk.pass_time(2 * LEASE)  # what has lapsed is in hand until the next claim
        (mail, order, _) = await _all(desk)
        assert (mail.claimed, order.claimed) == (1, 1)

    async def test_due_is_what_can_be_claimed(self, desk: Bench) -> None:
        messages = await put_of(desk, "mail", "retried", "released", "late", "now")
        await desk.pass_time(MINUTE)
        batch = await desk.claim()
        later: Outcomes = {
            "retried": retry(messages[0]),
            "released": Release(desk.start + HOUR),
            "late": Release(desk.start + SECOND),
            "now": retry(messages[3], MINUTE - 3 * SECOND),
        }
        assert await desk.settle(batch, later)
        (found,) = await _all(desk)
        assert found == NameStats(name="mail", scheduled=4, due=2, oldest=desk.start + SECOND)
        await desk.pass_time(HOUR)
        (found,) = await _all(desk)
        assert (found.due, found.oldest) == (4, desk.start + SECOND)

    async def test_suspects_are_due(self, desk: Bench) -> None:
        await put_of(desk, "mail", "a", after=-HOUR)
        await make_suspect(desk, "a")
        await desk.pass_time(DAY)
        await desk.claim(suspects=False)
        (found,) = await _all(desk)
        assert found == NameStats(name="mail", scheduled=1, due=1, oldest=desk.start - HOUR)

    async def test_what_stands_aside_is_due_too(self, desk: Bench) -> None:
        if not desk.lines:
            return
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        await stand_aside(desk)
        await put_of(desk, "slow", "s3", after=-2 * HOUR)
        await put_of(desk, "slow", "s4", after=HOUR)
        (found,) = await _all(desk)
        assert (found.scheduled, found.due, found.aside) == (4, 3, 2)
        assert found.oldest == desk.start - 2 * HOUR
        await desk.store.cancel(["s3"])
        (found,) = await _all(desk)
        assert (found.scheduled, found.due, found.oldest) == (3, 2, desk.start - HOUR)

    async def test_a_name_goes_with_its_last_message(self, desk: Bench) -> None:
        for name in ("cancelled", "delivered", "kept", "renamed"):
            await put_of(desk, name, name)
        await desk.put(desk.message("renamed", HOUR, event_name="renewed"), replace=True)
        await desk.store.cancel(["cancelled"])
        batch = await desk.claim()
        assert await desk.settle(batch, {"kept": Bury("x")})
        assert [each.name for each in await _all(desk)] == ["kept", "renewed"]

    async def test_counts_stop_and_say_so(self, desk: Bench) -> None:
        await put_of(desk, "large", "a", "b", "c", "d", "e", after=-HOUR)
        await put_of(desk, "small", "f", "g", after=HOUR)
        batch = await desk.claim(1)
        assert await desk.settle(batch, {"a": Bury("x")})
        large, small = await _all(desk, most=3)
        assert (small.scheduled, small.due) == (2, 0)
        counts = large.scheduled, large.due, large.dead
        assert all(number <= full for number, full in zip(counts, (4, 4, 1), strict=True))
        assert large.at_least or counts == (4, 4, 1)
        assert large.scheduled + large.dead >= 3
        large, _ = await _all(desk, most=5)
        assert (large.scheduled, large.due, large.dead, large.at_least) == (4, 4, 1, False)

    async def test_to_ask_for_names_changes_nothing(self, desk: Bench) -> None:
        await put_of(desk, "mail", "a", "b", after=-HOUR)
        before = await desk.store.stats()
        await _all(desk)
        assert await desk.store.stats() == before
        assert ids(await desk.claim()) == ["a", "b"]


async def _all(
    desk: Bench, limit: int = 1000, after: str | None = None, *, most: int = _MANY
) -> Sequence[NameStats]:
    """All names, page by page."""
    assert isinstance(desk.store, SupportsNames)
    found: list[NameStats] = []
    while page := await desk.store.names(after=after, limit=limit, most=most):
        assert len(page) <= limit
        assert after is None or page[0].name > after
        found += page
        after = page[-1].name
    return found
