"""What is told at the foot of a page: it has every filter of the URL, and works."""

import html
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from tests.web.pages.scene import PLACES, ZONE, scene

from duly import Client, Message, after
from duly_cli.app import Commands
from duly_cli.moments import as_moment
from duly_web.refs import ref_of

HOSTILE = 'it\'s $(odd) "#1"; --late'
MOMENTS = ("before", "after", "due_before", "due_after", "died_before", "died_after")


def told(text: str) -> tuple[list[str], str]:
    """The words of the command, and the resource; empty where none is told."""
    (foot,) = re.findall(r'<p class="cli">(.*?)</p>', text, re.DOTALL)
    codes = [html.unescape(each) for each in re.findall(r"<code>(.*?)</code>", foot, re.DOTALL)]
    command = next((each for each in codes if each.startswith("duly ")), "")
    resource = next((each[4:] for each in codes if each.startswith("GET ")), "")
    return shlex.split(command), resource


def parsed(words: list[str]) -> Mapping[str, Any]:
    """What the real command makes of it."""
    assert words[0] == "duly"
    context = click.Context(Commands("duly"), info_name="duly")
    command: click.Command = context.command
    left = words[1:]
    found: dict[str, Any] = {}
    while True:
        context = command.make_context(command.name, left, parent=context)
        found |= context.params
        left = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group) or not left:
            assert not left, words
            return found
        name, chosen, left = command.resolve_command(context, left)
        assert chosen is not None, name
        command = chosen


def values(found: Mapping[str, Any]) -> list[str]:
    return [
        str(each)
        for value in found.values()
        for each in (value if isinstance(value, tuple) else [value])
    ]


WORDS = {
    "event_name": "orders.*", "phase": "dead", "state": "dead", "id_prefix": HOSTILE,
    "error": "*unknown*", "error_class": "Rejected", "meta.tenant": HOSTILE,
    **dict.fromkeys(MOMENTS, "2026-12-24T18:30"),
}  # fmt: skip
FILTERS: Mapping[str, Mapping[str, str]] = {
    "messages": WORDS,
    "dead": {name: WORDS[name] for name in ("event_name", "died_after")},
    "ahead": {"event_name": "orders.*", "from": "2026-12-24T18:30", "until": "2026-12-24T19:30"},
    "series": {"event_name": "reports.*", "id_prefix": "-x"},
    "events": {"prefix": "ord", "late": "yes"},
    "changes": {
        "action": "payload", "target": HOSTILE, "by": "mara", "since": "2026-11-24T18:30",
        "until": "2026-12-24T18:30",
    },
}  # fmt: skip


async def test_each_page_tells_a_command_that_there_is(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        for place in [*PLACES, "messages/welcome-3"]:
            answer = await one.http.get(place, follow_redirects=True)
            if answer.status_code != 200 or 'class="cli"' not in answer.text:
                assert place in ("find", "help"), place
                continue
            words, resource = told(answer.text)
            parsed(words)
            assert (await one.http.get(resource)).status_code == 200, resource


@pytest.mark.parametrize("zone", [ZONE, "UTC"])
async def test_each_filter_is_in_what_is_told(zone: str, tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        await one.http.post("zone", data={"zone": zone, "back": ""})
        for place, said in FILTERS.items():
            for some in (said, *({name: value} for name, value in said.items())):
                answer = await one.http.get(place, params=some)
                words, resource = told(answer.text)
                found = values(parsed(words))
                for name, value in some.items():
                    if re.match(r"\d{4}-", value):
                        moment = written(found, some, zone)
                        assert moment in found, (place, name, words)
                        as_moment(
                            moment, "", now=datetime.now(UTC), zone=None
                        )  # which refuses what is none
                    elif name.startswith("meta."):
                        assert f"tenant={value}" in found
                    else:
                        assert ("True" if value == "yes" else value) in found, (place, name, words)
                if place == "events":  # which the API does not narrow
                    assert not resource
                    continue
                answer = await one.http.get(resource)
                assert answer.status_code == 200, (resource, answer.text)
                assert len(answer.request.url.params) == len(some)


def written(found: list[str], some: Mapping[str, str], zone: str) -> str:
    lead = "+01:00" if zone == ZONE else "+00:00"
    if zone == ZONE:
        assert zone in found  # what the command shows is in the zone of the page
    (value, *_) = [each for each in some.values() if re.match(r"\d{4}-", each)]
    return f"{value}:00{lead}"


@pytest.mark.parametrize("id", ["-x", "a b", HOSTILE])
async def test_an_odd_id_is_told_so_that_a_shell_takes_it(
    id: str, pages: Any, client: Client
) -> None:
    await client.schedule(Message("a.b", b"", id=id, scheduled_at=after(hours=1)))
    words, resource = told((await pages.get(f"messages/{ref_of(id)}")).text)
    assert parsed(words)["id"] == id
    assert (await pages.get(resource)).json()["id"] == id


async def test_what_is_gone_is_told_by_its_history(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        words, resource = told((await one.http.get("messages/reminder-3")).text)
        assert words == ["duly", "show", "reminder-3"]
        assert (await one.http.get(resource)).json()["items"]
