"""What pytest gets by ``pytest_plugins = ["duly.testing"]``."""

import pytest

from duly.testing.clock import HandClock
from duly.testing.collecting import pytest_pycollect_makeitem

__all__ = ["hand_clock", "pytest_pycollect_makeitem"]


@pytest.fixture
def hand_clock() -> HandClock:
    """A clock that stands still until it is turned: ``MemoryStore(clock=hand_clock)``."""
    return HandClock()
