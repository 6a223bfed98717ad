"""What pages tell and refuse, without a browser."""

import asyncio
import html
import re
from pathlib import Path
from typing import Any

import pytest
from tests.web.kit import ALL, USERS, asking, listening
from tests.web.pages.scene import PLACES, scene, until

import duly
import duly_web
from duly import Client, Message
from duly_history import History
from duly_web.pages.routes import ACTS
from duly_web.refs import ref_of

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7+7}}</pre>"


async def test_an_empty_store_says_how_to_start(pages: Any) -> None:
    text = (await pages.get("")).text
    assert "Nothing is scheduled yet." in text
    assert "duly.after(minutes=5)" in text
    for place in PLACES:
        answer = await pages.get(place)
        assert answer.status_code in (200, 303), (place, answer.text)


async def test_all_urls_are_relative_and_nothing_is_inline(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path, mounted="/a/b") as one:
        for place in [*PLACES, "messages/welcome-3", "messages/report"]:
            answer = await one.http.get(place, follow_redirects=True)
            urls = re.findall(r'(?:href|src|action)="([^"]*)"', answer.text)
            assert urls
            assert all(each.startswith(("./", "../", "#")) for each in urls), urls
            assert not re.search(r"<style|<script>|\son\w+=|\sstyle=", answer.text)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["referrer-policy"] == "same-origin"


async def test_a_page_is_found_with_and_without_a_slash(pages: Any) -> None:
    answer = await pages.get("messages/", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.url.path == "/a/b/messages"
    answer = await pages.get(str(pages.base_url).rstrip("/"), follow_redirects=True)
    assert answer.status_code == 200
    assert answer.url.path == "/a/b/"


async def test_hostile_texts_are_shown_as_text(tmp_path: Path) -> None:
    async def fails(envelope: duly.Envelope) -> None:
        raise duly.Rejected(HOSTILE)

    history = History(f"sqlite:///{tmp_path / 'h.db'}")
    async with duly.Scheduler(
        "memory://", fails, plugins=[history], instance=HOSTILE[:80]
    ) as client:
        name = f"hostile.{HOSTILE}"
        at = duly.after(hours=1)
        await client.schedule_many([
            Message(name, HOSTILE.encode(), id=f"id{HOSTILE}", scheduled_at=at, metadata={f"k{HOSTILE}": HOSTILE}),
            Message(name, b"\xff\x00<script>", id="bytes", scheduled_at=at),
            Message(name, f'{{"a": "{html.escape(HOSTILE)}<b>"}}'.encode(), id="json", scheduled_at=at, metadata={"content-type": HOSTILE}),
            Message(name, b"", id="dead", scheduled_at=duly.after(seconds=-1)),
            Message(name, b"", id="series", recurrence=duly.Cron("0 0 * * *")),
        ])  # fmt: skip
        with duly.acting(by=HOSTILE, reason=HOSTILE):
            await client.limit(name, rate=1, reason=HOSTILE, by=HOSTILE)
        async with client.running():
            while not (await client.stats()).dead:  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.02)
        await client.pause("hostile.*", reason=HOSTILE, by=HOSTILE)
        await history.flush()
        look = duly_web.Pages(environment=HOSTILE[:200], store=HOSTILE)
        users = {ALL: duly_web.User(HOSTILE, duly_web.RIGHTS)}
        app = duly_web.application(
            client, access=duly_web.Tokens(users), history=history, pages=look
        )
        ref = ref_of(f"id{HOSTILE}")
        async with listening(app) as url, asking(f"{url}/") as http:
            places = [
                *PLACES,
                f"messages/{ref}",
                "messages/dead",
                "messages/series",
                "messages/bytes",
            ]
            said = {"event_name": name, "id_prefix": HOSTILE, "error": HOSTILE, "prefix": HOSTILE, "q": HOSTILE, "from": HOSTILE, "until": HOSTILE, "died_after": HOSTILE, "by": HOSTILE, f"meta.k{HOSTILE}": HOSTILE, "done": HOSTILE, "phase": HOSTILE}  # fmt: skip
            answers = [await http.get(each) for each in places]
            answers += [
                await http.get(each, params={key: value})
                for each in PLACES
                for key, value in said.items()
            ]
            answers += [
                await http.post(f"messages/{each}/payload") for each in (ref, "bytes", "json")
            ]
            answers += [
                await http.post(
                    each.replace("{ref}", ref),
                    data={
                        "action": HOSTILE,
                        "rule": HOSTILE,
                        "at": HOSTILE,
                        "zone": HOSTILE,
                        "back": HOSTILE,
                    },
                )
                for each in ACTS
                if each != "messages/{ref}/cancel"
            ]
            for answer in answers:
                assert answer.status_code < 500, (answer.url, answer.text)
                body = answer.text.replace("<script src=", "")
                assert "<script" not in body, answer.url
                assert "<img" not in body, answer.url
                assert "\x00" not in body
                for attributes in re.findall(r"<[a-z][^>]*>", body):
                    assert "onerror" not in re.sub(r'"[^"]*"', '""', attributes), (
                        answer.url,
                        attributes,
                    )
            assert "&lt;script&gt;" in answers[0].text
    await history.close()


