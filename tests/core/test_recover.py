"""Saying that a scheduler is certainly dead: what it held is due again at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import Probed, at, delivering, emptied, message, now, scheduler, until
from tests.core.presence_kit import Noted, info, killed, listed, owner_of, put

from duly import Client, InvalidArgument, State, Unsupported, WrongState
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


class WithoutTakeover(Noted):
    lapse = None  # type: ignore[assignment]  # as if it had none


@pytest.mark.parametrize("by", ["instance", "owner"])
@run_virtually
async def test_what_it_held_is_delivered_at_once(by: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store, transport = Noted(), Probed()
    owner = await killed(store, 5, instance="orders-0")
    async with delivering(store, transport) as running:
        await asyncio.sleep(20)
        assert await running.recover("orders-0" if by == "instance" else owner) == 5
        await emptied(store, within=6)
        assert {envelope.attempt for _, envelope in transport.begun} == {2}
        assert list(await listed(store)) == [owner_of(running)]
    assert f"recovered owner={owner} instance=orders-0 messages=5" in caplog.text


@run_virtually
async def test_one_that_is_not_gone_is_refused_and_the_text_says_until_when() -> None:
    store = Noted()
    owner = await killed(store, 3)
    await asyncio.sleep(4)
    async with Client(store, load_plugins=False) as client:
        with pytest.raises(WrongState) as refused:
            await client.recover(owner)
        assert str(refused.value).startswith(
            f"the scheduler '{owner}' is not gone: it was seen 4.0 s ago, and counts as gone in "
            "11.0 s if it is not seen again. With force its leases end all the same"
        )
        assert (await client.stats()).claimed == 3
        await asyncio.sleep(11)
        assert await client.recover(owner) == 3
        with pytest.raises(InvalidArgument, match="none is known"):
            await client.recover(owner)


@run_virtually
async def test_by_force_one_that_lives_loses_what_it_holds() -> None:
    store, second = Noted(), Probed()

    async def slowly(envelope: Any) -> None:
        await asyncio.sleep(10)

    first = Probed(slowly)
    async with delivering(store, first, instance="a") as alive:
        await alive.schedule(message(id="x"))
        await until(lambda: first.begun)
        async with delivering(store, second):
            assert await alive.recover("a", force=True) == 1
            await emptied(store, within=30)
    assert len(first.begun) + len(second.begun) == 2  # whoever of them got it now
    assert not await listed(store)


@run_virtually
async def test_of_several_lives_of_a_name_those_that_are_gone() -> None:
    store = Noted()
    await killed(store, 2, instance="a")
    await killed(store, 2, instance="a")
    await killed(store, 1, instance="b")
    await asyncio.sleep(15)
    await put(store, "h:9:x", instance="a", seen=at(now()), claimed=9)
    async with Client(store, load_plugins=False) as client:
        assert await client.recover("a") == 4
        assert [each.owner for each in await client.schedulers() if each.instance == "a"] == [
            "h:9:x"
        ]
        assert await client.recover("b") == 1


@run_virtually
async def test_a_name_that_nobody_has_is_refused_with_those_that_are_known() -> None:
    store = Noted()
    await put(store, "h:1:x", instance="orders-0")
    await put(store, "h:2:y")
    async with Client(store, load_plugins=False) as client:
        with pytest.raises(InvalidArgument) as refused:
            await client.recover("orders-1")
        assert str(refused.value) == (
            "no scheduler 'orders-1' is known on this store: known are 'orders-0' (h:1:x), h:2:y"
        )
        for number in range(20):
            await put(store, f"h:3:{number:02}")
        with pytest.raises(InvalidArgument, match=r"h:3:07 and 12 more$"):
            await client.recover("orders-1")


@pytest.mark.parametrize("wrong", ["", "a\nb", "x" * 256, 5, None, info("h:1:x")])
@run_virtually
async def test_what_is_no_name_is_refused(wrong: Any) -> None:
    async with Client(Noted(), load_plugins=False) as client:
        with pytest.raises(InvalidArgument, match="^instance "):
            await client.recover(wrong)
        with pytest.raises(InvalidArgument, match="force must be True or False"):
            await client.recover("a", force=1)  # type: ignore[arg-type]  # that is wrong


@run_virtually
async def test_one_that_announces_itself_meanwhile_keeps_what_it_holds() -> None:
    store = Noted()
    await put(store, "h:1:x")
    await asyncio.sleep(20)
    name = "schedulers/h:1:x"

    async def renew(verb: str, done: bool) -> None:
        if verb == "notes" and done:
            note = await store.inner.read_note(name)
            assert note is not None
            await store.inner.write_note(name, note.value, note.revision)

    store.faults.append(renew)
    async with Client(store, load_plugins=False) as client:
        with pytest.raises(WrongState, match="announces itself again and again"):
            await client.recover("h:1:x")
    assert not store.count("lapse")


@run_virtually
async def test_if_it_ends_in_the_middle_it_can_be_said_again() -> None:
    store = Noted()
    owner = await killed(store, 3)
    await asyncio.sleep(20)

    async def broken(verb: str, done: bool) -> None:
        if verb == "lapse":
            raise ConnectionError

    store.faults.append(broken)
    async with Client(store, load_plugins=False) as client:
        with pytest.raises(ConnectionError):
            await client.recover(owner)
        store.faults.clear()
        assert await client.recover(owner) == 3


@run_virtually
async def test_a_store_that_cannot_end_leases_says_so() -> None:
    store = WithoutTakeover()
    async with Client(store, load_plugins=False) as client:
        assert await client.schedulers() == []
        with pytest.raises(Unsupported, match="cannot end leases before they lapse by themselves"):
            await client.recover("a")
    with pytest.raises(Unsupported, match="leave instance= out"):
        scheduler(store, Probed(), instance="a")
    async with delivering(store, Probed()) as running:
        await running.schedule(message(id="x", due=3600))
        assert (await running.get("x")).state is State.SCHEDULED
