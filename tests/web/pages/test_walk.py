"""A new user with the address alone walks every page, and presses every button."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.journeys.stores_before import namespace
from tests.web.pages.browser import browsing, looking
from tests.web.pages.scene import scene
from tests.web.pages.steps import (
    chooses_a_zone,
    fires_a_series,
    follows_a_message,
    knows_where_it_is,
    learns_why,
    pauses_and_tells_who,
    press,
    reads_words,
    recovers,
    sees_tonight,
    touches_a_message,
    unfold,
)
from tests.web.pages.steps_many import (
    purges,
    replays_and_stops,
    selects_and_cancels,
    stops_half_way,
)

import duly


async def test_the_walk_of_who_asks(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 's.db'}"
    async with scene(store, tmp_path, mounted="/a/b") as one, browsing() as browser:
        async with looking(browser) as page:
            await page.goto(one.url)
            await knows_where_it_is(page)
            await learns_why(page, one)
            await pauses_and_tells_who(page, one)
            await sees_tonight(page)
            await follows_a_message(page, one)
            await touches_a_message(page, one)


async def test_the_walk_of_who_acts_on_many(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 's.db'}"
    async with scene(store, tmp_path, mounted="/a/b") as one, browsing() as browser:
        async with looking(browser) as page:
            await page.goto(one.url)
            await replays_and_stops(page, one)
            await selects_and_cancels(page, one)
            await purges(page, one)
            await fires_a_series(page, one)
            await chooses_a_zone(page)
            await reads_words(page)
            await recovers(page, one, store)


async def test_a_replay_at_a_rate_is_stopped_half_way(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 's.db'}"
    async with scene(store, tmp_path) as one, browsing() as browser, looking(browser) as page:
        await stops_half_way(page, one)


@pytest.fixture(params=["redis", "postgres"])
def other_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with namespace(request.param, tmp_path, request) as url:
        yield url


async def test_a_short_walk_on_other_stores(other_store: str, tmp_path: Path) -> None:
    async with scene(other_store, tmp_path) as one, browsing() as browser:
        async with looking(browser, dark=True, width=390) as page:
            await page.goto(one.url)
            await learns_why(page, one)
            await replays_and_stops(page, one)


async def test_a_page_is_alive_and_rests_when_told(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 's.db'}"
    async with scene(store, tmp_path) as one, browsing() as browser:
        async with looking(browser) as page:
            await page.clock.install()
            await page.goto(f"{one.url}messages?event_name=late.*")
            await expect(page.locator("#count")).to_contain_text("0 match")
            await one.client.schedule(
                duly.Message("late.comer", b"", id="new", scheduled_at=duly.after(hours=1))
            )
            one.app.service.shared._kept.clear()
            await asyncio.sleep(2)  # the snapshot of a moment ago is shared
            await page.clock.fast_forward(5000)
            await expect(page.locator("#count")).to_contain_text("1 matches")
            await press(page, "Pause updates")
            await expect(page.locator("#pace")).to_have_text(", updates are paused")
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            await page.clock.fast_forward(60_000)
            assert not asked
            await press(page, "Go on with updates")
            await expect(page.locator("#pace")).to_have_text(", every 5 s")


async def test_forms_work_on_plain_http_and_without_script(tmp_path: Path) -> None:
    """Where a browser sends no Sec-Fetch-Site, it is by Origin that a form is let in."""
    store = f"sqlite:///{tmp_path / 's.db'}"
    async with scene(store, tmp_path) as one, browsing() as browser:
        async with looking(browser, java_script_enabled=False) as page:
            sent: list[dict[str, str]] = []
            page.on("request", lambda r: sent.append(r.headers) if r.method == "POST" else None)
            await page.goto(one.url.replace("127.0.0.1", "duly.test") + "events")
            await unfold(page, "Pause")
            await page.locator("details[open] input[name=rule]").fill("orders.*")
            await press(page, "Pause")
            await expect(page.get_by_role("status")).to_contain_text("It is paused")
            assert sent
            assert "sec-fetch-site" not in sent[0]
            await page.locator("#zone").select_option("UTC")
            await page.locator(".zone button").click()
            await expect(page.locator("body")).to_have_attribute("data-zone", "UTC")
