"""What somebody on call reads: figures and lists agree, people are named, nothing looks dead."""

import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.web.pages.scene import scene

import duly
from duly import Client, Message, NameStats, SchedulerInfo
from duly_web.pages.states import needing, row_of, worst


def plain(text: str) -> str:
    """A page as it is read: without tags, one blank between words."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def linked(text: str, label: str) -> str:
    """Where the link with that text leads."""
    (found,) = re.findall(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(label)}</a>', text)
    return html.unescape(found)


def figure(text: str, name: str) -> tuple[str, str]:
    """A figure of the overview, and where it leads."""
    (found,) = re.findall(rf'<dt>{name}</dt><dd><a href="([^"]*)">([^<]*)</a>', text)
    return found[1], html.unescape(found[0])


async def test_what_is_late_is_one_number_on_all_pages(pages: Any, client: Client) -> None:
    ago = duly.after(seconds=-60)
    for name, number in [("mail.send", 3), ("orders.export", 2), ("invoices.monthly", 5)]:
        await client.schedule_many(
            [Message(name, b"", id=f"{name}-{n}", scheduled_at=ago) for n in range(number)]
        )
    await client.schedule(Message("later.on", b"", scheduled_at=duly.after(hours=1)))
    await client.pause("invoices.*", until=duly.after(hours=1))
    text = (await pages.get("")).text
    told, place = figure(text, "Late now")
    assert told == "5"
    late = (await pages.get(place)).text
    assert "5 late, of 2 events" in plain(late)
    assert "invoices.monthly" not in late
    for name, count in [("mail.send", "3"), ("orders.export", "2")]:
        (link,) = re.findall(rf'href="([^"]*event_name={name}&amp;phase=due)">{count}</a>', late)
        listed = (await pages.get(html.unescape(link))).text
        assert f"{count} match" in plain(listed)
    told, place = figure(text, "Scheduled")
    assert f"{told} match" in plain((await pages.get(place)).text)


async def test_what_is_late_is_seen_behind_very_many_other_events(
    pages: Any, client: Client
) -> None:
    await client.schedule_many(
        (Message(f"e{n:04}", b"", scheduled_at=duly.after(hours=1)) for n in range(3500)),
        atomic=False,
    )
    for name in ("z.mail", "z.sms"):
        await client.schedule(Message(name, b"", scheduled_at=duly.after(seconds=-60)))
    text = (await pages.get("")).text
    told, place = figure(text, "Late now")
    assert told == "≥ 2"
    late = plain((await pages.get(place)).text)
    assert "z.mail" in late
    assert "z.sms" in late
    assert "z.mail" in text


async def test_a_paused_event_alone_makes_nothing_late(pages: Any, client: Client) -> None:
    await client.schedule(Message("a.b", b"", scheduled_at=duly.after(seconds=-60)))
    await client.pause("a.b")
    text = (await pages.get("")).text
    number, place = figure(text, "Late now")
    assert number == "0"
    assert "Late now 0 none over 10 s" in plain(text)
    assert "Nothing is late." in plain((await pages.get(place)).text)


async def test_the_cause_is_opened_and_not_its_event(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        text = (await one.http.get("")).text
        place = linked(text, "Open the cause")
        assert "error=Rejected" in place
        assert "error_class=Rejected" in place
        listed = (await one.http.get(place)).text
        assert "12 match" in plain(listed)
        assert "export-3" in listed
        assert "12 match" in plain((await one.http.get(linked(text, "All that fail so"))).text)


async def test_a_life_names_the_person_and_the_reason(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        post = one.http.post
        await post("messages/order-4/cancel", data={"reason": "paid already"})
        await post("messages/order-3/move", data={"at": "2031-01-04T09:00", "reason": "asked"})
        await one.client.pause("orders.export")
        await post("messages/export-1/replay", data={"reason": "INC-82"})
        with duly.acting(by="jonas", reason="INC-83"):
            await one.client.replay_many(duly.Filter(ids=["export-2", "export-3"]))
            await one.client.cancel_many(duly.Filter(event_name="orders.*", id_prefix="order-9"))
        await one.history.flush()
        for id, said in [
            ("order-4", "Cancelled by mara (paid already)"),
            ("order-3", "Moved by mara (asked), for 4 Jan 2031, 09:00:00 CET"),
            ("export-1", "Replayed: scheduled again by mara (INC-82)"),
            ("export-2", "Replayed: scheduled again by jonas (INC-83)"),
            ("order-9", "Cancelled by jonas (INC-83)"),
        ]:
            assert said in plain((await one.http.get(f"messages/{id}")).text), id


async def test_of_two_who_did_the_same_at_once_none_is_named(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        await one.client.pause("orders.export")
        async with duly.changing(one.client, "replay", filter=duly.Filter(event_name="a"), by="x"):
            pass
        with duly.acting(by="jonas"):
            async with duly.changing(one.client, "replay", by="jonas"):
                with duly.acting(by="eva"):
                    await one.client.replay_many(duly.Filter(ids=["export-2"]))
        await one.history.flush()
        text = plain((await one.http.get("messages/export-2")).text)
        assert "scheduled again by jonas" in text  # the whole act is his


def info(**more: Any) -> SchedulerInfo:
    now = datetime.now(UTC)
    return SchedulerInfo(
        **{
            "owner": "h:1:x", "instance": "orders-0", "host": "h", "pid": 1, "process_started": now,
            "version": "0.1.0", "since": now - timedelta(hours=2), "transport": "LocalTransport",
            "slots_used": 0, "slots": 10, "claimed": 0, "outage": None,
            "lease": timedelta(seconds=60), "seen": now - timedelta(seconds=190), **more,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "word", "seen"),
    [
        ({}, "idle", False),
        ({"claimed": 3}, "delivers", False),
        ({"outage": "nobody answers"}, "away", False),
        ({"claimed": 3, "overdue": True}, "overdue", True),
        ({"gone": True}, "gone", True),
    ],
)
async def test_a_scheduler_that_lives_does_not_look_dead(
    more: dict[str, Any], word: str, seen: bool, pages: Any, client: Client
) -> None:
    await client.schedule(Message("a.b", b"", scheduled_at=duly.after(hours=1)))
    whole = client.standing

    async def standing() -> Any:
        return attrs.evolve(await whole(), schedulers=[info(**more)])

    client.standing = standing  # type: ignore[method-assign]  # it lists one that is none
    for place in ("", "schedulers"):
        text = plain((await pages.get(place)).text)
        assert f"orders-0 {word}" in text, place
        assert ("seen 3 min" in text) is seen, place


def rows(**late: int) -> list[Any]:
    now = datetime.now(UTC)
    snapshot: Any = type("Snapshot", (), {
        "hour": None, "as_of": now, "paused": lambda *_: None, "limited": lambda *_: None,
    })()  # fmt: skip
    oldest = now - timedelta(minutes=1)
    return [
        row_of(snapshot, NameStats(name=name, scheduled=n, due=n, oldest=oldest))
        for name, n in sorted(late.items())
    ]


def test_rows_keep_their_places_while_figures_change() -> None:
    for some in ({"a": 1, "b": 9, "c": 5}, {"a": 7, "b": 2, "c": 6}):
        assert [each.name for each in needing(rows(**some), 8)] == ["a", "b", "c"]
    three = rows(a=1, b=9, c=5)
    assert [each.name for each in needing(three, 2)] == ["b", "c"]  # the worst are there
    assert [each.name for each in worst(three)] == ["b", "c", "a"]


async def test_what_a_pause_holds_is_said_once(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        at = [duly.after(minutes=n) for n in (5, 10)]
        await one.client.schedule_many([Message("invoices.x", b"", scheduled_at=e) for e in at])
        text = plain((await one.http.get("ahead")).text)
        assert text.count("migration INV-204") == 1
        assert "Held by the pause of invoices.* , by jonas, until" in text
        assert text.count("by invoices.*") == 12 + 2
