"""One message over HTTP: scheduled, read, moved, cancelled, fired, replayed; on each store."""

import base64
import json
import re

import pytest
from tests.cli.kit import ago, bury
from tests.web.kit import pointers, served, soon

from duly import Client, Message, Scheduler, after
from duly.store import SupportsNotes


async def test_the_whole_life_of_a_message(on_each: Client):
    async with served(on_each) as http:
        made = await http.post(
            "/messages",
            content=b'{"event_name": "mail.send", "id": "a/b", "delay": "1h", "metadata": {"k": "v"},'
            b' "payload":  {"amount" : 1.10, "big": 12345678901234567890123, "b":[ ]} }',
            headers={"Content-Type": "application/json"},
        )
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["id"], told["ref"], told["phase"]) == ("a/b", "~YS9i", "scheduled")
        assert told["metadata"] == {"k": "v", "content-type": "application/json"}
        assert made.headers["location"] == "/v1/messages/~YS9i"
        path = "/messages/~YS9i"
        raw = await http.get(f"{path}/payload")
        assert raw.content == b'{"amount" : 1.10, "big": 12345678901234567890123, "b":[ ]}'
        assert (await on_each.get("a/b")).payload == raw.content

        read = await http.get(path)
        assert read.status_code == 200
        assert read.json()["why"]["code"] == "scheduled"
        assert read.json()["payload_size"] == len(raw.content)
        known = {"If-None-Match": read.headers["etag"]}
        assert (await http.get(path, headers=known)).status_code == 304

        at = soon(7200)
        moved = await http.patch(
            path, json={"scheduled_at": at}, headers={"If-Match": read.headers["etag"]}
        )
        assert moved.json()["scheduled_at"] == at
        late = await http.patch(
            path, json={"delay": "PT10M"}, headers={"If-Match": read.headers["etag"]}
        )
        assert (late.status_code, late.json()["code"]) == (412, "ChangedSince")

        assert (await http.post(f"{path}/fire")).json() == {"id": "a/b", "ref": "~YS9i"}
        assert (await http.get(path)).json()["phase"] == "due"
        gone = await http.delete(path)
        assert (gone.status_code, gone.json()) == (200, {"outcome": "cancelled"})
        for answer in (await http.get(path), await http.delete(path)):
            assert answer.status_code == 404
            assert answer.json()["code"] == "MessageNotFound"
            assert answer.headers["content-type"] == "application/problem+json"


async def test_what_is_in_hand_is_too_late(on_each: Client):
    await on_each.schedule(Message("mail.send", id="a", scheduled_at=ago(1)))
    store = on_each._calls.store
    await store.claim(
        limit=10, lease=after(minutes=1) - after(), owner="h:1:t", suspects=True, settle=()
    ) if isinstance(store, SupportsNotes) else None
    async with served(on_each) as http:
        moved = await http.patch("/messages/a", json={"delay": "1h"})
        assert (moved.status_code, moved.json()["code"]) == (409, "WrongState")
        answer = await http.delete("/messages/a")
        assert (answer.status_code, answer.json()) == (202, {"outcome": "too_late"})


async def test_a_dead_letter_is_replayed(on_each: Client):
    await bury(on_each, {"a": "Rejected: no"}, name="mail.send", kind="Rejected")
    async with served(on_each) as http:
        told = (await http.get("/messages/a")).json()
        assert (told["phase"], told["last_error"], told["error_class"]) == (
            "dead", "Rejected: no", "Rejected",
        )  # fmt: skip
        again = await http.post("/messages/a/replay", json={"delay": "10m"})
        assert (again.status_code, again.json()["phase"]) == (200, "scheduled")
        refused = await http.post("/messages/a/replay")
        assert (refused.status_code, refused.json()["code"]) == (409, "WrongState")


async def test_a_repeat_is_told_from_another(on_each: Client):
    body = {"event_name": "a", "id": "x", "scheduled_at": soon(), "payload": {"n": 1}}
    async with served(on_each) as http:
        assert (await http.post("/messages", json=body)).status_code == 201
        again = await http.post("/messages", json=body)
        assert (again.status_code, again.json()["repeat"]) == (200, True)
        for other in ({"payload": {"n": 2}}, {"scheduled_at": soon(99)}, {"event_name": "b"}):
            answer = await http.post("/messages", json={**body, **other})
            assert (answer.status_code, answer.json()["code"]) == (409, "DuplicateMessage")
        replaced = await http.post("/messages", json={**body, "payload": 2, "replace": True})
        assert replaced.status_code == 201
        assert (await on_each.get("x")).payload == b"2"


