"""Stores that live on a real event loop, called from a virtual one."""

import asyncio

from duly.testing.elsewhere import Home


async def test_what_somebody_left_is_carried_out_before_what_comes_later():
    home, carried_out = Home(), list[str]()
    begun = asyncio.Event()

    async def slow() -> None:
        begun.set()
        for _ in range(1000):
            await asyncio.sleep(0)
        carried_out.append("slow")

    async def quick() -> None:
        carried_out.append("quick")

    async def work() -> None:
        call = asyncio.ensure_future(home.call(slow))
        await home.call(begun.wait)
        call.cancel()
        await asyncio.wait([call])
        await home.call(quick)

    await home.run_virtually(work)
    assert carried_out == ["slow", "quick"]
