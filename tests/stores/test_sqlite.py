"""The SQLite store is held to the contract, on real files."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from duly.store import Clock
from duly.testing.stores import (
    PeekingCases,
    RecordCases,
    StoreSuite,
    TransactionCases,
    WakeupCases,
)
from duly_sqlite import SQLiteStore


class TestSQLiteStore(TransactionCases, PeekingCases, WakeupCases, RecordCases, StoreSuite):
    """All cases, and those for all that it can do beyond the contract."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_store(self, namespace: str, clock: Clock | None) -> SQLiteStore:
        return SQLiteStore(self.folder / namespace, clock=clock)

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[sqlite3.Connection]:
        file = self.folder / namespace
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            yield connection

    def transaction_elsewhere(self) -> AbstractAsyncContextManager[sqlite3.Connection]:
        return self.transaction("elsewhere")

    async def leftovers(self, namespace: str) -> Collection[str]:
        async with self.transaction(namespace) as connection:
            tables = ("duly_messages", "duly_due", "duly_leases")
            return [
                each for each in tables if connection.execute(f"SELECT 1 FROM {each}").fetchone()
            ]

    async def damage(self, namespace: str, id: str) -> None:
        async with self.transaction(namespace) as connection:
            connection.execute("UPDATE duly_messages SET metadata = x'80' WHERE id = ?", [id])

    async def age(self, namespace: str, id: str) -> None:
        async with self.transaction(namespace) as connection:
            connection.execute("UPDATE duly_messages SET format = 99 WHERE id = ?", [id])
