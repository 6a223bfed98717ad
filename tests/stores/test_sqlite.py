"""The SQLite store is held to the contract, on real files."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from duly.store import Clock
from duly.testing.stores import (
    AnyLoopCases,
    DueBetweenCases,
    EnsureCases,
    ForecastCases,
    HealthCases,
    LineCases,
    LineMarkCases,
    LineTransactionCases,
    ListingWithoutPayloadsCases,
    MigrationCases,
    NameStatsCases,
    NoteCases,
    OverdueCases,
    PeekingCases,
    RecordCases,
    StoreHarness,
    StoreSuite,
    TakeoverCases,
    TakeoverTransactionCases,
    TransactionCases,
    WakeupCases,
    WhereCases,
)
from duly.testing.stores.histories import HistoryCases
from duly.testing.stores.lines_histories import LineHistoryCases
from duly.testing.stores.series_histories import SeriesHistoryCases
from duly_sqlite import SQLiteStore, connection


def open_files() -> Iterator[str]:
    """Of this process."""
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            yield str(each.readlink())


class OnSQLite(StoreHarness):
    """A file for each namespace, in the test's own folder."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = tmp_path
        self.patch = monkeypatch

    async def make_store(self, namespace: str, clock: Clock | None) -> SQLiteStore:
        return SQLiteStore(self.folder / namespace, clock=clock)


class TestSQLiteStore(
    OnSQLite,
    AnyLoopCases,
    EnsureCases,
    ForecastCases,
    DueBetweenCases,
    HealthCases,
    LineCases,
    LineMarkCases,
    LineTransactionCases,
    MigrationCases,
    NameStatsCases,
    OverdueCases,
    NoteCases,
    TakeoverCases,
    TakeoverTransactionCases,
    TransactionCases,
    PeekingCases,
    ListingWithoutPayloadsCases,
    WakeupCases,
    WhereCases,
    RecordCases,
    StoreSuite,
):
    """All cases, and those for all that it can do beyond the contract."""

    histories = line_histories = 40  # TestLongHistories has all
    series_steps = 160
    no_secrets = "a file has no password"
    waits_for_transactions = (
        "who writes to a file of SQLite has it alone until the transaction ends"
    )

    async def make_without_schema(self, namespace: str) -> SQLiteStore:
        return SQLiteStore(self.folder / namespace)

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[sqlite3.Connection]:
        file = self.folder / namespace
        with contextlib.closing(sqlite3.connect(file)) as opened, opened:
            yield opened

    def transaction_elsewhere(self) -> AbstractAsyncContextManager[sqlite3.Connection]:
        return self.transaction("elsewhere")

    @contextlib.asynccontextmanager
    async def freeze(self, namespace: str) -> AsyncIterator[None]:
        """Somebody else holds the lock; what can be read without it is read."""
        with contextlib.closing(sqlite3.connect(self.folder / namespace, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.rollback()

    @contextlib.asynccontextmanager
    async def outage(self, namespace: str) -> AsyncIterator[None]:
        """The same, when the store has lost its patience."""
        with self.patch.context() as patch:
            patch.setattr(connection, "PATIENCE", 0.05)
            async with self.freeze(namespace):
                yield

    async def connections(self, namespace: str) -> int:
        file = str(self.folder / namespace)
        return sum(link.startswith(file) for link in open_files())

    async def leftovers(self, namespace: str) -> Collection[str]:
        async with self.transaction(namespace) as opened:
            tables = ("duly_messages", "duly_due", "duly_aside", "duly_leases", "duly_notes")
            return [each for each in tables if opened.execute(f"SELECT 1 FROM {each}").fetchone()]

    async def unmark(self, namespace: str) -> None:
        async with self.transaction(namespace) as opened:
            opened.execute("DELETE FROM duly_marks")

    async def damage(self, namespace: str, id: str) -> None:
        async with self.transaction(namespace) as opened:
            opened.execute("UPDATE duly_messages SET metadata = x'80' WHERE id = ?", [id])

    async def age(self, namespace: str, id: str) -> None:
        async with self.transaction(namespace) as opened:
            opened.execute("UPDATE duly_messages SET format = 99 WHERE id = ?", [id])


@pytest.mark.slow
class TestLongHistories(OnSQLite, HistoryCases, LineHistoryCases, SeriesHistoryCases):
    """As many histories as the kit has, other ones each time."""
