"""What acts answer, and pages about what is not there, in plain words."""

import re
from pathlib import Path
from typing import Any

from tests.web.pages.scene import scene, until
from tests.web.pages.test_on_call import plain


async def test_a_limit_of_nothing_is_answered_with_a_pause(pages: Any) -> None:
    for name in ("rate", "in_flight"):
        for said in ("0", "0.0"):
            form = {"action": "limit", "rule": "a.b", name: said}
            answer = await pages.post("events", data=form)
            assert answer.status_code == 422
            assert "to hold it all back, pause it" in answer.text
    for name, said, text in [
        ("rate", "-1", "give a number above 0, as 20 or 0.5"),
        ("rate", "many", "give a number above 0"),
        ("in_flight", "1.5", "give a whole number from 1 on"),
    ]:
        answer = await pages.post("events", data={"action": "limit", "rule": "a.b", name: said})
        assert answer.status_code == 422
        assert text in answer.text


async def test_an_operation_tells_all_moments_in_the_zone_of_the_page(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        body = {
            "action": "cancel", "filter": {"event_name": "mail.send", "due_after": "2026-11-30T23:30:00Z"},
            "starts_at": "2030-06-01T10:00:00Z",
        }  # fmt: skip
        id = (await one.http.post("v1/operations", json=body)).json()["id"]
        text = plain((await one.http.get(f"operations/{id}")).text)
        assert "of mail.send, due from 1 Dec 2026, 00:30:00 CET" in text
        assert "1 Jun 2030, 12:00:00 CEST" in text
        assert "UTC" not in text.split("The same")[0].split("Which")[1]


async def test_what_is_replayed_at_a_rate_is_not_done_before_it_has_gone_out(
    tmp_path: Path,
) -> None:
    async with scene("memory://", tmp_path) as one:
        body = {"action": "replay", "filter": {"event_name": "orders.export"}, "delay": "0s"}
        made = await one.http.post("v1/operations", json={**body, "rate_per_second": 0.1})
        id = made.json()["id"]

        async def done() -> bool:
            return (await one.http.get(f"v1/operations/{id}")).json()["state"] == "done"

        await until(done)
        text = plain((await one.http.get(f"operations/{id}")).text)
        (left,) = re.findall(r"Replay of 12 messages: (\d+) still to go out", text)
        assert 0 < int(left) < 12
        assert f"12 scheduled again. They go out at 0.1 a second: {left} are still to go" in text
        assert "still to go out, the last at" in plain((await one.http.get("changes")).text)


async def test_what_is_not_there_is_called_by_its_name(pages: Any) -> None:
    answer = await pages.get("operations/none")
    assert answer.status_code == 404
    assert "<h1>There is no such act on many</h1>" in answer.text
    assert "it never was, or ended over a week ago." in plain(answer.text)
    answer = await pages.post("operations/none/stop")
    assert (answer.status_code, "no such act" in answer.text) == (404, True)
    answer = await pages.get("messages/none")
    assert "There is no such message" in answer.text


async def test_dead_since_a_moment_that_is_still_to_come(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        for place in ("dead", "messages?phase=dead"):
            text = plain((await one.http.get(place, params={
                **({"phase": "dead"} if "?" in place else {}), "died_after": "2031-01-04T09:00",
            })).text)  # fmt: skip
            assert "4 Jan 2031, 09:00:00 CET is still to come: nothing has died since" in text
            assert "looked at" not in text
        text = plain((await one.http.get("dead?event_name=mail.send")).text)
        assert "No dead letter of mail.send is there." in text