async def test_a_key_becomes_the_id(client: Client):
    body = {"event_name": "a", "delay": "1h", "payload": 1}
    key = {"Idempotency-Key": '"8e03978e-40d5"'}
    async with served(client) as http:
        first = await http.post("/messages", json=body, headers=key)
        assert (first.status_code, first.json()["id"]) == (201, "8e03978e-40d5")
        again = await http.post("/messages", json=body, headers=key)
        assert (again.status_code, again.json()["repeat"]) == (200, True)
        other = await http.post("/messages", json={**body, "payload": 2}, headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "InvalidArgument")


async def test_payloads_that_are_no_json(client: Client):
    async with served(client) as http:
        for said, payload, kind in (
            ({"payload_text": "grüß"}, "grüß".encode(), "text/plain; charset=utf-8"),
            ({"payload_base64": base64.b64encode(b"\x00\xff").decode()}, b"\x00\xff", None),
            ({"payload": None}, b"null", "application/json"),
            ({}, b"", None),
            (
                {"payload": 1, "content_type": "application/vnd.x+json"},
                b"1",
                "application/vnd.x+json",
            ),
        ):
            made = await http.post("/messages", json={"event_name": "a", "delay": "1h", **said})
            assert made.status_code == 201, made.text
            message = await client.get(made.json()["id"])
            assert (message.payload, message.metadata.get("content-type")) == (payload, kind)


WRONG = [
    ({}, "/event_name"),
    ({"event_name": "a"}, ""),
    ({"event_name": "", "delay": "1h"}, "/event_name"),
    ({"event_name": "a.*", "delay": "1h"}, "/event_name"),
    ({"event_name": "duly.unreadable", "delay": "1h"}, "/event_name"),
    ({"event_name": "a", "delay": "soon"}, "/delay"),
    ({"event_name": "a", "delay": "9999999999d"}, "/delay"),
    ({"event_name": "a", "delay": "1h", "scheduled_at": soon()}, "/delay"),
    ({"event_name": "a", "scheduled_at": "2026-02-30T00:00:00Z"}, "/scheduled_at"),
    ({"event_name": "a", "scheduled_at": "2026-02-20T25:00:00Z"}, "/scheduled_at"),
    ({"event_name": "a", "scheduled_at": "2026-12-31T23:59:60Z"}, "/scheduled_at"),
    ({"event_name": "a", "scheduled_at": "2026-02-20T00:00:00"}, "/scheduled_at"),
    ({"event_name": "a", "scheduled_at": "0001-01-01T00:00:00+14:00"}, "/scheduled_at"),
    ({"event_name": "a", "scheduled_at": 1}, "/scheduled_at"),
    ({"event_name": "a", "scheduled_at": soon(), "expires_at": soon(-9)}, "/expires_at"),
    ({"event_name": "a", "delay": "1h", "metadata": {"a": 1}}, "/metadata"),
    ({"event_name": "a", "delay": "1h", "metadata": {"a\n": "1"}}, "/metadata"),
    ({"event_name": "a", "delay": "1h", "payload": 1, "payload_text": "1"}, "/payload_text"),
    ({"event_name": "a", "delay": "1h", "payload_base64": "%"}, "/payload_base64"),
    ({"event_name": "a", "delay": "1h", "id": "a\x00"}, "/id"),
    ({"event_name": "a", "delay": "1h", "nonsense": 1}, "/nonsense"),
    ({"event_name": "a", "delay": "1h", "payload": "x" * 1_100_000}, "/payload"),
    ({"event_name": "a", "recurrence": {"type": "cron", "expression": "61 * * * *"}}, "/recurrence/expression"),
    ({"event_name": "a", "recurrence": {"type": "cron", "expression": "0 0 30 2 *"}}, "/recurrence"),
    ({"event_name": "a", "recurrence": {"type": "cron", "expression": "@daily", "timezone": "Mars/X"}}, "/recurrence/timezone"),
    ({"event_name": "a", "recurrence": {"type": "every", "interval": "0s"}}, "/recurrence/interval"),
    ({"event_name": "a", "recurrence": {"type": "every"}}, "/recurrence/interval"),
    ({"event_name": "a", "recurrence": {"type": "every", "interval": "1m", "jitter": "2m"}}, "/recurrence/jitter"),
    ({"event_name": "a", "recurrence": {"type": "every", "interval": "1m", "until": "never"}}, "/recurrence/until"),
    ({"event_name": "a", "recurrence": {"type": "rrule"}}, "/recurrence/type"),
    ({"event_name": "a", "recurrence": {"type": "every", "interval": "1m", "missed": "some"}}, "/recurrence/missed"),
]  # fmt: skip


