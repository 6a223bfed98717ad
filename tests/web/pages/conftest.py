"""Pages of a store in memory."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.web.kit import USERS, asking, listening

import duly_web
from duly import Client


@pytest.fixture
async def pages(client: Client) -> AsyncIterator[Any]:
    """Somebody who looks at the pages of a store in memory, mounted under a path."""
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(Starlette(routes=[Mount("/a/b", app)])) as url:
        async with asking(f"{url}/a/b/") as http:
            yield http
