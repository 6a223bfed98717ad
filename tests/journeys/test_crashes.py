"""Schedulers that are killed: what they held is delivered by others, and what kills them is found."""

import asyncio
import signal
import sys
from pathlib import Path

from tests.journeys.kit import Journey, batch, ids_of, settled_down, slow
from tests.journeys.props import Gate

from duly import Filter, Message, State, after

CALLER = Path(__file__).with_name("caller.py")


async def test_killed_in_mid_batch_and_started_again(journey: Journey, gate: Gate) -> None:
    gated = batch(50, "gated", metadata=gate.metadata)
    messages = [*gated, *batch(150), *batch(50, due=2, prefix="later")]
    await journey.client.schedule_many(messages)
    first = await journey.start(lease=2, batch=50, slots=20)
    await first.noted("done", 100)
    await first.kill()
    gate.open()
    held, settled = await settled_down(journey), set(first.ids("settled"))
    assert held.claimed > 0
    second = await journey.start(lease=30)
    await journey.emptied()
    await second.stop()
    assert set(journey.count("done")) == ids_of(messages)
    assert not journey.early()
    # Twice is only what the first had begun and not settled; nothing that it had settled.
    doubled = {id for id, times in journey.count("begun").items() if times > 1}
    assert set(first.ids("begun")) & ids_of(gated) <= doubled <= first.unsettled()
    assert not settled & set(second.ids("begun"))
    attempts = {note.id: note.attempt for note in second.notes("begun")}
    assert 2 in attempts.values()  # and 1, unless the first held all that was left
    assert set(attempts.values()) <= {1, 2}
    assert all(attempts[id] == 2 for id in doubled)
    assert sum(attempt == 2 for attempt in attempts.values()) == held.claimed
    assert (await journey.client.stats()).dead == 0


async def test_a_caller_that_is_killed(journey: Journey) -> None:
    caller = await asyncio.create_subprocess_exec(
        sys.executable, CALLER, journey.path, stdout=asyncio.subprocess.PIPE
    )
    assert caller.stdout is not None
    told = [(await caller.stdout.readline()).decode().strip() for _ in range(50)]
    caller.kill()
    told += (await caller.communicate())[0].decode().split()
    stored = {message.id for message in await journey.client.list()}
    assert set(told) <= stored
    worker = await journey.start()
    await journey.emptied()
    await worker.stop()
    assert journey.count("done") == dict.fromkeys(stored, 1)


async def test_killed_again_and_again_while_scheduling_goes_on(journey: Journey) -> None:
    scheduled: set[str] = set()
    for number in range(4):  # one death less than it takes to be buried
        messages = [
            *batch(60, prefix=f"quick-{number}"),
            *slow(20, 0.05, prefix=f"slow-{number}", due=0.2),
        ]
        worker = await journey.start(lease=2, batch=20, slots=10)
        await journey.client.schedule_many(messages)
        scheduled |= ids_of(messages)
        await worker.noted("done", 30)
        await worker.kill()
    last = await journey.start(lease=30)
    await journey.emptied()
    await last.stop()
    assert set(journey.count("done")) == scheduled
    assert not journey.early()
    for place, worker in enumerate(journey.workers):
        later = {id for other in journey.workers[place + 1 :] for id in other.ids("begun")}
        assert not later & set(worker.ids("settled"))
    assert (await journey.client.stats()).dead == 0


async def test_a_message_that_kills_its_process_is_buried_alone(journey: Journey) -> None:
    innocents = [*slow(25, 0.01, due=-2), *batch(25, prefix="younger", due=-1)]
    poison = Message("kill", id="poison", scheduled_at=after(seconds=-1.5))
    await journey.client.schedule_many([*innocents, poison])
    deaths = 0
    while True:
        worker = await journey.start(lease=1.5, batch=60, slots=4)
        died = asyncio.create_task(worker.ended())
        emptied = asyncio.create_task(journey.emptied())
        await asyncio.wait([died, emptied], return_when=asyncio.FIRST_COMPLETED)
        if not died.done():
            break
        emptied.cancel()
        assert died.result() == -signal.SIGKILL
        deaths += 1
    worker.process.terminate()
    assert await died == 0
    assert set(journey.count("done")) == ids_of(innocents)
    # Twice among others, which makes it a suspect, and three times as a suspect.
    assert deaths == journey.count("begun")["poison"] == 5
    (letter,) = await journey.client.list(Filter(state=State.DEAD))
    assert letter.id == "poison"
    assert letter.last_error is not None
    assert letter.last_error.startswith("claimed 5 times by schedulers that died")
