"""The SQLite store of duly: scheduled messages in one file, shared by any number of processes."""

from duly_sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
