"""What a note holds, by what name, and who finds it."""

import itertools
from typing import Final

import pytest

from duly.store import MOST_OF_A_NOTE
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.notes import keeper, removed, value_of, written
from duly.testing.stores.situations import HOUR

_VALUES: Final = {
    "empty": b"",
    "a zero": b"\0",
    "zeros around": b"\0a\0",
    "no text": b"\xff\xfe\x80",
    "all bytes": bytes(range(256)),
    "text": "\u0444 '\"\\ \U0001f511\r\n".encode(),
    "the most": bytes(range(256)) * (MOST_OF_A_NOTE // 256),
}

NAMES: Final = (
    "a", "A", "a ", " a", "a  ", "aa", "ab", "b", "a%", "a%b", "%", "_", "a_", "__", "*", "a*",
    "[", "[a]", "a[", "]", "?", "a?b", "\\", "a\\", "a\\%", "\\\\", "/", "a/b", "a//b", "..", "a.",
    "a.b", "'", '"', "a'b", "`", "$", "$a", "a$b", "{a}", "^a", "a|b", "(", "+", "#", ":", "a:b",
    ";", "--", "\xe9", "e\u0301", "\xdf", "ss", "\u0130", "i", "I", "\u4e2d\u6587", "\ue000",
    "\uffee", "\U00010000", "\U0001f511", "a\U0001f511", "null", "None", "0", "00", "1e3",
    "x" * 255, "\U0001f511" * 255,
)  # fmt: skip
"""What a store's server may take for a pattern, for the same, or for something else."""


class NoteKeepingCases(StoreHarness):
    """A note comes back as it was written, to all who ask by its name."""

    async def test_there_is_none_at_first(self, desk: Bench) -> None:
        assert await keeper(desk.store).read_note("a") is None
        assert dict(await keeper(desk.store).notes("")) == {}

    @pytest.mark.parametrize("kind", _VALUES)
    async def test_a_value_comes_back(self, desk: Bench, kind: str) -> None:
        value, other = _VALUES[kind], b"something else"
        revision = await written(desk.store, "new", value)
        note = await keeper(desk.store).read_note("new")
        assert note is not None
        assert type(note.value) is bytes
        assert (note.value, note.revision) == (value, revision)
        assert dict(await keeper(desk.store).notes("")) == {"new": note}
        await written(desk.store, "old", value, await written(desk.store, "old", other))
        assert await value_of(desk.store, "old") == value
        await written(desk.store, "new", other, revision)
        assert await value_of(desk.store, "new") == other

    async def test_each_name_is_a_note_of_its_own(self, desk: Bench) -> None:
        store = keeper(desk.store)
        for number, name in enumerate(NAMES):
            assert await store.read_note(name) is None, name
            await written(desk.store, name, b"%d" % number)
        for number, name in enumerate(NAMES):
            assert await value_of(desk.store, name) == b"%d" % number, name
        for number, name in enumerate(NAMES):
            note = await store.read_note(name)
            assert note is not None
            if number % 2:
                await removed(desk.store, name, note.revision)
            else:
                await written(desk.store, name, b"new %d" % number, note.revision)
        for number, name in enumerate(NAMES):
            left = None if number % 2 else b"new %d" % number
            assert await value_of(desk.store, name) == left, name

    async def test_names_are_listed_by_what_they_begin_with(self, desk: Bench) -> None:
        store = keeper(desk.store)
        for name in NAMES:
            await written(desk.store, name, name.encode())
        beginnings = {name[:length] for name, length in itertools.product(NAMES, (1, 2, 3, 255))}
        for prefix in sorted(beginnings | {"c", "a%b%", "%%", "_ _", "\\_", "aaa", "\U0010ffff"}):
            found = await store.notes(prefix)
            assert list(found) == sorted(each for each in NAMES if each.startswith(prefix)), prefix
            for name, note in found.items():
                assert note.value == name.encode()

    async def test_all_are_listed_in_order(self, desk: Bench) -> None:
        for name in reversed(NAMES):
            await written(desk.store, name, name.encode())
        found = await keeper(desk.store).notes("")
        assert list(found) == sorted(NAMES), "by code point"
        for name in NAMES:
            assert await keeper(desk.store).read_note(name) == found[name]

    async def test_many_are_listed(self, desk: Bench) -> None:
        names = [f"n{number:04}" for number in range(self.many(1000))]
        for name in names:
            await written(desk.store, name, name.encode())
        found = await keeper(desk.store).notes("n")
        assert list(found) == names
        assert {name: note.value.decode() for name, note in found.items()} == dict(
            zip(names, names, strict=True)
        )

    async def test_large_ones_are_listed_whole(self, desk: Bench) -> None:
        values = {name: name.encode() * MOST_OF_A_NOTE for name in ("a", "b", "c", "d")}
        for name, value in values.items():
            await written(desk.store, name, value)
        found = await keeper(desk.store).notes("")
        assert {name: note.value for name, note in found.items()} == values

    async def test_one_that_is_deleted_is_gone(self, desk: Bench) -> None:
        store = keeper(desk.store)
        await removed(desk.store, "a", await written(desk.store, "a", b"1"))
        await written(desk.store, "b", b"2")
        assert await store.read_note("a") is None
        assert list(await store.notes("")) == ["b"]
        assert dict(await store.notes("a")) == {}

    async def test_it_is_there_when_the_store_is_opened_again(self, desk: Bench) -> None:
        revision = await written(desk.store, "a", b"1")
        await desk.store.close()
        await desk.store.open()
        note = await keeper(desk.store).read_note("a")
        assert note is not None
        assert (note.value, note.revision) == (b"1", revision)
        await written(desk.store, "a", b"2", revision)

    async def test_all_stores_see_it_at_once(self, desk: Bench) -> None:
        others = [await desk.another() for _ in range(3)]
        revision = await written(desk.store, "a", b"0")
        for number in range(self.many(60)):
            writer, reader = others[number % 3], others[(number + 1) % 3]
            revision = await written(writer, "a", b"%d" % number, revision)
            assert await value_of(reader, "a") == b"%d" % number
            assert list(await keeper(others[(number + 2) % 3]).notes("")) == ["a"]
        await removed(others[0], "a", revision)
        for other in others:
            assert await value_of(other, "a") is None

    async def test_now_is_the_stores(self, timed: Bench) -> None:
        store = keeper(timed.store)
        for name in ("a", "b"):
            await written(timed.store, name, b"")
        for _ in range(3):
            before = await timed.time.now()
            note, found = await store.read_note("a"), await store.notes("")
            after = await timed.time.now()
            assert note is not None
            for each in (note, *found.values()):
                assert each.now.utcoffset() is not None
                assert before - self.resolution <= each.now <= after + self.resolution
            await timed.pass_time(timed.time.moment)

    async def test_time_passes_for_notes(self, desk: Bench) -> None:
        store = keeper(desk.store)
        await written(desk.store, "a", b"")
        first = await store.read_note("a")
        await desk.pass_time(HOUR)
        second = await store.read_note("a")
        assert first is not None
        assert second is not None
        assert abs(second.now - first.now - HOUR) <= self.resolution
        assert first.revision == second.revision
