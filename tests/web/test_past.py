"""What a history keeps, over HTTP."""

from tests.web.kit import ORDERS, bearer, pointers, served

from duly import Client, Message, after
from duly_history import History


async def test_what_became_of_a_message_and_who_changed_it(tmp_path):
    history = History(f"sqlite:///{tmp_path}/history.db")
    async with Client("memory://", plugins=[history], load_plugins=False) as client:
        async with served(client, history=history) as http:
            await client.schedule(Message("mail.send", scheduled_at=after(hours=1)))
            body = {"event_name": "mail.send", "id": "x", "delay": "1h"}
            assert (await http.post("/messages", json=body)).status_code == 201
            assert (await http.patch("/messages/x", json={"delay": "2h"})).status_code == 200
            assert (await http.delete("/messages/x")).status_code == 200
            await http.put("/controls/mail.send", json={"paused": True, "reason": "INC-1"})
            await history.flush()
            told = (await http.get("/messages/x/history")).json()  # although it is gone
            assert [each["what"] for each in told["items"]] == [
                "scheduled",
                "rescheduled",
                "cancelled",
            ]
            assert told["complete"]
            changes = (await http.get("/changes")).json()["items"]
            assert {each["by"] for each in changes} == {"mara"}
            assert {("pause", "mail.send"), ("cancel", "x"), ("schedule", "x")} <= {
                (each["action"], each["target"]) for each in changes
            }
            assert [each["reason"] for each in changes if each["action"] == "pause"] == ["INC-1"]
            (one,) = (await http.get("/changes", params={"action": "cancel"})).json()["items"]
            assert (one["number"], one["error"]) == (1, None)
            hidden = await http.get("/messages/x/history", headers=bearer(ORDERS))
            assert hidden.status_code == 404
            assert (await http.get("/messages/none/history")).status_code == 404
            wrong = await http.get("/changes", params={"since": "x"})
            assert (wrong.status_code, pointers(wrong)) == (422, ["/since"])
            (event,) = (await http.get("/events")).json()["items"]
            assert event["delivered_per_minute"] is None  # nothing was delivered in the last hour
    await history.close()


async def test_a_repeat_is_no_change_and_not_told_as_refused(on_each: Client, tmp_path):
    history = History(f"sqlite:///{tmp_path}/history.db")
    async with Client(on_each._calls.store, plugins=[history], load_plugins=False) as client:
        async with served(client, history=history) as http:
            one = {"event_name": "mail.send", "id": "x", "delay": "1h"}
            many = {"messages": [{**one, "id": "y"}, {**one, "id": "z"}]}
            loose = {"messages": [one, {**one, "id": "new"}], "atomic": False}
            for status in (201, 200):
                assert (await http.post("/messages", json=one)).status_code == status
                told = (await http.post("/messages/many", json=many)).json()["results"]
                assert [each["status"] for each in told] == [status, status]
            await http.post("/messages/many", json=loose)
            other = {**one, "event_name": "mail.other"}
            assert (await http.post("/messages", json=other)).status_code == 409
            taken = {"messages": [{**one, "id": "y"}, {**one, "id": "fresh"}]}
            refused = await http.post("/messages/many", json=taken)
            assert (refused.status_code, pointers(refused)) == (409, ["/messages/0/id"])
            changes = (await http.get("/changes")).json()["items"]
            assert [
                (each["target"], each["number"], each["outcome"], (each["error"] or "")[:16])
                for each in reversed(changes)
            ] == [
                ("x", 1, None, ""),
                ("", 2, None, ""),
                ("x", 0, "repeat", ""),
                ("", 0, "repeat", ""),
                ("", 1, None, ""),
                ("x", 0, None, "DuplicateMessage"),
                ("", 0, None, "DuplicateMessage"),
            ]
    await history.close()


async def test_one_that_is_gone_tells_where_its_history_is(tmp_path):
    history = History(f"sqlite:///{tmp_path}/history.db")
    async with Client("memory://", plugins=[history], load_plugins=False) as client:
        async with served(client, history=history) as http:
            for id in ("a/b", "plain"):
                body = {"event_name": "mail.send", "id": id, "delay": "1h"}
                ref = (await http.post("/messages", json=body)).json()["ref"]
                before = await http.get(f"/messages/{ref}")
                assert "history" not in before.json()
                await http.delete(f"/messages/{ref}")
                await history.flush()
                for ask in (http.get(f"/messages/{ref}"), http.post(f"/messages/{ref}/fire")):
                    gone = await ask
                    problem = gone.json()
                    assert (gone.status_code, problem["code"]) == (404, "MessageNotFound")
                    assert problem["history"] == f"/v1/messages/{ref}/history"
                    assert problem["history"] in problem["detail"]
                told = await http.get(problem["history"].removeprefix("/v1"))
                assert [each["what"] for each in told.json()["items"]] == ["scheduled", "cancelled"]
                hidden = (await http.get(f"/messages/{ref}", headers=bearer(ORDERS))).json()
                assert "history" not in hidden
            assert "history" not in (await http.get("/messages/none")).json()
    await history.close()


async def test_a_history_that_is_away_hides_no_404():
    history = History("postgresql://nobody@127.0.0.1:1/none")
    async with Client("memory://", load_plugins=False) as client:
        async with served(client, history=history) as http:
            answer = await http.get("/messages/none")
            assert (answer.status_code, "history" in answer.json()) == (404, False)
    await history.close()
