"""Tests for a store or a transport of your own; load with ``pytest_plugins = ["duly.testing"]``.

``duly.testing.stores`` holds the cases for stores, ``duly.testing.transports`` those for
transports, ``duly.testing.clock`` a clock that tests turn by hand, which is also the fixture
``hand_clock``. ``duly.testing.crash_cases`` has ``CrashPointCases``, which kill a scheduler at each
call of a store, and ``RandomLifeCases``, in which everything goes wrong at random. Both work for
any store, also one with sockets, and take the harness of ``duly.testing.stores``. Import what you
need: nothing else is loaded. :class:`~duly.testing.gate.Gate`, a proxy before a server that a test
shuts and freezes, can be imported from here. A test class that lacks a method of its kit is an
error; it is not skipped.

PYTEST_DONT_REWRITE: there is nothing to rewrite here, and it may be imported before pytest asks.
"""

import pytest

from duly.testing.clock import HandClock
from duly.testing.collecting import pytest_pycollect_makeitem
from duly.testing.gate import Gate

__all__ = ["Gate", "hand_clock", "pytest_pycollect_makeitem"]

# Before the cases are imported by anybody, so that their asserts tell both sides.
pytest.register_assert_rewrite("duly.testing.stores", "duly.testing.transports")


@pytest.fixture
def hand_clock() -> HandClock:
    """A clock that stands still until it is turned: ``MemoryStore(clock=hand_clock)``."""
    return HandClock()
