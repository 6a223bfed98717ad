"""The MongoDB store of duly: scheduled messages in a collection, shared by any number of hosts."""

from duly_mongo.store import MongoStore

__all__ = ["MongoStore"]
