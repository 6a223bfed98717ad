"""What plugins keep in the store of a client."""

import pytest

from duly import Client, InvalidArgument, MemoryStore, Unsupported
from duly.notebook import Notebook
from duly.testing import FakeStore


class Forgetful:
    """A store without notes: no more of it is asked for here."""

    async def open(self):
        pass

    async def close(self):
        pass


async def test_a_note_is_read_changed_and_removed():
    async with Client(MemoryStore()) as client:
        book = Notebook(client, "web")
        assert await book.read("a") is None
        first = await book.write("a", b"1", None)
        assert first is not None
        assert await book.write("a", b"2", None) is None  # there is one
        second = await book.write("a", b"2", first)
        assert await book.write("a", b"3", first) is None  # it is another by now
        note = await book.read("a")
        assert (note.value, note.revision) == (b"2", second)
        assert await book.write("a", None, second) is not None
        assert await book.read("a") is None


async def test_plugins_do_not_see_each_other():
    store = MemoryStore()
    async with Client(store) as client:
        await client.pause("orders.*")
        one, two = Notebook(client, "one"), Notebook(client, "two")
        await one.write("b", b"1", None)
        await one.write("a", b"2", None)
        await two.write("a", b"3", None)
        assert [(name, note.value) for name, note in (await one.all()).items()] == [
            ("a", b"2"),
            ("b", b"1"),
        ]
        assert "orders.*" in await client.controls()


async def test_what_cannot_be_kept_is_refused_before_anything_is_written():
    async with Client(FakeStore()) as client:
        book = Notebook(client, "web")
        for name in ("", "a\n", "x" * 250, 7):
            with pytest.raises(InvalidArgument):
                await book.write(name, b"", None)
        with pytest.raises(InvalidArgument, match="1,048,576 bytes, not 1,048,577"):
            await book.write("a", b"x" * 1_048_577, None)
        for owner in ("a/b", "", None):
            with pytest.raises(InvalidArgument):
                Notebook(client, owner)
        assert await book.all() == {}


async def test_a_store_without_notes():
    client = Client(MemoryStore())
    client._calls.store = Forgetful()
    book = Notebook(client, "web")
    for call in (book.read("a"), book.write("a", b"", None), book.all()):
        with pytest.raises(Unsupported, match="Forgetful keeps no notes"):
            await call
