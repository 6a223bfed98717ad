"""Many messages over HTTP: pages, filters, counts, causes, what is to come."""

import asyncio
from datetime import timedelta

import pytest
from tests.cli.kit import ago, bury
from tests.web.kit import pointers, served, soon

from duly import Client, Every, Message, after


async def fill(client: Client) -> None:
    await client.schedule_many(
        Message(
            f"orders.{'paid' if n % 2 else 'sent'}", b"{}", id=f"o{n:03}",
            scheduled_at=after(minutes=n + 1), metadata={"tenant": "acme" if n % 3 else "zeta"},
        )
        for n in range(120)
    )  # fmt: skip
    await client.schedule(Message("tick", id="tick", recurrence=Every(timedelta(minutes=20))))


async def test_pages_of_a_list(on_each: Client):
    await fill(on_each)
    async with served(on_each) as http:
        for order in (None, "scheduled_at", "-next_attempt_at", "-created_at"):
            seen, cursor = [], None
            more = {} if order is None else {"order": order}
            while True:
                asked = {**more, "limit": 50, **({} if cursor is None else {"cursor": cursor})}
                page = (await http.get("/messages", params=asked)).json()
                seen += [each["id"] for each in page["items"]]
                cursor = page["next"]
                if cursor is None:
                    break
            assert len(seen) == len({*seen}) == 121
            if order == "-next_attempt_at":
                assert seen[0] == "o119"
        first = (await http.get("/messages", params={"limit": 1})).json()
        assert (first["items"][0]["id"], first["complete"]) == ("o000", False)
        for params in ({"event_name": "tick"}, {"order": "-created_at"}):
            answer = await http.get("/messages", params={**params, "cursor": first["next"]})
            assert (answer.status_code, pointers(answer)) == (422, ["/cursor"])


async def test_filters(on_each: Client):
    await fill(on_each)
    async with served(on_each) as http:
        for asked, number in (
            ({"event_name": "orders.*"}, 120),
            ({"event_name": "orders.paid"}, 60),
            ({"meta.tenant": "acme"}, 80),
            ({"id_prefix": "o01"}, 10),
            ({"due_before": soon(630)}, 10),
            ({"after": soon(5370), "phase": "scheduled"}, 31),
            ({"state": "dead"}, 0),
            ({}, 121),
        ):
            count = (await http.get("/messages/count", params=asked)).json()
            assert count == {"count": number, "kind": "exact"}, asked
            items = (await http.get("/messages", params={**asked, "limit": 200})).json()["items"]
            assert len(items) == number


@pytest.mark.parametrize(("asked", "pointer"), [
    ({"due_before": "yesterday"}, "/due_before"),
    ({"died_after": "2026-13-01T00:00:00Z"}, "/died_after"),
    ({"before": "2026-11-30T00:00:00"}, "/before"),
    ({"phase": "aside"}, "/phase"),
    ({"state": "gone"}, "/state"),
    ({"limit": "0"}, "/limit"),
    ({"limit": "501"}, "/limit"),
    ({"limit": "x"}, "/limit"),
    ({"order": "id"}, "/order"),
    ({"event_name": "or*"}, "/event_name"),
    ({"cursor": "c"}, "/cursor"),
    ({"cursor": "cW10"}, "/cursor"),
    ({"cursor": ""}, "/cursor"),
    ({"nonsense": "1"}, "/nonsense"),
    ({"meta.": "1"}, "/meta."),
])  # fmt: skip
async def test_filters_that_can_never_work(client: Client, asked, pointer):
    async with served(client) as http:
        answer = await http.get("/messages", params=asked)
        assert (answer.status_code, pointers(answer)) == (422, [pointer]), answer.text


async def test_a_parameter_is_given_once(client: Client):
    async with served(client) as http:
        answer = await http.get("/messages?limit=1&limit=2")
        assert (answer.status_code, pointers(answer)) == (422, ["/limit"])


async def test_causes_and_what_finds_them(on_each: Client):
    errors = {f"d{n}": f"Rejected: order {n} is closed" for n in range(5)}
    await bury(on_each, errors, name="orders.export", kind="Rejected")
    async with served(on_each) as http:
        (cause,) = (await http.get("/causes")).json()["items"]
        assert (cause["number"], cause["text"]) == (5, "Rejected: order ... is closed")
        found = (await http.get("/messages", params=cause["filter"])).json()
        assert len(found["items"]) == 5
        newest = await http.get("/messages", params={"state": "dead", "order": "-died_at"})
        assert len(newest.json()["items"]) == 5


