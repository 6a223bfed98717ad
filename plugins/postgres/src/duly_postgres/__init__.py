"""The PostgreSQL store of duly: scheduled messages in your database, inside your transactions."""

from duly_postgres.store import PostgresStore

__all__ = ["PostgresStore"]
