"""What somebody does on the pages, one thing after another, and what is seen then."""

import asyncio
import os
import re
import subprocess
import sys

from playwright.async_api import Page, expect
from tests.web.pages.scene import Scene, until

import duly


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def unfold(page: Page, verb: str, of: str = "") -> None:
    words = re.compile(f"^{verb}.*{re.escape(of)}")
    await page.locator("details.act > summary").filter(has_text=words).first.click()


async def nav(page: Page, name: str) -> None:
    await page.get_by_role("navigation").get_by_role("link", name=name).click()


async def knows_where_it_is(page: Page) -> None:
    await expect(page).to_have_title("Overview · production · duly")
    await expect(page.locator(".env")).to_have_text("production")
    await expect(page.locator(".where")).to_have_text("orders · postgresql://duly:***@db1/orders")


async def learns_why(page: Page, one: Scene) -> None:
    await expect(page.locator("h1")).to_contain_text(
        "12 messages of mail.send failed and are tried again"
    )
    await page.get_by_role("link", name="Look at one").click()
    await expect(page.locator("#why")).to_contain_text("It waits for attempt 2 at")
    await expect(page.locator("#why")).to_contain_text("CET, in 3 min")  # in the zone of the page
    await expect(page.locator("#life")).to_contain_text("Attempt 1 by orders-0 failed")
    await page.get_by_role("link", name="Others of its event that fail the same way").click()
    await expect(page.locator("#count")).to_contain_text("12 match")


async def pauses_and_tells_who(page: Page, one: Scene) -> None:
    await nav(page, "Overview")
    await unfold(page, "Pause", "mail.send")
    await page.locator("details[open] input[name=reason]").fill("smtp is away, INC-81")
    await press(page, "Pause mail.send")
    await expect(page.get_by_role("status")).to_contain_text("It is paused")
    await expect(page.locator("#rules")).to_contain_text("paused by mara since")
    await expect(page.locator("#rules")).to_contain_text("smtp is away, INC-81")
    assert (await one.client.controls())["mail.send"].pause is not None
    await nav(page, "Changes")
    row = page.locator("#made tr").filter(has_text="mail.send").first
    await expect(row).to_contain_text("mara")
    await expect(row).to_contain_text("smtp is away, INC-81")
    await nav(page, "Events")
    await unfold(page, "Resume", "mail.send")
    await press(page, "Resume mail.send")
    await expect(page.get_by_role("status")).to_have_text("It goes on.")
    await unfold(page, "Limit")
    await page.locator("details[open] input[name=rule]").fill("mail.*")
    await page.locator("details[open] input[name=rate]").fill("5")
    await press(page, "Limit")
    await expect(page.locator("#rules")).to_contain_text("at most 5 a second, by mara")
    await page.locator("#rules tr").filter(has_text="mail.*").locator("summary").click()
    await press(page, "Take off the limit")
    assert "mail.*" not in await one.client.controls()
    await page.locator("input[name=prefix]").fill("ord")
    await press(page, "Show")
    await expect(page.locator("#names tbody tr")).to_have_count(2)


async def sees_tonight(page: Page) -> None:
    await nav(page, "Ahead")
    await expect(page.locator("#fires")).to_contain_text(
        "Held by the pause of invoices.*, by jonas"
    )
    await page.get_by_role("link", name="Tonight, 02:00 to 03:00").click()
    row = page.locator("#fires tbody tr").filter(
        has=page.get_by_role("link", name="report", exact=True)
    )
    await expect(row).to_contain_text("02:30")
    await expect(page.locator("#fires")).to_contain_text("series")


async def follows_a_message(page: Page, one: Scene) -> None:
    await page.locator("#q").fill("reminder-3")  # delivered: gone from the store
    await page.locator("#q").press("Enter")
    await expect(page.locator("#why")).to_contain_text("It is no longer in the store.")
    await expect(page.locator("#life")).to_contain_text("Attempt 1 by orders-0 delivered it")
    for said, expected in [
        ("tenant/order 17", "messages/~"), ("tenant=acme", "meta.tenant=acme"), ("orders.*", "event_name=orders"),
    ]:  # fmt: skip
        await page.locator("#q").fill(said)
        await page.locator("#q").press("Enter")
        await page.wait_for_url(f"**{expected}*")
    await page.locator("#q").fill("welc")
    await press(page, "Find")
    await expect(page.locator("main")).to_contain_text("Messages whose ids begin so")
    await page.get_by_role("link", name="welcome-10", exact=True).click()
    await press(page, "Show the payload")
    await expect(page.locator("#payload pre")).to_contain_text('"order": 900719925474099312')
    await expect(page.locator("#payload pre")).to_contain_text('"total": 19.90')


