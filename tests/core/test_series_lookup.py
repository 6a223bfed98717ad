"""What a client is told of what recurs."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import at
from tests.core.test_forecasting import client_of, put

from duly import Client, Cron, Every, Filter, InvalidArgument, Message, State
from duly.memory import MemoryStore
from duly.message import with_changes

HOUR = timedelta(hours=1)


class Plain:
    """A store that has no index of what recurs."""

    def __init__(self, store: MemoryStore) -> None:
        for name in ("open", "close", "put", "list", "get", "stats", "cancel", "claim", "settle",
                     "renew", "reschedule"):  # fmt: skip
            setattr(self, name, getattr(store, name))


@pytest.fixture(params=["by index", "looked through"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    store: Any = MemoryStore(clock=lambda: at(0))
    if request.param == "looked through":
        store = Plain(store)
    async with client_of(store) as client:
        yield client


def recurring(id: str, hours: int, name: str = "tick") -> Message:
    return Message(name, b"x", id=id, scheduled_at=at(3600 * hours), recurrence=Every(HOUR))


def ids(messages: Sequence[Message]) -> list[str]:
    return [each.id for each in messages]


async def test_what_recurs_in_order(client: Client) -> None:
    await client.schedule_many(
        [recurring("c", 1), Message("once", id="o", scheduled_at=at(60)), recurring("a", 2),
         recurring("b", 1)]
    )  # fmt: skip
    found = await client.series()
    assert ids(found.messages) == ["b", "c", "a"]
    assert found.complete
    assert found.from_key is None


async def test_pages_bring_each_once(client: Client) -> None:
    await client.schedule_many([recurring(f"s{n}", n // 3) for n in range(8)])
    seen: list[str] = []
    key = None
    while True:
        found = await client.series(Filter(limit=3), from_key=key)
        seen += ids(found.messages)
        key = found.from_key
        if key is None:
            break
        assert not found.complete
    assert seen == [f"s{n}" for n in range(8)]
    assert found.complete


async def test_a_filter(client: Client) -> None:
    await client.schedule_many(
        [recurring("a", 1, "mail.week"), recurring("b", 1, "mail.day"), recurring("c", 1, "orders")]
    )
    assert ids((await client.series(Filter(event_name="mail.*"))).messages) == ["a", "b"]
    assert ids((await client.series(Filter(id_prefix="c"))).messages) == ["c"]
    assert not (await client.series(Filter(state=State.DEAD))).messages


async def test_dead_letters_of_series_are_none(client: Client) -> None:
    rule = Cron("0 4 * * *")
    dead = with_changes(
        Message("tick", id="d", scheduled_at=at(0), recurrence=rule), state=State.DEAD,
        last_error="Rejected: no", died_at=at(0), error_class="Rejected",
    )  # fmt: skip
    await put(client._calls.store, dead, recurring("a", 1))
    assert ids((await client.series()).messages) == ["a"]


async def test_not_all_are_looked_at() -> None:
    async with client_of(MemoryStore(clock=lambda: at(0))) as client:
        await client.schedule_many([recurring(f"s{n}", n) for n in range(5)])
        found = await client.series(look_at=3)
        assert (found.looked_at, len(found.messages), found.complete) == (3, 3, False)
        assert (await client.series(look_at=5)).complete


@pytest.mark.parametrize(
    "asked",
    [{"filter": Filter(order="-scheduled_at")}, {"filter": Filter(offset=1)}, {"look_at": 0},
     {"from_key": "a"}, {"filter": {"event_name": "a"}}],
)  # fmt: skip
async def test_what_cannot_be_asked(asked: dict[str, Any]) -> None:
    async with client_of(MemoryStore(clock=lambda: at(0))) as client:
        with pytest.raises(InvalidArgument):
            await client.series(**asked)
