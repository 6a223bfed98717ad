"""What pages refuse, and to whom."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from tests.web.kit import ALL, ORDERS, READS, asking, listening
from tests.web.pages.scene import PLACES, scene

import duly
import duly_web
from duly import Client, Message
from duly_web.pages.routes import ACTS


@pytest.mark.parametrize(("path", "right"), [(path, right) for path, (right, _) in ACTS.items()])
async def test_an_act_without_its_right_is_refused(path: str, right: str, client: Client) -> None:
    others = [each for each in duly_web.RIGHTS if each != right]
    users = {ALL: duly_web.User("nobody", others)}
    app = duly_web.application(client, access=duly_web.Tokens(users))
    async with listening(app) as url, asking(f"{url}/") as http:
        answer = await http.post(path.replace("{ref}", "x"), data={"action": "cancel"})
        assert answer.status_code == 403
        assert f"has not the right &#39;{right}&#39;" in answer.text


async def test_who_only_reads_is_shown_no_act(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path, token=READS) as one:
        for place in [*PLACES, "messages/welcome-3", "messages/report", "messages?phase=dead"]:
            text = (await one.http.get(place)).text
            assert '<details class="act' not in text, place
            posts = re.findall(r'<form method="post" action="([^"]*)"', text)
            assert not [each for each in posts if not each.endswith("messages")], place
            assert '<button type="submit" name="action"' not in text
            assert "acme" not in text, place
        answer = await one.http.post("messages/welcome-3/payload")
        assert answer.status_code == 403


async def test_who_has_some_events_sees_no_others(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path, token=ORDERS) as one:
        for place in [*PLACES, "messages/order-1"]:
            text = (await one.http.get(place)).text
            for other in ("mail.send", "invoices.", "welcome-", "smtp.internal", "jonas"):
                assert other not in text, (place, other)
        for place in ("messages/welcome-3", "messages?event_name=mail.send", "messages/invoice-1"):
            assert "smtp" not in (await one.http.get(place)).text
        for rule in ("mail.send", "*"):
            answer = await one.http.post("events", data={"action": "pause", "rule": rule})
            assert answer.status_code == 403
        assert "12" in (await one.http.get("dead")).text


@pytest.mark.parametrize("headers", [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
    {"Origin": "null"},
])  # fmt: skip
async def test_another_site_can_send_no_form(pages: Any, headers: dict[str, str]) -> None:
    for path in ACTS:
        answer = await pages.post(path.replace("{ref}", "x"), headers=headers)
        assert answer.status_code == 403
        assert answer.json()["code"] == "CrossSite"


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example",
        "https://evil.example",
        "\\\\evil.example",
        "/x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
    ],
)
async def test_nobody_is_led_elsewhere(pages: Any, back: str) -> None:
    answer = await pages.post("zone", data={"zone": "UTC", "back": back})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("./")
    assert answer.next_request.url.host == "127.0.0.1"
    assert len(answer.headers.get_list("set-cookie")) == 1


async def test_what_cannot_be_undone_is_confirmed_with_its_count(
    pages: Any, client: Client
) -> None:
    await client.schedule_many(
        [Message("a.b", b"", id=str(n), scheduled_at=duly.after(hours=1)) for n in range(3)]
    )
    form = {"action": "cancel", "filter": "event_name=a.b", "scope": "all", "expect": "2"}
    answer = await pages.post("messages", data=form)
    assert answer.status_code == 422
    assert "tick that you are sure" in answer.text
    answer = await pages.post("messages", data={**form, "sure": "yes"})
    assert answer.status_code == 409
    assert "3 match, and at most 2 were expected" in answer.text
    assert (await client.stats()).scheduled == 3
    answer = await pages.post(
        "messages", data={"action": "cancel", "scope": "selected", "sure": "yes"}
    )
    assert "no message is selected" in answer.text


@pytest.mark.parametrize(
    "wrong", [{"color": "pink"}, {"timezone": "Berlin"}, {"environment": "a\nb"}, {"store": 7}]
)
def test_a_look_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(duly.InvalidArgument):
        duly_web.Pages(**wrong)


def test_texts_of_errors_are_redacted_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(
            "memory://", tmp_path, token=READS, redact=lambda message: b"(hidden)"
        ) as one:
            for place in [*PLACES, "messages/welcome-3", "messages?phase=retrying"]:
                assert "smtp.internal" not in (await one.http.get(place)).text, place

    asyncio.run(run())
