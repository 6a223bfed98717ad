"""What is unsafe or slow in a namespace: for ``health()``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from duly.health import Doubt, clock_doubts
from duly_mongo.namespace import Namespace
from duly_mongo.opening import hello
from duly_mongo.schema import lacks_mark, missing

__all__ = ["doubts"]

_MIGRATE: Final = (
    """run python -c "import duly.sync; duly.sync.Client('URL').migrate()" """
    "with the URL of this store, or await store.migrate()"
)


async def doubts(space: Namespace) -> Sequence[Doubt]:
    """One sentence for each."""
    asked = datetime.now(UTC)
    found: list[Doubt] = []
    told = await hello(space.database)
    if (theirs := told.get("localTime")) is not None:
        theirs = theirs.replace(tzinfo=theirs.tzinfo or UTC)
        found += clock_doubts("MongoDB", theirs, asked, datetime.now(UTC))
    concern = space.write_concern.document
    if concern.get("w", "majority") != "majority" and space.transactional:
        means = f"MongoDB: the write concern w={concern['w']} lets an election undo what was stored"
        advice = "leave it out, then a majority has it"
        w = str(concern["w"])
        found.append(Doubt(means, thing="w", found=w, advice=advice, breaks=True))
    if concern.get("j") is False:
        means = "MongoDB: journal=false lets a crash undo what was stored"
        advice = "leave it out"
        found.append(Doubt(means, thing="journal", found="false", advice=advice, breaks=True))
    needed = await missing(space)
    if needed:
        listed = ", ".join(needed)
        means = f"MongoDB: {space.messages.name} lacks the indexes {listed}"
        found.append(Doubt(means, thing="indexes", found=f"lacks {listed}", advice=_MIGRATE))
    if await lacks_mark(space):
        means = (
            f"MongoDB: {space.messages.name} was made by an earlier version, so that an event name "
            "with a large backlog may hold up the others"
        )
        advice = f"once no process of that version is left, {_MIGRATE}"
        found.append(Doubt(means, thing="mark", found="lacks", advice=advice))
    return found
