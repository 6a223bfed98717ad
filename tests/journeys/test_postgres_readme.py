"""What the README of duly-postgres shows beside whole programs: its service and its SQL."""

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import pytest
from tests.journeys.test_readme import ROOT, blocks, tokens

import duly

README = ROOT / "plugins" / "postgres" / "README.md"


@pytest.fixture
def shop(tmp_path: Path, shop_database: str) -> Iterator[ModuleType]:
    """The service, as the README has it."""
    (code,) = (block.code for block in blocks(README) if block.name == "shop.py")
    file = tmp_path / "shop.py"
    file.write_text(code.replace("//localhost/shop", shop_database))
    spec = importlib.util.spec_from_file_location("shop", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["shop"]


async def post(app: Any, path: str, statuses: list[int] | None = None) -> int:
    """The status by which an application answers, noted in ``statuses`` as soon as it does."""
    statuses = [] if statuses is None else statuses

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            statuses.append(event["status"])

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    (status,) = statuses
    return status


async def test_the_service(shop: ModuleType) -> None:
    async with shop.app.router.lifespan_context(shop.app):
        assert (
            await asyncio.gather(*(post(shop.app, f"/orders/{n}") for n in (17, 18))) == [200] * 2
        )
        with pytest.raises(Exception, match="duplicate key"):  # of the order, and so no reminder
            await post(shop.app, "/orders/17")
        await shop.client.cancel("order-17")
        with pytest.raises(Exception, match="duplicate key"):
            await post(shop.app, "/orders/17")
        assert [message.id for message in await shop.client.list()] == ["order-18"]


async def test_a_commit_that_fails_is_not_answered_by_success(
    shop: ModuleType, shop_database: str
) -> None:
    async with shop.app.router.lifespan_context(shop.app):
        connection = await asyncpg.connect(f"postgresql:{shop_database}")
        await connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no commit'; END $$;"
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON orders"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        await connection.close()
        statuses: list[int] = []
        with pytest.raises(Exception, match="no commit"):
            await post(shop.app, "/orders/17", statuses)
        assert 200 not in statuses
        assert await shop.client.list() == []


async def test_the_sql(shop_database: str) -> None:
    statements = [
        token.content for token in tokens(README) if token.type == "fence" and token.info == "sql"
    ]
    assert len(statements) == 2
    async with duly.Client(f"postgresql:{shop_database}") as client:
        await client.stats()
        connection = await asyncpg.connect(f"postgresql:{shop_database}")
        await connection.execute("CREATE ROLE shop LOGIN; CREATE TABLE orders (id integer)")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()
        (message,) = await client.list()
        assert (message.id, message.payload) == ("order-17", b'{"order": 17}')
    granted = f"postgresql:{shop_database.replace('postgres@', 'shop@')}?auto_migrate=false"
    async with duly.Client(granted) as client:
        assert await client.cancel("order-17")
