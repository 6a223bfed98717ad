"""That nobody delivers what is due is told by health(), and what a pause holds does not count."""

from collections.abc import Sequence

from tests.core.standing_kit import Shop

from duly import Client, Scheduler, Status
from duly.errors import StoreUnavailable, Unsupported
from duly.memory import MemoryStore
from duly.store import NameStats

SAID = "nobody delivers: no scheduler is alive, and what is due waits, the oldest for "


async def reasons(store: object) -> Sequence[str]:
    async with Client(store, load_plugins=False) as client:  # type: ignore[arg-type]  # one of ours
        health = await client.health()
    assert health.status is (Status.DEGRADED if health.reasons else Status.HEALTHY)
    return health.reasons


async def sentence(store: Shop) -> str:
    async with Client(store, load_plugins=False) as client:
        return (await client.standing()).sentence


async def pause(store: Shop, name: str) -> None:
    async with Client(store, load_plugins=False) as client:
        await client.pause(name)


async def test_with_nothing_due_nobody_is_missed() -> None:
    store = Shop()
    assert await reasons(store) == ()
    await store.scheduled("a", 3600)
    assert await reasons(store) == ()
    store.seconds = 3610
    assert await reasons(store) == ()  # somebody may be about to start
    store.seconds = 3611
    assert await reasons(store) == (f"{SAID}11 s",)


async def test_it_says_nothing_else_of_what_waits() -> None:
    store = Shop()
    await store.scheduled("a")
    await store.claimed(most={"a": 0})
    await store.scheduled("b", 100)
    store.seconds = 200
    assert await reasons(store) == (f"{SAID}3 min 20 s",)


async def test_one_that_lives_is_enough_and_one_that_is_gone_is_not() -> None:
    store = Shop()
    await store.announce()
    await store.scheduled("a")
    store.seconds = 11
    await store.announce()
    assert await reasons(store) == ()
    store.seconds = 50
    assert await reasons(store) == (f"{SAID}50 s",)


async def test_what_a_pause_holds_does_not_count() -> None:
    store = Shop()
    await store.scheduled("invoices.send")
    await store.scheduled("invoices.aside")
    await store.claimed(most={"invoices.aside": 0, "invoices.send": 0})
    await store.scheduled("invoices.send", 10)
    await pause(store, "invoices.*")
    store.seconds = 70
    assert not any(each.startswith("nobody") for each in await reasons(store))
    assert await sentence(store) == (
        "Nobody delivers: no scheduler is alive, all that is due is paused."
    )
    await store.scheduled("mail.send", 40)
    assert await reasons(store) == (f"{SAID}30 s",)
    assert await sentence(store) == (
        "Nobody delivers: no scheduler is alive, what is due waits, the oldest for 30 s."
    )
    await pause(store, "*")
    assert not any(each.startswith("nobody") for each in await reasons(store))


async def test_what_a_pause_holds_is_not_late() -> None:
    store = Shop()
    await store.scheduled("invoices.send")
    await pause(store, "invoices.*")
    store.seconds = 100
    assert await reasons(store) == ()
    await store.announce()
    assert await reasons(store) == ()
    await store.scheduled("mail.send", 100)
    store.seconds = 170
    await store.announce()
    assert await reasons(store) == ("the oldest due message is 70 s late",)


async def test_what_a_limit_holds_does() -> None:
    store = Shop()
    await store.scheduled("mail.send")
    await store.claimed(most={"mail.send": 0})
    async with Client(store, load_plugins=False) as client:
        await client.limit("mail.*", rate=0.1)
    store.seconds = 30
    assert await reasons(store) == (f"{SAID}30 s",)


class Nameless(Shop):
    """Nobody can tell of which names what is due is."""

    overdue = None  # type: ignore[assignment]  # as if it had none

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        raise Unsupported("no index")


async def test_where_nobody_can_tell_whether_it_is_paused() -> None:
    store = Nameless()
    await store.scheduled("a")
    store.seconds = 30
    assert await reasons(store) == (f"{SAID}30 s",)
    await pause(store, "b")
    assert await reasons(store) == ()
    assert await sentence(store) == (
        "Nobody delivers: no scheduler is alive, what is due waits, or is paused."
    )


class Cut(MemoryStore):
    """Its notes do not answer."""

    async def notes(self, prefix: str) -> object:  # type: ignore[override]  # it never answers
        raise StoreUnavailable("no notes")


async def test_that_it_is_not_known_is_told() -> None:
    assert await reasons(Cut()) == (
        "whether anybody delivers is not known: StoreUnavailable: no notes",
    )


async def test_a_scheduler_that_runs_asks_nobody() -> None:
    running = Scheduler(MemoryStore(), lambda envelope: None, load_plugins=False)
    async with running.running():
        assert "delivery" not in running._questions()
        assert (await running.health()).status is Status.HEALTHY
    assert "delivery" in running._questions()
    await running.close()
