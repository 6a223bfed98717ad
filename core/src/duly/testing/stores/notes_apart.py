"""Notes and messages do not see each other, nor do namespaces, and nobody is woken by notes."""

import asyncio

import pytest

from duly.message import State
from duly.store import SupportsPeeking, SupportsWakeups
from duly.testing.stores.abilities import PATIENCE
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.notes import keeper, removed, value_of, written
from duly.testing.stores.quiet import Waking
from duly.testing.stores.situations import HOUR

_TRIES = 50


class NoteApartCases(Waking):
    """What notes have nothing to do with."""

    async def test_no_verb_for_messages_sees_a_note(self, desk: Bench) -> None:
        await written(desk.store, "a", b"1")
        assert await desk.counts() == (0, 0, 0)
        assert await desk.listed() == []
        assert await desk.store.get("a") is None
        assert list(await desk.store.cancel(["a"])) == [None]
        moved = await desk.store.reschedule("a", desk.start, of_state=State.SCHEDULED)
        assert moved is None
        batch = await desk.claim()
        assert (ids(batch), batch.more, batch.next_due) == ([], False, None)
        assert await value_of(desk.store, "a") == b"1"

    async def test_a_message_of_that_name_is_another_thing(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await keeper(desk.store).read_note("a") is None
        assert dict(await keeper(desk.store).notes("")) == {}
        revision = await written(desk.store, "a", b"1")
        assert await desk.store.get("a") == message
        batch = await desk.claim()
        await written(desk.store, "a", b"2", revision)
        assert await desk.renew(batch) == []
        assert await desk.settle(batch)
        assert await value_of(desk.store, "a") == b"2"
        await desk.put("a", after=HOUR)
        await removed(desk.store, "a", (await keeper(desk.store).notes("a"))["a"].revision)
        assert await desk.state("a") is State.SCHEDULED
        assert list(await desk.store.cancel(["a"])) == [State.SCHEDULED]

    async def test_when_all_messages_are_gone_notes_stay(self, desk: Bench) -> None:
        await written(desk.store, "a", b"1")
        await desk.put("m1", "m2", "m3")
        assert await desk.settle(await desk.claim(1))
        await desk.claim(1)
        await desk.store.cancel(await desk.listed())
        await desk.pass_time(1000 * HOUR)
        await desk.claim()
        assert await value_of(desk.store, "a") == b"1"

    async def test_namespaces_have_their_own(self, desk: Bench) -> None:
        async with self.bench() as other:
            first = await written(desk.store, "a", b"1")
            assert await keeper(other.store).read_note("a") is None
            assert dict(await keeper(other.store).notes("")) == {}
            assert await keeper(other.store).write_note("a", b"2", first) is None
            second = await written(other.store, "a", b"2")
            await removed(other.store, "a", second)
            assert await value_of(desk.store, "a") == b"1"

    async def test_notes_wake_nobody(self, desk: Bench) -> None:
        store = await desk.another()
        if not isinstance(store, SupportsWakeups):
            pytest.skip("the store cannot wake anybody")
        await self._settled(store)
        for writer in (desk.store, store):
            for _ in range(_TRIES):
                revision = await written(writer, "a", b"1")
                await written(writer, "a", b"2", revision)
                (note,) = (await keeper(writer).notes("")).values()
                await removed(writer, "a", note.revision)
                if await self._quiet_now(store):
                    break
            else:
                pytest.fail("every note wakes those who wait")
        await desk.put("a")
        async with asyncio.timeout(PATIENCE):
            await store.wait_for_change()

    async def test_a_change_among_notes_is_seen(self, desk: Bench) -> None:
        """``changed`` may be True for a note, but not False for what came with notes around it."""
        store = await desk.another()
        if not isinstance(store, SupportsPeeking):
            pytest.skip("the store cannot be asked")
        revision = await written(desk.store, "a", b"1")
        await store.changed()
        await written(store, "b", b"1")
        await desk.put("a")
        await written(desk.store, "a", b"2", revision)
        await written(store, "c", b"1")
        assert await store.changed()
