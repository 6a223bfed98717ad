"""A namespace of its own on each kind of store, for hosts of two versions; it is gone afterwards."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient
from redis import Redis
from tests.servers.postgres import execute


@contextmanager
def namespace(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Its URL; there is nothing at it yet."""
    name = f"before_{secrets.token_hex(4)}"
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'shared.db'}"
        return
    server = request.getfixturevalue(f"{kind}_url")
    if kind == "redis":
        yield f"{server}?key_prefix={name}:"
        with Redis.from_url(server) as redis:
            for key in redis.scan_iter(f"{name}:*"):  # maybe none: a test was skipped
                redis.delete(key)
    elif kind == "postgres":
        asyncio.run(execute(server, f"CREATE SCHEMA {name}"))
        yield f"{server}?schema={name}"
        asyncio.run(execute(server, f"DROP SCHEMA {name} CASCADE"))
    else:
        yield f"{server}/{name}"
        with MongoClient[dict[str, object]](server) as mongo:
            mongo.drop_database(name)