async def touches_a_message(page: Page, one: Scene) -> None:
    await page.goto(f"{one.url}messages/order-5")
    await unfold(page, "Move")
    await page.locator("details[open] input[name=at]").fill("2031-01-04T09:00:00")
    await press(page, "Move")
    await expect(page.get_by_role("status")).to_have_text("It is moved.")
    await expect(page.locator("#facts")).to_contain_text("4 Jan 2031, 09:00:00 CET")
    await unfold(page, "Schedule a copy")
    await page.locator("details[open] input[name=at]").fill("2031-01-05T09:00:00")
    await page.locator("details[open] input[name=id]").fill("a copy/1")
    await press(page, "Schedule a copy")
    await expect(page.locator("h1")).to_have_text("a copy/1")
    await unfold(page, "Cancel")
    await press(page, "Cancel it for good")
    await expect(page.get_by_role("status")).to_contain_text("It is cancelled, in time")
    await page.goto(f"{one.url}messages/order-6")
    await press(page, "Deliver now")
    await expect(page.get_by_role("status")).to_contain_text("It is due now")
    await until(lambda: gone(one, "order-6"))
    await page.goto(f"{one.url}messages/export-1")
    await press(page, "Replay")
    await expect(page.get_by_role("status")).to_have_text("It is scheduled again.")
    await page.goto(f"{one.url}messages/export-1")
    await until(lambda: holds(one, "dead", 12))


async def gone(one: Scene, id: str) -> bool:
    return not (await one.client.count(duly.Filter(ids=[id]))).number


async def holds(one: Scene, what: str, number: int) -> bool:
    return bool(getattr(await one.client.stats(), what) == number)


async def fires_a_series(page: Page, one: Scene) -> None:
    await nav(page, "Series")
    row = page.locator("#series tbody tr").filter(has_text="report").last
    await expect(row).to_contain_text("every day at 02:30")
    await expect(row).to_contain_text("Europe/Berlin")
    await row.get_by_role("button", name="Fire once now").click()
    await expect(page.get_by_role("status")).to_contain_text("It is due now")
    await nav(page, "Series")
    await expect(page.locator("#series")).to_contain_text("every 15 minutes")


async def chooses_a_zone(page: Page) -> None:
    await page.locator("#zone").select_option("America/New_York")  # the browser's own
    await expect(page.locator("#zone")).to_have_value("America/New_York")
    await expect(page.locator("body")).to_have_attribute("data-zone", "America/New_York")
    await page.locator("#zone").select_option("UTC")
    await expect(page.locator("body")).to_have_attribute("data-zone", "UTC")


async def reads_words(page: Page) -> None:
    await page.get_by_role("link", name="What the words mean").click()
    for word in ("late", "p50, p99", "aside", "replay", "purge"):
        await expect(page.locator("main")).to_contain_text(word)
    await page.locator("footer").get_by_role("link", name="API").click()
    await expect(page.locator("#api pre")).to_contain_text("/a/b/v1/overview")


async def recovers(page: Page, one: Scene, store: str) -> None:
    program = (
        f"import duly\ndef handle(envelope): pass\nduly.Scheduler({store!r}, handle, instance='gone-1',"
        " load_plugins=['sqlite']).run()"
    )
    process = subprocess.Popen(  # noqa: ASYNC220  # it is there to be killed
        [sys.executable, "-c", program], env={**os.environ, "DULY_HISTORY": ""}
    )
    try:
        await until(lambda: announced(one))
    finally:
        process.kill()
        process.wait()
    await nav(page, "Schedulers")
    async with asyncio.timeout(20):
        while (
            not await page.locator("#schedulers tr", has_text="gone-1")
            .get_by_text("gone", exact=True)
            .count()
        ):
            await page.reload()
    await unfold(page, "Recover")
    await page.locator("details[open] input[name=sure]").check()
    await press(page, "Recover")
    await expect(page.get_by_role("status")).to_contain_text("Recovered:")


async def announced(one: Scene) -> bool:
    return any(each.instance == "gone-1" for each in await one.client.schedulers())
