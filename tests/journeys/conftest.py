"""A journey of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.journeys.kit import Journey


@pytest.fixture
async def journey(tmp_path: Path) -> AsyncIterator[Journey]:
    journey = Journey(tmp_path)
    try:
        async with journey.client:
            yield journey
    finally:
        await journey.end()
