"""A scheduler that is stopped beyond its lease and goes on as if nothing had happened."""

from tests.journeys.kit import HOUR, Journey, batch
from tests.journeys.props import Gate

from duly import Every, Message, after


async def test_frozen_beyond_its_lease(journey: Journey, gate: Gate) -> None:
    first_fire = after(seconds=-1)
    series = Message(
        "gated", id="series", scheduled_at=first_fire, recurrence=Every(HOUR),
        metadata=gate.metadata,
    )  # fmt: skip
    await journey.client.schedule(series)
    await journey.client.schedule_many(batch(20, "gated", metadata=gate.metadata))
    frozen = await journey.start(lease=2, slots=20)
    await frozen.noted("begun", 5)  # as many as one name may hold
    await journey.freeze(frozen)
    begun, held = set(frozen.ids("begun")), (await journey.client.stats()).claimed
    assert "series" in begun
    gate.open()

    other = await journey.start(lease=30)
    await other.noted("settled", 21)
    await journey.emptied(but=1)
    assert set(other.ids("settled")) == {"series", *(f"gated-{number}" for number in range(20))}
    # Under an id that the frozen one still believes to hold, something new is scheduled.
    again = Message("quick", id="gated-0", scheduled_at=after(hours=1))
    await journey.client.schedule(again)
    await other.stop()

    frozen.thaw()
    await journey.client.schedule(Message("quick", id="last", scheduled_at=after()))
    await frozen.noted("settled", 1)
    await frozen.stop()

    # It may have ended what it was at, and has begun nothing more of what was not its own any more.
    assert set(frozen.ids("begun")) == begun | {"last"}
    assert frozen.ids("settled") == ["last"]
    assert journey.count("begun") == {id: 2 if id in begun else 1 for id in journey.count("begun")}
    assert sum(note.attempt == 2 for note in other.notes("begun")) == held
    left = {message.id: message for message in await journey.client.list()}
    assert left.keys() == {"series", "gated-0"}
    assert left["gated-0"].created_at == again.created_at
    assert left["series"].occurrence_count == 1
    assert left["series"].scheduled_at == first_fire + HOUR
    assert {note.delivery_id for note in journey.notes("done") if note.id == "series"} == {
        series.delivery_id
    }


async def test_frozen_for_less_than_its_lease(journey: Journey, gate: Gate) -> None:
    await journey.client.schedule_many(batch(40, "gated", metadata=gate.metadata))
    frozen = await journey.start(lease=30, batch=5, slots=20)
    await frozen.noted("begun", 5)
    await journey.freeze(frozen)
    held = (await journey.client.stats()).claimed
    gate.open()
    other = await journey.start(lease=30, batch=5)
    await other.noted("settled", 40 - held)
    assert (await journey.client.stats()).claimed == held
    frozen.thaw()
    await journey.emptied()
    await frozen.stop()
    await other.stop()
    assert journey.count("done") == {f"gated-{number}": 1 for number in range(40)}
    assert {note.attempt for note in journey.notes("begun")} == {1}
