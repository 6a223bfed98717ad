"""A journey of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.journeys.kit import Journey


@pytest.fixture
async def journey(tmp_path: Path) -> AsyncIterator[Journey]:
    async with Journey(tmp_path) as journey:
        yield journey
