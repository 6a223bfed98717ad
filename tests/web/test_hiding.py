"""What users may not see is not there, nor to be guessed."""

import pytest
from tests.cli.kit import bury
from tests.web.kit import USERS, served
from tests.web.test_access import prepare, user

import duly_web
from duly import Client, InvalidArgument, Message, after


async def test_what_is_hidden(client):
    await prepare(client)
    async with served(client, access=lambda _: user("read")) as http:
        told = (await http.get("/messages/order-1")).json()
        assert (told["metadata"], told["hidden"]) == (None, ["metadata", "payload"])
        assert (await http.get("/messages")).json()["items"][0]["metadata"] is None
        for path in ("/messages", "/messages/count", "/causes", "/series"):
            answer = await http.get(path, params={"meta.tenant": "acme"})  # nor by guessing
            assert (answer.status_code, answer.json()["code"]) == (403, "Forbidden")
    async with served(client, access=lambda _: user("read", "payload")) as http:
        told = (await http.get("/messages/order-1")).json()
        assert (told["metadata"], told["hidden"]) == ({"tenant": "acme"}, [])


async def test_what_is_redacted(client):
    await bury(client, {"d": "Rejected: card 4711 of acme"}, name="orders.paid", kind="Rejected")
    await prepare(client)

    def redact(message: Message) -> bytes:
        if b"secret" in message.payload:
            raise ValueError("it cannot be made safe")
        return message.payload.replace(b"4711", b"....")

    async with served(client, redact=redact, access=lambda _: user("read", "payload")) as http:
        told = await http.get("/messages/d")
        assert told.json()["last_error"] == "Rejected: card .... of acme"
        assert "4711" not in told.text
        assert "4711" not in (await http.get("/messages")).text
        assert "acme" not in (await http.get("/causes")).text
        assert (await http.get("/messages/order-1/payload")).status_code == 403
        assert (await http.get("/messages/d/payload")).content == b"{}"
    async with served(client, redact=redact, access=lambda _: user("read")) as http:
        for path in ("/causes", "/overview"):
            assert (await http.get(path)).status_code == 403
        guessed = await http.get("/messages/count", params={"error": "*4711*"})
        assert guessed.status_code == 403


async def test_prefixes(client):
    for name in ("orders.paid", "orders.eu.paid", "ordersx", "mail"):
        await client.schedule(Message(name, id=name, scheduled_at=after(hours=1)))
    for events, seen in (
        (("orders.*",), {"orders.paid", "orders.eu.paid"}),
        (("orders.eu.*",), {"orders.eu.paid"}),
        (("mail",), {"mail"}),
        (("*",), {"orders.paid", "orders.eu.paid", "ordersx", "mail"}),
        ((), set()),
    ):
        somebody = user("read", events=events)
        async with served(client, access=lambda _, who=somebody: who) as http:  # type: ignore[misc]  # it takes one argument
            found = {
                name
                for name in ("orders.paid", "orders.eu.paid", "ordersx", "mail")
                if (await http.get(f"/messages/{name}")).status_code == 200
            }
            assert found == seen
            names = {each["event_name"] for each in (await http.get("/events")).json()["items"]}
            assert names == seen
            listed = await http.get("/messages")
            if events:
                assert {each["event_name"] for each in listed.json()["items"]} == seen
            else:
                assert listed.status_code == 403
    both = user("read", events=("mail", "orders.*"))
    async with served(client, access=lambda _: both) as http:
        assert (await http.get("/messages")).status_code == 403  # it has to say which
        assert len((await http.get("/messages?event_name=mail")).json()["items"]) == 1
        assert (await http.get("/messages?event_name=*")).status_code == 403


async def test_what_a_user_may_not_see_is_not_replaced(client):
    await client.schedule(Message("mail", id="x", scheduled_at=after(hours=1)))
    otto = user(*duly_web.RIGHTS, events=("orders.*",))
    async with served(client, access=lambda _: otto) as http:
        body = {"event_name": "orders.paid", "id": "x", "delay": "1h", "replace": True}
        assert (await http.post("/messages", json=body)).status_code == 409
        assert (await http.post("/messages/many", json={"messages": [body]})).status_code == 409
        rule = {"event_name": "orders.x", "recurrence": {"type": "every", "interval": "1h"}}
        assert (await http.put("/series/x", json=rule)).status_code == 409
    assert (await client.get("x")).event_name == "mail"


@pytest.mark.parametrize("options", [
    {}, {"access": duly_web.Tokens(USERS), "open_to_all": True}, {"open_to_all": False},
    {"access": "mara"}, {"access": print, "timeout": 5}, {"access": print, "max_body": 0},
])  # fmt: skip
def test_an_application_that_can_never_work(options):
    with pytest.raises(InvalidArgument):
        duly_web.application(Client("memory://"), **options)


@pytest.mark.parametrize("arguments", [
    ("",), ("a\n",), ("x" * 256,), (None,), ("a", "read"), ("a", ["root"]), ("a", ["read"], "orders"),
    ("a", ["read"], ["or*"]), ("a", ["read"], [""]),
])  # fmt: skip
def test_users_that_are_none(arguments):
    with pytest.raises(InvalidArgument):
        duly_web.User(*arguments)
