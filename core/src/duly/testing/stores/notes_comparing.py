"""A note is written only if it is still as it was read."""

import random
from typing import Final

import pytest

from duly.store import Note
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.notes import keeper, removed, value_of, written

_NAMES: Final = ("a", "A", "a%", "a_", "ab", "\U0001f511")


class NoteComparingCases(StoreHarness):
    """Compare and set, and the revisions by which it is told."""

    async def test_one_that_is_there_is_not_written_anew(self, desk: Bench) -> None:
        store = keeper(desk.store)
        revision = await written(desk.store, "a", b"1")
        for value in (b"2", b"1", b""):
            assert await store.write_note("a", value, None) is None
        await _check(desk, b"1", revision)

    async def test_it_is_written_again_and_again(self, desk: Bench) -> None:
        revision = None
        for number in range(5):
            revision = await written(desk.store, "a", b"%d" % number, revision)
            await _check(desk, b"%d" % number, revision)

    async def test_an_old_revision_is_not_valid(self, desk: Bench) -> None:
        store = keeper(desk.store)
        old = [first := await written(desk.store, "a", b"1")]
        old.append(second := await written(desk.store, "a", b"2", first))
        third = await written(desk.store, "a", b"1", second)
        for revision in old:
            assert await store.write_note("a", b"4", revision) is None
            assert await store.write_note("a", None, revision) is None
        await _check(desk, b"1", third)

    async def test_one_that_is_not_there_has_no_revision(self, desk: Bench) -> None:
        store = keeper(desk.store)
        revision = await written(desk.store, "other", b"1")
        for value in (b"2", None):
            assert await store.write_note("a", value, revision) is None
            assert await store.write_note("a", value, "made up") is None
        assert await store.read_note("a") is None
        assert list(await store.notes("")) == ["other"]

    @pytest.mark.parametrize(
        "made_up", ["", " ", "0", "1", "None", "null", "%", "\u00e9", "x" * 99]
    )
    async def test_a_revision_is_compared_exactly(self, desk: Bench, made_up: str) -> None:
        store = keeper(desk.store)
        revision = await written(desk.store, "a", b"1")
        other = await written(desk.store, "b", b"1")
        wrong = {made_up, other, revision + made_up, made_up + revision, revision[:-1]}
        wrong |= {revision.upper(), revision.lower(), revision.swapcase()}
        for each in wrong - {revision}:
            assert await store.write_note("a", b"2", each) is None, each
            assert await store.write_note("a", None, each) is None, each
        await _check(desk, b"1", revision)

    async def test_one_is_deleted_by_its_revision(self, desk: Bench) -> None:
        store = keeper(desk.store)
        revision = await written(desk.store, "a", b"1")
        assert await store.write_note("a", None, None) is None, "there is one"
        await _check(desk, b"1", revision)
        assert await store.write_note("a", None, revision) is not None
        assert await store.write_note("a", None, revision) is None, "there is none"
        assert await store.write_note("a", b"2", revision) is None
        assert await store.read_note("a") is None

    async def test_to_delete_what_is_not_there_is_no_failure(self, desk: Bench) -> None:
        store = keeper(desk.store)
        assert await store.write_note("a", None, None) is not None
        assert await store.write_note("a", None, None) is not None
        assert await store.read_note("a") is None
        assert dict(await store.notes("")) == {}

    async def test_what_answers_a_delete_stands_for_nothing(self, desk: Bench) -> None:
        store = keeper(desk.store)
        revision = await written(desk.store, "a", b"1")
        for given in (revision, None):
            answer = await store.write_note("a", None, given)
            assert answer is not None
            for value in (b"2", None):
                assert await store.write_note("a", value, answer) is None
        assert await store.read_note("a") is None

    async def test_deleted_and_written_again_it_is_another(self, desk: Bench) -> None:
        store = keeper(desk.store)
        old: list[str] = []
        for _ in range(5):
            old.append(await written(desk.store, "a", b"1"))
            await removed(desk.store, "a", old[-1])
        revision = await written(desk.store, "a", b"1")
        for each in old:
            assert await store.write_note("a", b"2", each) is None
            assert await store.write_note("a", None, each) is None
        await _check(desk, b"1", revision)

    async def test_a_revision_is_never_used_twice(self, desk: Bench) -> None:
        """Not by other names, stores or namespaces either: it is no number of a series."""
        used: list[str] = []
        async with self.bench() as other:
            for bench in (desk, other):
                stores = [bench.store, await bench.another()]
                for name in ("a", "b"):
                    revision: str | None = None
                    for number in range(self.many(20)):
                        revision = await written(stores[number % 2], name, b"1", revision)
                        used.append(revision)
                        if number % 5 == 4:
                            await removed(stores[number % 2], name, revision)
                            revision = None
        assert len(set(used)) == len(used)

    async def test_to_read_changes_nothing(self, desk: Bench) -> None:
        revision = await written(desk.store, "a", b"1")
        for _ in range(3):
            await _check(desk, b"1", revision)
        assert list(await keeper(desk.store).notes("a")) == ["a"]
        await written(desk.store, "a", b"2", revision)

    @pytest.mark.parametrize("seed", range(3))
    async def test_whatever_is_done_it_is_like_a_dictionary(self, desk: Bench, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311  # what is done, not a secret
        stores = [desk.store, await desk.another()]
        kept: dict[str, tuple[bytes, str]] = {}
        known: list[str | None] = [None]
        for _ in range(self.many(200)):
            store, name = dice.choice(stores), dice.choice(_NAMES)
            right = kept[name][1] if name in kept else None
            revision = right if dice.random() < 0.6 else dice.choice(known)
            value = None if dice.random() < 0.2 else dice.randbytes(dice.choice([0, 1, 40]))
            answer = await keeper(store).write_note(name, value, revision)
            assert (answer is not None) == (revision == right)
            if answer is None:
                assert await value_of(store, name) == (kept[name][0] if name in kept else None)
            elif value is None:
                kept.pop(name, None)
            else:
                assert answer not in known
                kept[name] = (value, answer)
                known.append(answer)
        found = await keeper(desk.store).notes("")
        assert list(found) == sorted(kept)
        assert {name: _pair(note) for name, note in found.items()} == kept


async def _check(desk: Bench, value: bytes, revision: str) -> None:
    """Check that the note is as it should be, by reading and by listing."""
    note = await keeper(desk.store).read_note("a")
    assert note is not None
    assert _pair(note) == (value, revision)
    assert _pair((await keeper(desk.store).notes("a"))["a"]) == (value, revision)


def _pair(note: Note) -> tuple[bytes, str]:
    return note.value, note.revision
