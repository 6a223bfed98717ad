"""What somebody does to many messages at once."""

from playwright.async_api import Page, expect
from tests.web.pages.scene import Scene, until
from tests.web.pages.steps import nav, press, unfold


async def replays_and_stops(page: Page, one: Scene) -> None:
    await nav(page, "Dead letters")
    await page.locator("input[name=died_after]").fill("2026-01-01T12:00:00")
    await press(page, "Show")
    await expect(page.locator("#causes")).to_contain_text("Rejected: unknown column ...")
    await unfold(page, "Replay")
    await page.locator("details[open] input[name=rate]").fill("1")
    await page.locator("details[open] input[name=reason]").fill("INC-82")
    await press(page, "Replay")
    await expect(page.locator("h1")).to_contain_text("Replay of 12 messages: begins in")
    await press(page, "Stop")
    await expect(page.locator("h1")).to_contain_text("stop")
    await until(lambda: stopped(one))
    await nav(page, "Changes")
    await expect(page.locator("#operations")).to_contain_text("INC-82")
    await expect(page.locator("#operations")).to_contain_text("0 of 12")


async def stops_half_way(page: Page, one: Scene) -> None:
    """What is replayed at a rate is held by a pause of its event, and goes on when that is over."""
    await page.goto(f"{one.url}dead")
    await unfold(page, "Replay")
    await page.locator("details[open] input[name=rate]").fill("0.5")
    await press(page, "Replay")
    left = page.locator("h1")  # it asks by itself
    await expect(left).to_contain_text("still to go out", timeout=30_000)
    await expect(page.locator("#op")).to_contain_text("They go out at 0.5 a second:")
    place = page.url
    await unfold(page, "Pause", "orders.export")
    await press(page, "Pause orders.export")
    await expect(page.get_by_role("status")).to_contain_text("It is paused")
    assert "orders.export" in await one.client.controls()
    await page.goto(place)
    await expect(page.locator("#op")).to_contain_text("held by the pause of orders.export")
    await page.get_by_role("link", name="Look at what waits").click()
    await expect(page.locator("#count")).to_contain_text("match")
    assert (await one.client.stats()).scheduled > 0


async def stopped(one: Scene) -> bool:
    answer = await one.http.get("v1/operations")
    return all(each["state"] in ("stopped", "done") for each in answer.json()["items"])


async def selects_and_cancels(page: Page, one: Scene) -> None:
    await page.goto(f"{one.url}messages?event_name=orders.reminder&id_prefix=order-")
    await page.get_by_label("Select order-7").check()
    await expect(page.locator("#pace")).to_have_text(", waits for your selection")
    await press(page, "Cancel")
    await expect(page.get_by_role("alert")).to_contain_text("tick that you are sure")
    await page.go_back()
    await page.get_by_label("Select order-7").check()
    await page.locator("#selected input[name=sure]").check()
    await press(page, "Cancel")
    await expect(page.locator("main")).to_contain_text("1 selected message")
    await page.get_by_role("link", name="Changes").last.click()
    await press(page, "Stop")


async def purges(page: Page, one: Scene) -> None:
    await page.goto(f"{one.url}dead")
    await page.get_by_role("link", name="One by one").click()
    await unfold(page, "Purge")
    await page.locator("details[open] input[name=sure]").check()
    await press(page, "Purge 12")
    await expect(page.locator("h1")).to_contain_text("Purge of 12 messages: begins in")
    await press(page, "Stop")
    await until(lambda: stopped(one))
    assert (await one.client.stats()).dead == 12
