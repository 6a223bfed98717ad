"""Hosts of two versions on one file, while one of them is being upgraded."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.journeys.kit import Journey, batch, ids_of
from tests.journeys.props import Clock

from duly import Message, State, after
from duly.record import FORMAT
from duly.store import NEWER_PAUSE


def rewrite(path: Path, id: str, version: int, recurrence: str | None) -> None:
    """Change a record as a duly would that writes another format."""
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(
            "UPDATE duly_messages SET format = ?, recurrence = ? WHERE id = ?",
            (version, recurrence, id),
        )


async def test_a_record_of_a_newer_version_waits_for_a_newer_host(
    journey: Journey, tmp_path: Path
) -> None:
    clock, others = Clock(tmp_path / "clock", after()), batch(50, due=-1)
    newer = Message("quick", id="newer", scheduled_at=after(seconds=-2))
    await journey.client.schedule_many([newer, *others])
    rewrite(journey.path, "newer", FORMAT + 1, "what nobody knows yet")

    old = await journey.start(clock=clock.path)
    await journey.emptied(but=1)
    health = await old.health()
    assert health.status == "degraded"
    assert "records of a newer format are waiting: upgrade this host" in health.reason
    clock.turn(clock.now + NEWER_PAUSE)  # it looks at it again
    await journey.client.schedule(Message("quick", id="one more", scheduled_at=clock.now))
    await old.noted("settled", 51)
    assert (await journey.emptied(but=1)).dead == 0
    assert (await journey.client.get("newer")).state is State.SCHEDULED
    await old.stop()
    assert set(old.ids("begun")) == {"one more", *ids_of(others)}

    rewrite(journey.path, "newer", FORMAT, None)  # so that the host started next can read it
    upgraded = await journey.start(clock=clock.path)
    clock.turn(clock.now + NEWER_PAUSE)
    await journey.emptied()
    assert "newer format" not in (await upgraded.health()).reason
    await upgraded.stop()
    (note,) = upgraded.notes("done")
    assert (note.id, note.attempt, note.delivery_id) == ("newer", 1, newer.delivery_id)
    assert not journey.early()
    assert set(journey.count("begun").values()) == {1}
