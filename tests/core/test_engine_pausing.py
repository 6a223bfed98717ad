"""What schedulers make of a pause, and of not knowing whether there is one."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.core.controls_kit import NotedStore, NotedStoreWithLines, begun, beside, put
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    at,
    delivering,
    down,
    emptied,
    hanging,
    message,
    messages,
    now,
    sleeping,
    until,
)

from duly import Every
from duly.errors import TransportUnavailable
from duly.store import Bury, Settle
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
BOTH = pytest.mark.parametrize("kind", [NotedStore, NotedStoreWithLines])


@BOTH
@pytest.mark.parametrize("transport", [Probed, ManyProbed])
@pytest.mark.parametrize("rule", ["slow", "slow.*", "*"])
@run_virtually
async def test_what_is_paused_is_not_published_and_the_rest_flows(
    kind: type[NotedStore], transport: type[Probed], rule: str
) -> None:
    store, published = kind(), transport(sleeping(0.2))
    name = "slow" if rule == "slow" else "slow.one"
    await put(store, messages(500, name))
    async with delivering(store, published, max_in_flight=20):
        await asyncio.sleep(1.5)
        await beside(store).pause(rule)
        paused_at = now()
        await put(store, messages(50, "other", due=now() + 2))
        await asyncio.sleep(10)
        last = begun(name, published)[-1]
        assert last <= paused_at + 1.0
        assert len(begun("other", published)) == (0 if rule == "*" else 50)
        assert await beside(store).resume(rule)
        resumed_at = now()
        await emptied(store, within=300)
    first = begun(name, published, since=resumed_at)[0]
    assert first - resumed_at < (1.0 if kind.__dict__.get("lines") else 6.1)
    assert len(published.begun) == 550, "nothing is lost or doubled"
    assert {envelope.attempt for _, envelope in published.begun} == {1}


@run_virtually
async def test_a_pause_from_the_start_lets_nothing_through() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await put(store, messages(300, "a"))
    await beside(store).pause("a")
    async with delivering(store, published):
        await asyncio.sleep(20)
        assert not published.begun
        await beside(store).resume("a")
        await emptied(store)
    order = [int(id.removeprefix("a-")) for id in published.ids]
    assert order == list(range(300)), "what waited keeps its order"


@run_virtually
async def test_what_is_in_flight_ends_and_what_is_in_hand_is_put_back() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(30))
    await put(store, messages(100, "a"))
    async with delivering(store, published, max_in_flight=3, publish_timeout=60 * SECOND):
        await until(lambda: published.running == 3)
        await beside(store).pause("a")
        await asyncio.sleep(5)
        stats = await store.inner.stats()
        assert (stats.claimed, stats.scheduled) == (3, 97)
        await asyncio.sleep(60)
        assert len(published.ids) == 3


@run_virtually
async def test_a_pause_ends_by_itself() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await beside(store).pause("a", until=at(30))
    await put(store, messages(10, "a"))
    async with delivering(store, published):
        await emptied(store)
    assert 30 <= begun("a", published)[0] <= 31


@run_virtually
async def test_any_rule_that_fits_pauses() -> None:
    store, published = NotedStoreWithLines(), Probed()
    client = beside(store)
    await client.pause("a.*")
    await client.pause("a.b")
    await client.limit("a.b.*", rate=100)
    await put(store, [*messages(5, "a.b"), *messages(5, "a.b.c"), *messages(5, "ab")])
    async with delivering(store, published):
        await asyncio.sleep(5)
        assert {envelope.event_name for _, envelope in published.begun} == {"ab"}
        await client.resume("a.*")
        await until(lambda: len(begun("a.b.c", published)) == 5)
        assert not begun("a.b", published)
        await client.resume("a.b")
        await emptied(store)


@BOTH
@run_virtually
async def test_fires_of_a_paused_series_are_missed_or_not_as_it_says(
    kind: type[NotedStore],
) -> None:
    store, published = kind(), Probed()
    await beside(store).pause("a")
    minute = timedelta(minutes=1)
    for missed in ("once", "all", "skip"):
        await put(store, [message("a", 0.0, id=missed, recurrence=Every(minute, missed=missed))])
    async with delivering(store, published):
        await asyncio.sleep(290)
        assert not published.begun
        await beside(store).resume("a")
        await asyncio.sleep(8)
        ids = published.ids
    # Each has the fire that is within its grace; "once" has the latest of the others too.
    assert [ids.count(id) for id in ("once", "all", "skip")] == [2, 5, 1]


@BOTH
@run_virtually
async def test_a_suspect_of_a_paused_name_stops_nobody(kind: type[NotedStore]) -> None:
    store, published = kind(), Probed()
    await put(store, messages(1, "a"))
    for _ in range(3):
        batch = await store.inner.claim(limit=1, lease=SECOND, owner="dead")
        assert batch.claims
        await asyncio.sleep(2)
    await beside(store).pause("a")
    await put(store, messages(100, "b"))
    async with delivering(store, published):
        await asyncio.sleep(15)
        assert len(begun("b", published)) == 100
        assert not begun("a", published)


@pytest.mark.parametrize("fault", [hanging("read_note"), down("read_note")])
@run_virtually
async def test_who_gets_no_answer_begins_no_publish_of_any_name(fault: Any) -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(0.05))
    await put(store, messages(5000, "a"))
    async with delivering(store, published, max_in_flight=10) as scheduler:
        await asyncio.sleep(3)
        store.faults.append(fault)
        cut_at = now()
        await asyncio.sleep(10)
        assert begun("a", published)[-1] <= cut_at + 1.0
        assert "not known what is paused" in (await scheduler.health()).reason
        store.faults.clear()
        back_at = now()
        await until(lambda: begun("a", published, since=back_at))
        assert begun("a", published, since=back_at)[0] - back_at < 2
        await emptied(store)
        assert "not known" not in (await scheduler.health()).reason
    assert sorted(published.ids) == sorted({f"a-{n}" for n in range(5000)}), "none is doubled"


@run_virtually
async def test_cut_off_while_it_is_paused_nothing_begins() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(0.05))
    await put(store, messages(5000, "a"))
    async with delivering(store, published, max_in_flight=10):
        await asyncio.sleep(2)
        store.faults.append(down())
        await beside(store).pause("a")
        paused_at = now()
        await asyncio.sleep(30)
        store.faults.clear()
        await asyncio.sleep(30)
        assert begun("a", published)[-1] <= paused_at + 1.0


@run_virtually
async def test_a_scheduler_with_nothing_to_do_asks_for_nothing() -> None:
    store = NotedStoreWithLines()
    async with delivering(store, Probed()):
        await asyncio.sleep(10)
        before = store.count("read_note")
        await asyncio.sleep(100)
        assert store.count("read_note") - before <= store.count("claim", since=now() - 100)


@run_virtually
async def test_the_first_publish_after_a_while_is_not_late() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await put(store, [message("a", 100.0)])
    async with delivering(store, published):
        await asyncio.sleep(101)
    assert begun("a", published)[0] - 100 < 1e-5


@run_virtually
async def test_a_note_that_only_a_newer_version_reads_holds_all() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await store.inner.write_note("controls", b'{"format": 2, "rules": []}', None)  # type: ignore[attr-defined]  # it keeps notes
    await put(store, messages(5, "a"))
    async with delivering(store, published) as scheduler:
        await asyncio.sleep(10)
        assert not published.begun
        assert "upgrade this host" in (await scheduler.health()).reason


@run_virtually
async def test_what_stands_aside_for_a_pause_is_no_trouble() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await put(store, messages(50, "a"))
    await beside(store).pause("a")
    async with delivering(store, published) as scheduler:
        await asyncio.sleep(300)
        assert (await store.inner.stats()).aside == 50
        assert "aside" not in (await scheduler.health()).reason
        await beside(store).resume("a")
        await beside(store).limit("b", rate=1)
        await put(store, messages(50, "b", due=-100))
        await asyncio.sleep(5)
        assert "aside" not in (await scheduler.health()).reason


@run_virtually
async def test_in_an_outage_no_probe_is_of_a_paused_name() -> None:
    away = True

    async def publish(_: Any) -> None:
        if away:
            raise TransportUnavailable("gone")

    store, published = NotedStoreWithLines(), Probed(publish)
    await put(store, messages(50, "a"))
    await put(store, messages(5, "b", due=0.5))
    async with delivering(store, published):
        await asyncio.sleep(0.6)
        await beside(store).pause("a")
        paused_at = now()
        await asyncio.sleep(60)
        assert not begun("a", published, since=paused_at + 1.0)
        assert begun("b", published, since=paused_at + 1.0)
        away = False
        await asyncio.sleep(60)
        assert len(begun("b", published)) >= 5
        assert not begun("a", published, since=paused_at + 1.0)
        assert store.count("claim", since=paused_at) < 600, "it does not ask in vain"


@run_virtually
async def test_pausing_through_the_scheduler_itself_is_heard_at_once() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(0.1))
    await put(store, messages(1000, "a"))
    async with delivering(store, published, max_in_flight=10) as scheduler:
        await asyncio.sleep(1)
        await scheduler.pause("a")
        assert begun("a", published)[-1] <= now() + 1e-5
        await asyncio.sleep(5)
        assert begun("a", published)[-1] <= 1.01


@run_virtually
async def test_a_store_without_notes_is_as_before() -> None:
    class Silent(NotedStoreWithLines):
        read_note = write_note = notes = None  # type: ignore[assignment]  # it keeps notes, or is to keep none

    store, published = Silent(), Probed()
    await put(store, messages(100, "a"))
    async with delivering(store, published):
        await emptied(store)
    assert len(published.ids) == 100


@run_virtually
async def test_a_dead_letter_stays_one_under_a_pause() -> None:
    store = NotedStoreWithLines()
    await put(store, messages(1, "a"))
    batch = await store.inner.claim(limit=1, lease=SECOND, owner="x")
    assert batch.token is not None
    await store.inner.settle([Settle(batch.token, {batch.claims[0].key: Bury("no")})])
    await beside(store).pause("*")
    async with delivering(store, Probed()):
        await asyncio.sleep(5)
    assert (await store.inner.stats()).dead == 1
