"""Several write a note at once: none is written over what its writer has not read."""

import asyncio

from duly.store import Store
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.notes import keeper, removed, value_of, written


class NoteRaceCases(StoreHarness):
    """Four store objects over one namespace."""

    async def test_what_all_count_is_exact(self, desk: Bench) -> None:
        stores = await _four_stores(desk)
        each = self.many(25)
        await asyncio.gather(*(_count(store, "a", each) for store in stores * 2))
        assert await value_of(desk.store, "a") == b"%d" % (len(stores) * 2 * each)

    async def test_what_all_count_is_exact_although_it_is_deleted(self, desk: Bench) -> None:
        """Somebody takes what was counted and deletes the note, again and again."""
        stores = await _four_stores(desk)
        each, taken = self.many(20), 0
        working = asyncio.gather(*(_count(store, "a", each) for store in stores))
        while True:
            over = working.done()
            note = await keeper(desk.store).read_note("a")
            if note is None and over:
                break
            if note is not None and await keeper(desk.store).write_note("a", None, note.revision):
                taken += int(note.value)
            await asyncio.sleep(0)
        await working
        assert taken == len(stores) * each

    async def test_one_of_many_makes_it(self, desk: Bench) -> None:
        stores = await _four_stores(desk)
        for turn in range(self.many(10)):
            name, values = f"n{turn}", [b"%d" % number for number in range(8)]
            answers = await asyncio.gather(
                *(
                    keeper(stores[number % 4]).write_note(name, value, None)
                    for number, value in enumerate(values)
                )
            )
            (winner,) = [number for number, answer in enumerate(answers) if answer is not None]
            note = await keeper(desk.store).read_note(name)
            assert note is not None
            assert (note.value, note.revision) == (values[winner], answers[winner])

    async def test_one_of_many_writes_on(self, desk: Bench) -> None:
        stores = await _four_stores(desk)
        revision = await written(desk.store, "a", b"")
        for _ in range(self.many(10)):
            answers = await asyncio.gather(
                *(keeper(store).write_note("a", b"1", revision) for store in stores * 2)
            )
            (revision,) = [answer for answer in answers if answer is not None]
            note = await keeper(desk.store).read_note("a")
            assert note is not None
            assert note.revision == revision

    async def test_deleted_or_written_never_both(self, desk: Bench) -> None:
        stores = await _four_stores(desk)
        for _ in range(self.many(15)):
            revision = await written(desk.store, "a", b"1")
            deleted, rewritten, anew = await asyncio.gather(
                keeper(stores[1]).write_note("a", None, revision),
                keeper(stores[2]).write_note("a", b"2", revision),
                keeper(stores[3]).write_note("a", b"3", None),
            )
            assert (deleted is None) != (rewritten is None)
            assert anew is None or deleted is not None
            note = await keeper(desk.store).read_note("a")
            if note is None:
                assert (rewritten, anew) == (None, None)
                continue
            assert (note.value, note.revision) in ((b"2", rewritten), (b"3", anew))
            await removed(desk.store, "a", note.revision)

    async def test_other_names_are_no_conflict(self, desk: Bench) -> None:
        stores = await _four_stores(desk)
        names = [f"n{number}" for number in range(self.many(40))]
        revisions: dict[str, str | None] = dict.fromkeys(names)
        for turn in range(3):
            answers = await asyncio.gather(
                *(
                    written(stores[number % 4], name, b"%d" % turn, revisions[name])
                    for number, name in enumerate(names)
                )
            )
            revisions = dict(zip(names, answers, strict=True))
        assert list(await keeper(desk.store).notes("n")) == sorted(names)

    async def test_what_is_read_is_whole(self, desk: Bench) -> None:
        """Its value is that of its revision, however it was read."""
        stores = await _four_stores(desk)
        written_as: dict[str, bytes] = {}
        seen: list[tuple[str, bytes]] = []

        async def write(store: Store, name: str) -> None:
            revision: str | None = None
            for turn in range(self.many(15)):
                value = (b"%s%d" % (name.encode(), turn)) * 5000
                revision = await written(store, name, value, revision)
                written_as[revision] = value
                await asyncio.sleep(0)  # a store may answer without a pause
                if turn % 4 == 3:
                    await removed(store, name, revision)
                    revision = None

        async def read() -> None:
            while not writing.done():
                for name in ("a", "b"):
                    note = await keeper(stores[2]).read_note(name)
                    seen.extend([] if note is None else [(note.revision, note.value)])
                found = await keeper(stores[3]).notes("")
                assert list(found) == sorted(found)
                seen.extend((note.revision, note.value) for note in found.values())
                await asyncio.sleep(0)

        writing = asyncio.gather(write(stores[0], "a"), write(stores[1], "b"))
        await read()
        await writing
        for revision, value in seen:
            assert written_as[revision] == value


async def _count(store: Store, name: str, times: int) -> None:
    """Count up what a note holds, so many times; again whenever somebody else was sooner."""
    for _ in range(times):
        while True:
            note = await keeper(store).read_note(name)
            count, revision = (0, None) if note is None else (int(note.value), note.revision)
            if await keeper(store).write_note(name, b"%d" % (count + 1), revision) is not None:
                break
            await asyncio.sleep(0)


async def _four_stores(bench: Bench) -> list[Store]:
    return [bench.store, *[await bench.another() for _ in range(3)]]