async def test_what_can_never_work_is_refused_with_its_place(client: Client):
    async with served(client) as http:
        for body, pointer in WRONG:
            answer = await http.post("/messages", json=body)
            assert answer.status_code == 422, (body, answer.text)
            assert answer.json()["code"] in ("InvalidMessage", "InvalidArgument")
            (found,) = pointers(answer) or [""]
            assert found.startswith(pointer), (body, answer.text)
            assert answer.json()["instance"] == "/v1/messages"
    assert (await client.stats()).scheduled == 0


@pytest.mark.parametrize("content", [
    b"", b"{", b'{"event_name": "a"]', b'{"event_name": "\xff"}', b'{"event_name":"a","payload":"\xff"}',
    b'{"payload":' + b"[" * 100_000, b"\xef\xbb\xbf{}", b'{"payload": NaN}',
])  # fmt: skip
async def test_what_is_no_json(client: Client, content):
    async with served(client) as http:
        answer = await http.post(
            "/messages", content=content, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "NoJson")


async def test_refs(client: Client):
    ids = ["a", "a.b:c@d-e_f", ".", "..", "a/fire", "ü", "~a", "a b", "a%2Fb", "x" * 255]
    async with served(client) as http:
        for id in ids:
            await client.schedule(Message("a", id=id, scheduled_at=after(hours=1)))
        for each in (await http.get("/messages")).json()["items"]:
            assert (await http.get(f"/messages/{each['ref']}")).json()["id"] == each["id"]
        for wrong in ("~", "~!", "a%20b", "~_w", "%C3%BC", "~YQ=="):
            answer = await http.get(f"/messages/{wrong}")
            assert answer.status_code in (422, 200 if wrong == "~YQ==" else 422), wrong


async def test_a_series_is_seen_to(on_each: Client):
    rule = {"type": "cron", "expression": "30 2 * * *", "timezone": "Europe/Berlin"}
    body = {"event_name": "reports.nightly", "recurrence": rule, "payload": {}}
    async with served(on_each) as http:
        first = await http.put("/series/nightly", json=body)
        assert (first.status_code, first.json()["outcome"]) == (201, "stored"), first.text
        again = await http.put("/series/nightly", json=body)
        assert (again.status_code, again.json()["outcome"]) == (200, "same")
        told = (await http.get("/messages/nightly")).json()
        assert told["in_words"] == "every day at 02:30"
        assert told["recurrence"]["timezone"] == "Europe/Berlin"
        assert len(told["next"]) == 5
        sent = {**told["recurrence"], "expression": "0 3 * * *"}
        changed = await http.put("/series/nightly", json={**body, "recurrence": sent})
        assert changed.json()["outcome"] == "changed", changed.text
        (item,) = (await http.get("/series")).json()["items"]
        assert item["in_words"] == "every day at 03:00"
        bad = await http.put(
            "/series/x", json={**body, "recurrence": {**rule, "max_occurrences": 3}}
        )
        assert (bad.status_code, bad.json()["code"]) == (422, "InvalidMessage")


