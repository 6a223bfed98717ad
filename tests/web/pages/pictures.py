"""``nox -s pictures``: looks at each page and keeps what it sees in docs/pictures."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.web.pages.browser import browsing, looking
from tests.web.pages.scene import Scene, scene

FOLDER = Path(__file__).parents[3] / "docs" / "pictures"
PLACES = {
    "overview": "", "ahead": "ahead", "messages": "messages?phase=retrying", "message": "messages/welcome-3",
    "events": "events", "series": "series", "dead": "dead", "schedulers": "schedulers", "changes": "changes",
}  # fmt: skip


async def act(one: Scene) -> None:
    """Some changes, so that there are some."""
    for path, form in [
        ("events", {"action": "pause", "rule": "mail.send", "reason": "smtp is away, INC-81"}),
        ("events", {"action": "resume", "rule": "mail.send", "reason": "smtp is back"}),
        ("messages/order-3/move", {"at": "2027-01-04T09:00", "reason": "the customer asked"}),
        ("messages/order-4/cancel", {"reason": "paid already"}),
        ("messages", {"action": "replay", "filter": "event_name=orders.export", "scope": "all", "rate": "50", "reason": "INC-82"}),
    ]:  # fmt: skip
        answer = await one.http.post(path, data=form)
        assert answer.status_code == 303, answer.text


async def main(folder: Path, shots: list[tuple[str, bool, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = f"sqlite:///{place}/store.db"
        async with scene(store, Path(place), hour=True) as one, browsing() as browser:
            await act(one)
            for name, dark, width in shots:
                async with looking(browser, dark=dark, width=width) as page:
                    await page.goto(f"{one.url}{PLACES[name]}")
                    suffix = f"{'-dark' if dark else ''}{'-phone' if width < 600 else ''}"
                    await page.screenshot(path=folder / f"{name}{suffix}.png", full_page=True)


if __name__ == "__main__":
    everything = "--all" in sys.argv
    wanted = [(name, False, 1280) for name in PLACES]
    wanted += [("overview", True, 390), ("message", True, 1280)]
    if everything:
        wanted = [
            (name, dark, width)
            for name in PLACES
            for dark in (False, True)
            for width in (1280, 390)
        ]
    target = Path(sys.argv[1]) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target, wanted))
