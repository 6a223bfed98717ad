"""Every page in light and dark, on a desk and on a telephone: nothing keeps anybody out."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.web.pages.browser import browsing, looking, serious
from tests.web.pages.scene import scene

PLACES = [
    "", "ahead", "messages", "messages/welcome-3", "events", "series", "dead", "schedulers", "changes",
]  # fmt: skip
MORE = ["messages?phase=dead", "messages/report", "help", "find?q=welcome", "messages/unknown"]

_LARGE = """[...document.querySelectorAll("svg")].filter(
    each => !each.closest(".svgbox") && each.getBoundingClientRect().height > 24).length"""


async def looks(folder: Path, places: Sequence[str], ways: Sequence[tuple[int, str]]) -> None:
    found: list[str] = []
    store = f"sqlite:///{folder / 's.db'}"
    async with (
        scene(store, folder, hour=True) as one,
        browsing() as browser,
        looking(browser) as page,
    ):
        for place in places:
            await page.goto(one.url + place)
            if await page.locator("details.act").count():
                await page.locator("details.act > summary").first.click()
            for width, scheme in ways:
                await page.set_viewport_size({"width": width, "height": 850})
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two
                found += [f"{place} {width} {scheme}: {each}" for each in await serious(page)]
                wide = await page.evaluate("document.documentElement.scrollWidth")
                large = await page.evaluate(_LARGE)
                if large:
                    found.append(f"{place} {width}: {large} signs as large as pictures")
                if wide > width:
                    found.append(f"{place}: {wide} wide on {width}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("places", [PLACES[::2], PLACES[1::2]], ids=["odd", "even"])
async def test_no_page_keeps_anybody_out(places: list[str], tmp_path: Path) -> None:
    await looks(tmp_path, places, [(1280, "light"), (390, "dark")])


@pytest.mark.slow
async def test_nor_does_any_the_other_way_round(tmp_path: Path) -> None:
    await looks(
        tmp_path, [*PLACES, *MORE], [(w, s) for w in (1280, 390) for s in ("light", "dark")]
    )