async def test_many(on_each: Client):
    at = soon()
    some = [{"event_name": "a", "id": f"m{n}", "scheduled_at": at, "payload": n} for n in range(50)]
    async with served(on_each) as http:
        made = (await http.post("/messages/many", json={"messages": some})).json()
        assert [each["status"] for each in made["results"]] == [201] * 50
        again = (await http.post("/messages/many", json={"messages": some})).json()
        assert {(each["status"], each["repeat"]) for each in again["results"]} == {(200, True)}
        other = [{**some[0], "payload": -1}, {"event_name": "a", "id": "new", "scheduled_at": at}]
        refused = await http.post("/messages/many", json={"messages": other})
        assert (refused.status_code, pointers(refused)) == (409, ["/messages/0/id"])
        assert (await on_each.stats()).scheduled == 50
        each = {"messages": [*other, some[1], {"event_name": ""}], "atomic": False}
        results = (await http.post("/messages/many", json=each)).json()["results"]
        assert [one["status"] for one in results] == [409, 201, 200, 422]
        assert results[0]["problem"]["code"] == "DuplicateMessage"
        assert results[3]["problem"]["errors"][0]["pointer"] == "/messages/3/event_name"
        wrong = {"messages": [some[0], {"event_name": "a", "delay": "x"}]}
        answer = await http.post("/messages/many", json=wrong)
        assert (answer.status_code, pointers(answer)) == (422, ["/messages/1/delay"])
        assert json.loads((await on_each.get("m7")).payload) == 7


async def test_a_path_with_an_encoded_slash_names_the_ref_to_use(client: Client):
    await client.schedule(Message("mail.send", id="tenant", scheduled_at=after(hours=1)))
    await client.schedule(Message("mail.send", id="tenant/fire", scheduled_at=after(hours=1)))
    before = await client.get("tenant")
    async with served(client) as http:
        for method, path in (
            ("GET", "/messages/tenant%2ffire"),
            ("POST", "/messages/tenant%2Ffire"),  # which is not to fire the other one
            ("DELETE", "/messages/tenant%2Ffire"),
            ("GET", "/messages/tenant%2Ffire/payload"),
        ):
            answer = await http.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
            assert "its ref: ~dGVuYW50L2ZpcmU" in answer.json()["detail"]
        assert (await http.get("/messages/~dGVuYW50L2ZpcmU")).json()["id"] == "tenant/fire"
    assert await client.get("tenant") == before


_PYTHON = re.compile(r"\w\(|duly\.[a-z]|=(True|False|None)\b|\(\.\.\.\)")


async def test_no_refusal_speaks_python(client: Client):
    await bury(client, {"dead": "no"}, name="mail.send", kind="Rejected")
    await client.schedule(Message("mail.send", id="waits", scheduled_at=after(hours=1)))
    new = {"event_name": "mail.send", "id": "new"}
    cron = {"type": "cron", "expression": "*/90 * * * *"}
    async with Scheduler(client._calls.store, print, load_plugins=False) as alive, alive.running():
        async with served(client) as http:
            (one,) = (await http.get("/schedulers")).json()["items"]
            for method, path, body in (
                ("POST", "/messages", new),
                ("POST", "/messages", {**new, "delay": "1h", "expires_at": "2020-01-01T00:00:00Z"}),
                ("POST", "/messages", {**new, "event_name": "a.*", "delay": "1h"}),
                ("POST", "/messages", {**new, "recurrence": cron}),
                ("POST", "/messages", {**new, "recurrence": {**cron, "expression": "@every 5m"}}),
                (
                    "POST",
                    "/messages",
                    {**new, "recurrence": {**cron, "expression": "TZ=UTC @daily"}},
                ),
                ("POST", "/messages", {**new, "recurrence": {**cron, "timezone": "Mars"}}),
                ("POST", "/messages", {**new, "scheduled_at": "2030-01-01T00:00:00"}),
                ("POST", "/messages/dead/fire", None),
                ("PATCH", "/messages/dead", {"delay": "1h"}),
                ("POST", "/messages/waits/replay", {}),
                ("POST", f"/schedulers/{one['ref']}/recover", {}),
                ("GET", "/messages?phase=aside", None),
                ("GET", "/forecast?until=2020-01-01T00:00:00Z", None),
                ("PUT", "/controls/mail.send", {"rate_per_second": 0}),
                ("POST", "/operations", {"action": "purge"}),
                ("POST", "/operations", {"action": "cancel", "filter": {}}),
            ):
                answer = await http.request(method, path, json=body)
                assert answer.status_code in (409, 422), (path, body, answer.text)
                assert not _PYTHON.search(answer.json()["detail"]), answer.json()["detail"]