async def test_what_is_to_come(on_each: Client):
    await fill(on_each)
    async with served(on_each) as http:
        fires = (await http.get("/upcoming", params={"until": soon(630)})).json()
        assert [each["kind"] for each in fires["items"]] == ["once"] * 10
        hour = (await http.get("/upcoming", params={"event_name": "tick"})).json()["items"]
        assert len(hour) == 3
        assert {each["kind"] for each in hour} == {"series"}
        few = (await http.get("/upcoming", params={"limit": 5})).json()
        assert (len(few["items"]), few["complete"]) == (5, False)
        ahead = (await http.get("/forecast", params={"buckets": 2})).json()
        assert sum(each["once"] for each in ahead["buckets"]) == 60
        for path, asked, pointer in (
            ("/upcoming", {"until": "x"}, "/until"),
            ("/upcoming", {"from": "x"}, "/from"),
            ("/upcoming", {"until": soon(-9)}, "/until"),
            ("/upcoming", {"from": soon(60), "until": soon(30)}, "/until"),
            ("/forecast", {"until": soon(-9)}, "/until"),
            ("/forecast", {"buckets": 0}, "/buckets"),
        ):
            answer = await http.get(path, params=asked)
            assert (answer.status_code, pointers(answer)) == (422, [pointer]), path


async def test_how_things_stand(on_each: Client):
    await on_each.schedule(Message("orders.late", id="a", scheduled_at=ago(120)))
    async with served(on_each) as http:
        told = (await http.get("/overview")).json()
        assert told["sentence"].startswith("Nobody delivers")
        assert told["stats"]["scheduled"] == 1
        names = (await http.get("/events")).json()
        assert [(each["event_name"], each["due"]) for each in names["items"]] == [
            ("orders.late", 1)
        ]
        health = await http.get("/health")
        assert health.json()["status"] == "degraded"
        assert (await http.get("/schedulers")).json() == {"items": []}
        unknown = await http.post("/schedulers/host:1:x/recover")
        assert (unknown.status_code, unknown.json()["code"]) == (422, "InvalidArgument")


async def test_all_who_look_share_what_was_read(client: Client):
    reads = 0
    standing = client.standing

    async def counted():
        nonlocal reads
        reads += 1
        return await standing()

    client.standing = counted  # type: ignore[method-assign]  # only counted
    async with served(client) as http:
        answers = await asyncio.gather(*(http.get("/overview") for _ in range(20)))
        assert {each.status_code for each in answers} == {200}
        assert reads == 1
        known = {"If-None-Match": answers[0].headers["etag"]}
        assert (await http.get("/overview", headers=known)).status_code == 304


async def test_what_is_not_kept_here_says_so(client: Client):
    await client.schedule(Message("a", id="x", scheduled_at=after(hours=1)))
    async with served(client) as http:
        for path in ("/changes", "/messages/x/history"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (501, "Unsupported")
            assert "not kept here" in answer.json()["detail"]
        assert (await http.get("/messages/y/history")).status_code == 404


async def test_what_a_pause_will_hold_is_told_of_each_fire(on_each: Client):
    await on_each.schedule(Message("mail.send", id="soon", scheduled_at=after(minutes=5)))
    await on_each.schedule(Message("mail.send", id="later", scheduled_at=after(minutes=50)))
    await on_each.schedule(Message("orders.paid", id="free", scheduled_at=after(minutes=6)))
    async with served(on_each) as http:
        free = (await http.get("/upcoming")).json()["items"]
        assert [each["held_by"] for each in free] == [None] * 3
        body = {"paused": True, "until": soon(1800), "reason": "INC-81"}
        told = (await http.put("/controls/~bWFpbC4q", json=body)).json()  # mail.*
        await http.put("/controls/mail.send", json={"paused": True, "until": soon(600)})
        held = {
            each["id"]: each["held_by"] for each in (await http.get("/upcoming")).json()["items"]
        }
        assert held == {
            "soon": {
                "rule": "mail.*", "ref": "~bWFpbC4q", "until": told["until"], "reason": "INC-81",
                "by": "mara",
            },
            "later": None, "free": None,
        }  # fmt: skip


async def test_what_stands_aside_is_asked_for_elsewhere(client: Client):
    async with served(client) as http:
        for path in ("/messages", "/messages/count", "/causes"):
            refused = await http.get(path, params={"phase": "aside"})
            assert (refused.status_code, pointers(refused)) == (422, ["/phase"])
            assert "/v1/events counts it" in refused.json()["detail"]
        body = {"action": "cancel", "filter": {"phase": "aside"}}
        refused = await http.post("/operations", json=body)
        assert (refused.status_code, pointers(refused)) == (422, ["/filter/phase"])
        other = await http.get("/messages", params={"phase": "late"})
        assert "phase is one of scheduled, due," in other.json()["detail"]
