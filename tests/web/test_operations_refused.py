"""Acts on many that are refused before anything is written down."""

import pytest
from tests.web.kit import ORDERS, READS, USERS, asking, bearer, listening, pointers, served, soon
from tests.web.test_operations import dead

import duly_web
from duly import Client


async def test_a_number_that_was_not_expected(client: Client):
    await dead(client, 3)
    async with served(client) as http:
        body = {"action": "purge", "all": True, "expect_at_most": 2}
        refused = await http.post("/operations", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "WrongState")
        assert "3 match, and at most 2 were expected" in refused.json()["detail"]
        assert (await http.get("/operations")).json() == {"items": []}


@pytest.mark.parametrize(("body", "pointer"), [
    ({}, "/action"),
    ({"action": "drop"}, "/action"),
    ({"action": "purge"}, "/filter"),
    ({"action": "purge", "all": True, "filter": {"error": "*"}}, "/all"),
    ({"action": "replay", "filter": {"state": "scheduled"}}, "/filter"),
    ({"action": "replay", "filter": {"phase": "due"}}, "/filter"),
    ({"action": "cancel", "filter": {"event_name": "a"}, "rate_per_second": 1}, "/rate_per_second"),
    ({"action": "replay", "all": True, "rate_per_second": -1}, "/rate_per_second"),
    ({"action": "replay", "filter": {"due_before": "x"}}, "/filter/due_before"),
    ({"action": "replay", "filter": {"order": "id"}}, "/filter/order"),
    ({"action": "replay", "all": True, "as_of": soon()}, "/as_of"),
    ({"action": "replay", "all": True, "starts_at": "x"}, "/starts_at"),
    ({"action": "replay", "all": True, "starts_at": soon(), "delay": "1s"}, "/delay"),
    ({"action": "replay", "all": True, "by": "x"}, "/by"),
])  # fmt: skip
async def test_what_can_never_work(client: Client, body, pointer):
    async with served(client) as http:
        answer = await http.post("/operations", json=body)
        assert (answer.status_code, pointers(answer)) == (422, [pointer]), answer.text
        assert (await http.get("/operations")).json() == {"items": []}


async def test_rights_on_operations(client: Client):
    await dead(client, 2)
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(app) as url, asking(f"{url}/v1") as http:
        whole = (await http.post("/operations", json={"action": "replay", "all": True})).json()
        of_orders = await http.post(
            "/operations", json={"action": "replay", "all": True}, headers=bearer(ORDERS)
        )
        assert of_orders.status_code == 201
        seen = (await http.get("/operations", headers=bearer(ORDERS))).json()["items"]
        assert [each["id"] for each in seen] == [of_orders.json()["id"]]
        assert (
            await http.get(f"/operations/{whole['id']}", headers=bearer(ORDERS))
        ).status_code == 404
        for path in (f"/operations/{whole['id']}",):
            assert (await http.delete(path, headers=bearer(READS))).status_code == 403
        for body in (
            {"action": "replay", "filter": {"event_name": "mail.send"}},
            {"action": "replay", "filter": {"event_name": "*"}},
        ):
            refused = await http.post("/operations", json=body, headers=bearer(ORDERS))
            assert refused.status_code == 403, refused.text
