"""The tables of a history.

Moments that are searched by are microseconds since 1970, UTC; others are text, as ISO 8601.
"""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from duly_history.buckets import BOUNDS

__all__ = ["ENTRY_COLUMNS", "MINUTE_COLUMNS", "VERSION", "Tables"]

VERSION: Final = 1
"""Of the tables; a later one is for a later version of duly."""

ENTRY_COLUMNS: Final = (
    "at", "turn", "message_id", "event_name", "what", "attempt", "due_at", "next_at", "lateness",
    "error_class", "error", "receipt", "detail", "source",
)  # fmt: skip
"""Of what became of messages, in their order; ``turn`` is that of what one process wrote."""

MINUTE_COLUMNS: Final = (
    "minute", "event_name", "delivered", "failed", "buried",
    *(f"late_{number}" for number in range(len(BOUNDS))),
)  # fmt: skip
"""Of what happened in a minute, ditto; the last ones count deliveries by lateness."""

_NUMBERS: Final[Mapping[str, sa.types.TypeEngine[Any]]] = {
    "at": sa.BigInteger(), "turn": sa.BigInteger(), "attempt": sa.BigInteger(),
    "lateness": sa.Double(),
}  # fmt: skip
_SAID: Final = ("action", "target", "by", "reason", "source")


class Tables:
    """All of them, their names beginning with ``prefix``."""

    def __init__(self, prefix: str, schema: str | None) -> None:
        self.prefix = prefix
        self.schema = schema
        self.metadata = sa.MetaData(schema=schema)
        big = sa.BigInteger()
        self.entries = sa.Table(
            f"{prefix}_entries",
            self.metadata,
            *(
                sa.Column(
                    name,
                    _NUMBERS.get(name, sa.Text()),
                    nullable=name not in ("at", "turn", "message_id", "what", "source"),
                )
                for name in ENTRY_COLUMNS
            ),
            postgresql_partition_by="RANGE (at)",
        )
        for name, columns in {
            "id": ["message_id"],
            "at": ["at"],
            "name": ["event_name", "at"],
        }.items():
            sa.Index(f"{prefix}_entries_{name}", *(self.entries.c[each] for each in columns))
        self.minutes = sa.Table(
            f"{prefix}_minutes",
            self.metadata,
            sa.Column("minute", big, primary_key=True, autoincrement=False),
            sa.Column("event_name", sa.Text(), primary_key=True),
            *(sa.Column(name, big, nullable=False) for name in MINUTE_COLUMNS[2:]),
        )
        self.changes = sa.Table(
            f"{prefix}_changes",
            self.metadata,
            sa.Column("id", sa.Text(), primary_key=True),
            sa.Column("at", big, nullable=False, index=True),
            *(sa.Column(name, sa.Text(), nullable=False) for name in _SAID),
            *(sa.Column(name, sa.Text()) for name in ("filter", "details", "outcome", "error")),
            sa.Column("turn", big, nullable=False),
            sa.Column("number", big),
            sa.Column("ended_at", big),
        )
        self.holes = sa.Table(
            f"{prefix}_holes",
            self.metadata,
            sa.Column("source", sa.Text(), primary_key=True),
            sa.Column("from_at", big, primary_key=True, autoincrement=False),
            sa.Column("to_at", big, nullable=False),
            sa.Column("number", big),
            sa.Column("reason", sa.Text(), nullable=False),
        )
        self.writers = sa.Table(
            f"{prefix}_writers",
            self.metadata,
            sa.Column("source", sa.Text(), primary_key=True),
            sa.Column("seen_at", big, nullable=False),
            sa.Column("sequence", big, nullable=False),
        )
        self.schema_version = sa.Table(
            f"{prefix}_schema", self.metadata, sa.Column("version", sa.Integer(), nullable=False)
        )

    def qualified(self, name: str) -> str:
        """The name of a table as it stands in a statement."""
        return name if self.schema is None else f"{self.schema}.{name}"
