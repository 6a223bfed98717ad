"""Acts on many over HTTP, and that a death in the middle loses nothing of them."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from tests.cli.kit import bury
from tests.web.kit import USERS, asking, listening, served

import duly_web
from duly import Client, Filter, Message, State, after
from duly_web.operations.acting import Taken, carry_out
from duly_web.operations.ledger import Ledger
from duly_web.operations.runner import Runner

PATIENCE = 20  # seconds


async def ended(http: httpx.AsyncClient, id: str) -> dict[str, Any]:
    """How it ended."""
    async with asyncio.timeout(PATIENCE):
        while True:
            told = (await http.get(f"/operations/{id}")).json()
            if told["state"] in ("done", "stopped", "failed"):
                return told
            await asyncio.sleep(0.02)


async def dead(client: Client, number: int, name: str = "orders.export") -> None:
    await bury(
        client, {f"d{n:03}": "Rejected: no" for n in range(number)}, name=name, kind="Rejected"
    )


async def test_dead_letters_are_replayed_at_a_rate(on_each: Client):
    await dead(on_each, 120)
    body = {
        "action": "replay", "filter": {"event_name": "orders.export", "error": "*no*"},
        "rate_per_second": 2, "expect_at_most": 200, "reason": "INC-81", "delay": "0s",
    }  # fmt: skip
    async with served(on_each) as http:
        made = await http.post("/operations", json=body)
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["matched"], told["by"], told["reason"]) == (120, "mara", "INC-81")
        assert made.headers["location"].endswith(f"/v1/operations/{told['id']}")
        end = await ended(http, told["id"])
        assert (end["state"], end["done"], end["skipped"], end["last_error"]) == (
            "done",
            120,
            0,
            None,
        )
        assert [each["id"] for each in (await http.get("/operations")).json()["items"]] == [
            told["id"]
        ]
    times = sorted(
        each.next_attempt_at for each in await on_each.list(Filter(state=State.SCHEDULED))
    )
    assert len(times) == 120
    apart = (times[-1] - times[0]).total_seconds()
    assert apart == pytest.approx(119 / 2, abs=0.01)


async def test_only_what_matched_then(client: Client):
    await dead(client, 3)
    async with served(client) as http:
        made = await http.post("/operations", json={"action": "purge", "all": True, "delay": "1h"})
        id = made.json()["id"]
        await bury(client, {"later": "Rejected: no"}, name="orders.export", kind="Rejected")
        await due_now(client, id)
        runner = Runner(client, nap=0.05)
        runner.start()
        end = await ended(http, id)
        await runner.stop()
    assert (end["done"], end["skipped"]) == (3, 0)
    assert [each.id for each in await client.list(Filter(state=State.DEAD))] == ["later"]


async def due_now(client: Client, id: str) -> None:
    """Let its time have come."""
    await Ledger(client).change(
        id, lambda entry: msgspec.structs.replace(entry.record, starts_at=1)
    )


async def test_it_can_be_stopped_before_it_begins(client: Client):
    await dead(client, 3)
    async with served(client) as http:
        made = (await http.post("/operations", json={"action": "purge", "all": True})).json()
        begins = datetime.fromisoformat(made["starts_at"]) - datetime.fromisoformat(made["as_of"])
        assert (made["state"], begins) == ("pending", timedelta(seconds=10))
        stopped = await http.delete(f"/operations/{made['id']}")
        assert (stopped.status_code, stopped.json()["state"]) == (200, "stopped")
        again = await http.delete(f"/operations/{made['id']}")
        assert (again.status_code, again.json()["code"]) == (409, "WrongState")
        assert (await http.get("/operations/op-x")).status_code == 404
    assert (await client.stats()).dead == 3


async def test_messages_are_cancelled_and_other_events_are_not(on_each: Client):
    await on_each.schedule_many(
        Message("mail.send" if n % 2 else "mail.other", id=f"m{n}", scheduled_at=after(hours=1))
        for n in range(10)
    )
    async with served(on_each) as http:
        body = {"action": "cancel", "filter": {"event_name": "mail.send"}, "delay": "0s"}
        made = (await http.post("/operations", json=body)).json()
        assert (await ended(http, made["id"]))["done"] == 5
    assert {each.event_name for each in await on_each.list()} == {"mail.other"}


class Dies(Exception):
    """The process does."""


async def test_another_goes_on_when_one_dies(on_each: Client):
    """Its worker is killed after the second hundred; nothing is lost, nothing is done twice."""
    await on_each.schedule_many(
        Message("mail.send", id=f"m{n:03}", scheduled_at=after(hours=1)) for n in range(550)
    )
    async with served(on_each) as http:
        body = {"action": "cancel", "filter": {"event_name": "mail.send"}, "delay": "1h"}
        id = (await http.post("/operations", json=body)).json()["id"]
    await due_now(on_each, id)
    first = Runner(on_each, hold=0.2)
    entry = await first.ledger.read(id)
    held = await first.ledger.write(
        entry, msgspec.structs.replace(entry.record, **first._holding(entry))
    )
    assert held is not None
    calls, cancel_many = 0, on_each.cancel_many

    async def dying(*arguments):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Dies
        return await cancel_many(*arguments)

    on_each.cancel_many = dying  # type: ignore[method-assign, assignment]  # as if it were killed there
    with pytest.raises(Dies):
        await carry_out(on_each, Taken(first.ledger, held, first.name, 0.2))
    on_each.cancel_many = cancel_many  # type: ignore[method-assign]  # another process
    left = (await first.ledger.read(id)).record
    assert (left.state, left.done) == ("running", 200)
    second = Runner(on_each, nap=0.05)
    second.start()
    async with served(on_each) as http:
        end = await ended(http, id)
    await second.stop()
    assert (end["state"], end["done"], end["skipped"]) == ("done", 550, 0)
    assert (await on_each.stats()).scheduled == 0


async def test_two_workers_do_it_once(on_each: Client):
    await dead(on_each, 30)
    runners = [Runner(on_each, nap=0.05) for _ in range(2)]
    async with served(on_each) as http:
        body = {"action": "replay", "all": True, "delay": "0s"}
        id = (await http.post("/operations", json=body)).json()["id"]
        for each in runners:
            each.start()
            each.tell()
        end = await ended(http, id)
        assert (end["done"], end["skipped"]) == (30, 0)
        for each in runners:
            await each.stop()


async def test_one_that_is_under_way_is_stopped(client: Client):
    await client.schedule_many(
        Message("mail.send", id=f"m{n:03}", scheduled_at=after(hours=1)) for n in range(300)
    )
    begun, go = asyncio.Event(), asyncio.Event()
    cancel_many = client.cancel_many

    async def slow(*arguments):
        begun.set()
        await go.wait()
        return await cancel_many(*arguments)

    client.cancel_many = slow  # type: ignore[method-assign, assignment]  # only slower
    async with served(client) as http:
        body = {"action": "cancel", "filter": {"event_name": "mail.send"}, "delay": "0s"}
        id = (await http.post("/operations", json=body)).json()["id"]
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        assert (await http.delete(f"/operations/{id}")).json()["state"] == "stopping"
        go.set()
        end = await ended(http, id)
    assert (end["state"], end["done"]) == ("stopped", 100)
    assert (await client.stats()).scheduled == 200


async def test_a_worker_that_ends_hands_it_over_at_once(client: Client):
    await client.schedule(Message("mail.send", id="m", scheduled_at=after(hours=1)))
    begun, cancel_many = asyncio.Event(), client.cancel_many

    async def endless(*arguments):
        begun.set()
        await asyncio.Event().wait()

    client.cancel_many = endless  # type: ignore[method-assign, assignment]  # it never comes to its end
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(app) as url, asking(f"{url}/v1") as http:
        body = {"action": "cancel", "filter": {"event_name": "mail.send"}, "delay": "0s"}
        id = (await http.post("/operations", json=body)).json()["id"]
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
    client.cancel_many = cancel_many  # type: ignore[method-assign]  # the next start
    async with served(client) as http:
        assert (await ended(http, id))["done"] == 1
