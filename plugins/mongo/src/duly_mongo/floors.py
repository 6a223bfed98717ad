"""The newest generation that each who declares series has declared: documents of their own.

Kept apart from leases: a document there that is no lease would count as one that has lapsed.
"""

from pymongo.errors import DuplicateKeyError

from duly import StoreUnavailable
from duly.store import Declared
from duly_mongo.namespace import TRIES, Namespace

__all__ = ["is_newest", "raise_floor"]


async def raise_floor(space: Namespace, declared: Declared) -> bool:
    """Raise the floor to this generation; False where it is higher already."""
    floor = {"_id": declared.by, "generation": {"$not": {"$gt": declared.generation}}}
    raised = {"$set": {"generation": declared.generation}}
    for _ in range(TRIES):
        try:
            await space.floors.update_one(floor, raised, upsert=True)
        except DuplicateKeyError:  # it is higher, or was made just now
            if not await is_newest(space, declared):
                return False
        else:
            return True
    raise StoreUnavailable("MongoDB: others keep declaring the same series: it may work again")


async def is_newest(space: Namespace, declared: Declared) -> bool:
    """Whether no newer generation has been declared."""
    newer = {"_id": declared.by, "generation": {"$gt": declared.generation}}
    return await space.floors.find_one(newer) is None