async def test_ten_open_pages_make_one_set_of_reads_in_two_seconds(client: Client) -> None:
    await client.schedule(Message("orders.reminder", b"", scheduled_at=duly.after(hours=1)))
    asked: list[str] = []
    whole, names = client.standing, client.names

    async def standing() -> Any:
        asked.append("standing")
        return await whole()

    async def counted(**more: Any) -> Any:
        asked.append("names")
        return await names(**more)

    client.standing, client.names = standing, counted  # type: ignore[method-assign]  # they count
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(app) as url, asking(f"{url}/") as http:
        answers = await asyncio.gather(*(http.get("") for _ in range(10)))
        answers += [await http.get("") for _ in range(3)]
    assert all(each.status_code == 200 for each in answers)
    assert asked.count("standing") == 1
    assert asked.count("names") <= 2  # a page of names, and the one behind the last


async def test_what_has_not_changed_is_not_sent_again(pages: Any, client: Client) -> None:
    first = await pages.get("help")
    again = await pages.get("help", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content
    assert re.fullmatch(r"\d\d:\d\d:\d\d", again.headers["duly-as-of"])


async def test_a_moment_that_no_clock_shows_is_refused(pages: Any, client: Client) -> None:
    await client.schedule(
        Message("orders.reminder", b"", id="one", scheduled_at=duly.after(hours=1))
    )
    await pages.post("zone", data={"zone": "Europe/Berlin", "back": ""})
    answer = await pages.post("messages/one/move", data={"at": "2027-03-28T02:30"})
    assert answer.status_code == 422
    assert "never show 2027-03-28T02:30" in answer.text
    answer = await pages.get("ahead", params={"from": "2026-13-01T00:00"})
    assert "is no moment" in answer.text or "no such moment" in answer.text


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "UTC"])
async def test_the_ends_of_the_calendar_can_be_asked_for(pages: Any, zone: str) -> None:
    await pages.post("zone", data={"zone": zone, "back": ""})
    for moment in ("9999-12-31T23:30", "9999-12-31T10:00", "0001-01-01T00:30", "0001-01-02T00:00"):
        for place, name in [
            ("ahead", "from"), ("ahead", "until"), ("messages", "due_after"),
            ("messages", "due_before"), ("dead", "died_after"),
        ]:  # fmt: skip
            answer = await pages.get(place, params={name: moment})
            assert answer.status_code in (200, 422), (place, name, moment)


async def test_a_replay_of_several_events_tells_how_to_stop_what_is_left(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        body = {"action": "replay", "filter": {"error_class": "Rejected"}, "delay": "0s"}
        made = await one.http.post("v1/operations", json={**body, "rate_per_second": 0.5})
        assert made.status_code in (200, 201, 202), made.text
        id = made.json()["id"]

        async def done() -> bool:
            return (await one.http.get(f"v1/operations/{id}")).json()["state"] == "done"

        await until(done)
        answer = await one.http.get(f"operations/{id}")
        assert answer.status_code == 200
        assert "Replay of 12 messages: 1" in answer.text
        assert "still to go out</h1>" in answer.text
        assert "They go out at 0.5 a second: 1" in answer.text
        assert "pause those that it is about" in answer.text
        answer = await one.http.delete(f"v1/operations/{id}")
        assert answer.status_code == 409
        assert "pause its events" in answer.json()["detail"]


async def test_clock_changes_are_marked(pages: Any, client: Client) -> None:
    await client.schedule(
        Message(
            "nightly.report",
            b"",
            id="n",
            recurrence=duly.Cron("0 12 * * *", timezone="Europe/Berlin"),
        )
    )
    await pages.post("zone", data={"zone": "Europe/Berlin", "back": ""})
    answer = await pages.get(
        "ahead", params={"from": "2027-03-27T00:00", "until": "2027-03-29T00:00"}
    )
    assert "The clocks of Europe/Berlin go forward before this: from CET to CEST" in answer.text


async def test_pages_may_be_left_out(client: Client) -> None:
    app = duly_web.application(client, access=duly_web.Tokens(USERS), pages=None)
    async with listening(app) as url, asking(f"{url}/") as http:
        assert (await http.get("")).status_code == 404
        assert (await http.get("v1/health")).status_code in (200, 503)
