"""What is unsafe or slow in a namespace: for ``health()``."""

from collections.abc import Sequence
from typing import Final

from duly_mongo.namespace import Namespace
from duly_mongo.schema import lacks_mark, missing

__all__ = ["doubts"]

_MIGRATE: Final = (
    """run python -c "import duly.sync; duly.sync.Client('URL').migrate()" """
    "with the URL of this store, or await store.migrate()"
)


async def doubts(space: Namespace) -> Sequence[str]:
    """One sentence for each."""
    found = []
    concern = space.write_concern.document
    if concern.get("w", "majority") != "majority" and space.transactional:
        found.append(
            f"MongoDB: the write concern w={concern['w']} lets an election undo what was stored: "
            "leave it out, then a majority has it"
        )
    if concern.get("j") is False:
        found.append("MongoDB: journal=false lets a crash undo what was stored: leave it out")
    needed = await missing(space)
    if needed:
        found.append(
            f"MongoDB: {space.messages.name} lacks the indexes {', '.join(needed)}: {_MIGRATE}"
        )
    if await lacks_mark(space):
        found.append(
            f"MongoDB: {space.messages.name} was made by an earlier version, so that an event name "
            "with a large backlog may hold up the others: once no process of that version is left, "
            f"{_MIGRATE}"
        )
    return found
