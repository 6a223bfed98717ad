"""A scheduler that has the name of an earlier one takes over what that one held."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import Probed, at, delivering, down, emptied, message, now, until
from tests.core.presence_kit import Noted, killed, listed, owner_of, put

from duly import InvalidArgument, Status
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


@run_virtually
async def test_only_once_what_the_earlier_life_announced_has_run_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    store, transport = Noted(), Probed()
    await asyncio.sleep(1)
    owner = await killed(store, 5, instance="a")
    announced = (await listed(store))["a"].seen
    async with delivering(store, transport, instance="a") as running:
        await running.schedule(message(id="new"))
        await until(lambda: transport.ids == ["new"], within=0.1)  # it delivers already
        left = (announced - at(now())).total_seconds() + 15
        await asyncio.sleep(left)
        assert (transport.ids, (await store.inner.stats()).claimed) == (["new"], 5)
        await emptied(store, within=0.5)
        assert len(transport.ids) == 6
        assert list(await listed(store)) == ["a"]
    assert f"took_over owner={owner} instance=a messages=5" in caplog.text


@run_virtually
async def test_one_that_ran_out_long_ago_at_once() -> None:
    store, transport = Noted(), Probed()
    await killed(store, 5, instance="a")
    await asyncio.sleep(60)
    async with delivering(store, transport, instance="a"):
        await emptied(store, within=0.5)


@run_virtually
async def test_several_earlier_lives_and_nobody_elses() -> None:
    store, transport = Noted(), Probed()
    for instance in ("a", "b", "a", None, "A"):
        await killed(store, 3, instance=instance, batch_size=3)
    await asyncio.sleep(20)
    async with delivering(store, transport, instance="a"):
        await asyncio.sleep(1)
        assert store.count("lapse") == 2
        assert len(await listed(store)) == 4


@run_virtually
async def test_without_a_name_nothing_is_taken_over() -> None:
    store, transport = Noted(), Probed()
    await killed(store, 5)
    await asyncio.sleep(20)
    async with delivering(store, transport):
        await asyncio.sleep(100)
        assert not store.count("lapse")
        assert not transport.begun


@run_virtually
async def test_one_that_goes_on_announcing_itself_keeps_what_it_holds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, transport = Noted(), Probed()
    release = asyncio.Event()

    async def hold(envelope: Any) -> None:
        await release.wait()

    async with delivering(store, Probed(hold), instance="a", publish_timeout=SECOND * 1000) as one:
        await one.schedule(message())
        await asyncio.sleep(3)
        async with delivering(store, transport, instance="a") as two:
            assert "two live" not in (await two.health()).reason
            await asyncio.sleep(20)
            health = await two.health()
            assert health.status is Status.DEGRADED
            said = f"two live schedulers are called 'a': {owner_of(two)} and {owner_of(one)}"
            assert said in health.reason
            await asyncio.sleep(300)
            assert not store.count("lapse")
            assert caplog.text.count("two_live_schedulers instance=a") == 2  # each of them, once
            said = f"two live schedulers are called 'a': {owner_of(one)} and {owner_of(two)}"
            assert said in (await one.health()).reason  # both say so
            release.set()
            await one.stop()
            await asyncio.sleep(20)
            assert "two live" not in (await two.health()).reason
    assert not store.count("lapse")


@run_virtually
async def test_one_that_lived_and_was_killed_later_is_taken_over() -> None:
    store, transport = Noted(), Probed()
    async with delivering(store, transport, instance="a") as running:
        await asyncio.sleep(30)
        await running.stop()
        killing = asyncio.create_task(killed(store, 2, instance="a"))
        await asyncio.sleep(0)
        await killing
        async with delivering(store, transport, instance="a"):
            await emptied(store, within=17)


@run_virtually
async def test_one_that_renews_at_the_last_moment_keeps_what_it_holds() -> None:
    store = Noted()
    await put(store, "h:1:x", instance="a")
    await asyncio.sleep(20)
    name = "schedulers/h:1:x"

    async def renew(verb: str, done: bool) -> None:
        if verb == "notes" and done:
            note = await store.inner.read_note(name)
            if note is not None:
                await store.inner.write_note(name, note.value, note.revision)

    store.faults.append(renew)
    async with delivering(store, Probed(), instance="a"):
        await asyncio.sleep(100)
        assert not store.count("lapse")


@run_virtually
async def test_of_two_that_begin_at_once_one_takes_over() -> None:
    store = Noted()
    await killed(store, 3, instance="a")
    await asyncio.sleep(20)
    first, second = Probed(), Probed()
    async with (
        delivering(store, first, instance="a"),
        delivering(store, second, instance="a") as two,
    ):
        await emptied(store, within=6)
        assert store.count("lapse") == 1
        assert len(first.ids) + len(second.ids) == 3
        await asyncio.sleep(80)
        assert "two live schedulers" in (await two.health()).reason


@run_virtually
async def test_trouble_is_told_once_and_it_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store, transport = Noted(), Probed()
    await killed(store, 3, instance="a")
    await asyncio.sleep(20)
    fault = down("lapse")
    store.faults.append(fault)
    async with delivering(store, transport, instance="a"):
        await asyncio.sleep(100)
        assert caplog.text.count("takeover_failed") == 1
        assert store.count("lapse") > 2
        store.faults.remove(fault)
        await emptied(store, within=61)


@pytest.mark.parametrize("wrong", ["", "a\nb", "x" * 256, 5, b"a"])
@run_virtually
async def test_what_is_no_name_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="^instance "):
        async with delivering(Noted(), Probed(), instance=wrong):
            pass
