"""Pausing and limiting over HTTP."""

from tests.cli.kit import ago
from tests.web.kit import pointers, served, soon

import duly
from duly import Client, Message


async def test_a_rule_is_made_changed_and_removed(on_each: Client):
    await on_each.schedule(Message("mail.send", id="a", scheduled_at=ago(5)))
    async with served(on_each) as http:
        nothing = await http.get("/controls/~bWFpbC4q")  # mail.*
        assert (nothing.json()["rule"], nothing.json()["paused"]) == ("mail.*", False)
        body = {"paused": True, "until": soon(), "rate_per_second": 5, "reason": "INC-1"}
        made = await http.put("/controls/~bWFpbC4q", json=body)
        assert made.status_code == 200, made.text
        told = made.json()
        assert (told["paused"], told["rate_per_second"], told["by"]) == (True, 5.0, "mara")
        assert (told["reason"], told["holds"]) == ("INC-1", 1)
        pause = (await on_each.controls())["mail.*"].pause
        assert pause is not None
        assert pause.by == "mara"
        assert (await http.get("/messages/a")).json()["why"]["rule"] == "mail.*"
        match = {"If-Match": nothing.headers["etag"]}
        late = await http.put("/controls/~bWFpbC4q", json=body, headers=match)
        assert (late.status_code, late.json()["code"]) == (412, "ChangedSince")
        under = await http.delete("/controls/mail.send")
        assert under.status_code == 200  # nothing was said of it
        limited = await http.put("/controls/~bWFpbC4q", json={"in_flight": 3})
        assert (limited.json()["paused"], limited.json()["in_flight"]) == (False, 3)
        assert limited.json()["rate_per_second"] is None
        assert [each["rule"] for each in (await http.get("/controls")).json()["items"]] == [
            "mail.*"
        ]
        gone = await http.delete("/controls/~bWFpbC4q", headers={"If-Match": "*"})
        assert gone.status_code == 200
        assert (await http.get("/controls")).json() == {"items": []}


async def test_what_can_never_work(client: Client):
    async with served(client) as http:
        for body, pointer in (
            ({"paused": True, "until": soon(-9)}, "/until"),
            ({"until": soon()}, "/until"),
            ({"paused": True, "until": "x"}, "/until"),
            ({"rate_per_second": 0}, "/rate_per_second"),
            ({"in_flight": 0}, "/in_flight"),
            ({"paused": "yes"}, "/paused"),
            ({"by": "somebody"}, "/by"),
            ({"reason": "x" * 256}, "/reason"),
        ):
            answer = await http.put("/controls/a", json=body)
            assert answer.status_code == 422, body
            assert pointers(answer) == [pointer]
    assert await client.controls() == {}


async def test_a_pause_is_one_change():
    told: list[str] = []

    class Record:
        @duly.hookimpl
        def duly_changed(self, change: duly.hookspecs.Change) -> None:
            told.append(change.action)

    async with Client("memory://", plugins=[Record()]) as client, served(client) as http:
        for body in ({"paused": True}, {"paused": False}, {"paused": False}, {"in_flight": 2}):
            assert (await http.put("/controls/mail.send", json=body)).status_code == 200
        assert (await http.put("/controls/mail.send", json={})).status_code == 200
    assert told == ["pause", "resume", "limit", "limit"]


async def test_a_value_that_core_refuses_is_pointed_at(on_each: Client):
    async with served(on_each) as http:
        past = {"paused": True, "until": "2020-01-01T01:00:00+01:00"}
        answer = await http.put("/controls/mail.send", json=past)
        assert (answer.status_code, pointers(answer)) == (422, ["/until"])
        assert "until is 2020-01-01T00:00:00Z, and" in answer.json()["detail"]
        long = await http.put("/controls/mail.send", json={"paused": True, "reason": "a\nb"})
        assert (long.status_code, pointers(long)) == (422, ["/reason"])
