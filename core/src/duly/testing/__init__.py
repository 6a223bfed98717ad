"""Loaded by ``pytest_plugins = ["duly.testing"]``: what proves a store or a transport of your own.

``duly.testing.stores`` holds the cases for stores, ``duly.testing.transports`` those for
transports, ``duly.testing.clock`` a clock to turn by hand, also to be had as the fixture
``hand_clock``. ``duly.testing.crash_cases`` has ``CrashPointCases``, which kill a scheduler at each
call of a store, and ``RandomLifeCases``, in which everything goes wrong at random: for any store,
those with sockets too, with the harness of ``duly.testing.stores``. None of it loads by itself.
:class:`~duly.testing.gate.Gate`, a door before a server that a test shuts and freezes, can be
imported from here. A class of tests that lacks a method of its kit is an error, not left out.

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
