"""A real browser without a screen, that looks at pages as somebody does."""

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright
from tests.servers.finding import lacking
from tests.web.kit import ALL, USERS

__all__ = ["AXE", "browsing", "looking", "serious"]

AXE: Final = Path(__file__).parent / "axe" / "axe.min.js"
_ARGUMENTS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP duly.test 127.0.0.1",
]  # fmt: skip


def program() -> str | None:
    """Debian's chromium, or what stands for it."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A browser."""
    found = program()
    if found is None:
        lacking("chromium", "chromium is not installed")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=found, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def looking(
    browser: Browser,
    *,
    dark: bool = False,
    width: int = 1280,
    token: str = ALL,
    user: str = "",
    **options: Any,
) -> AsyncIterator[Page]:
    """Somebody who looks, with a token as password; what goes wrong in the page fails the test."""
    said = base64.b64encode(f"{user or USERS[token].name}:{token}".encode()).decode()
    context = await browser.new_context(
        viewport={"width": width, "height": 900 if width > 600 else 844},
        color_scheme="dark" if dark else "light",
        timezone_id="America/New_York",
        extra_http_headers={"Authorization": f"Basic {said}"},
        **options,
    )
    page = await context.new_page()
    page.set_default_timeout(10_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on(
        "request", lambda sent: wrong.append(f"asked {sent.url}") if not _ours(sent.url) else None
    )
    try:
        yield page
    finally:
        await context.close()
    expected = ("404", "422", "409", "403", "net::ERR_ABORTED", "Cross-Origin-Opener")
    wrong = [each for each in wrong if not any(code in each for code in expected)]
    assert not wrong, wrong


def _ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "http://duly.test:", "about:", "data:"))


async def serious(page: Page) -> list[str]:
    """What axe finds that keeps people out."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate(
        "axe.run(document, {resultTypes: ['violations'],"
        " runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
    )
    return [
        f"{each['id']}: {each['nodes'][0]['target']} {each['nodes'][0]['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
