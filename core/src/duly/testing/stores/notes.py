"""What the cases of notes share: a store that keeps them, and short words for what it is asked."""

from duly.store import Store, SupportsNotes

__all__ = ["keeper", "removed", "value_of", "written"]


def keeper(store: Store) -> SupportsNotes:
    """The store as one that keeps notes."""
    assert isinstance(store, SupportsNotes)
    return store


async def written(store: Store, name: str, value: bytes, revision: str | None = None) -> str:
    """Write a note that is still as it was read, or not there; its revision."""
    answer = await keeper(store).write_note(name, value, revision)
    assert isinstance(answer, str), f"not written, although nobody else did: {answer!r}"
    assert answer, "a revision is some text"
    assert answer != revision, "a revision is never used twice"
    return answer


async def removed(store: Store, name: str, revision: str | None) -> None:
    """Delete a note that is still as it was read, or not there."""
    assert await keeper(store).write_note(name, None, revision) is not None


async def value_of(store: Store, name: str) -> bytes | None:
    """What a note holds; None when there is none."""
    note = await keeper(store).read_note(name)
    return None if note is None else note.value
