"""For tests: of a service that uses duly, and of a store or a transport of your own.

**Of a service.** :class:`FakeStore` is a store with a clock to move, :func:`assert_scheduled` and
:func:`assert_not_scheduled` look at what is scheduled, :func:`perform` calls a handler,
``duly.testing.fixtures`` has fixtures. None of this needs pytest, but for the fixtures.

**Of a plugin.** Load the kit with ``pytest_plugins = ["duly.testing"]``.
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

import importlib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from duly.testing.asserting import assert_not_scheduled, assert_scheduled
    from duly.testing.fake_store import FakeStore
    from duly.testing.gate import Gate
    from duly.testing.performing import perform
    from duly.testing.plugin import hand_clock, pytest_pycollect_makeitem

__all__ = [
    "FakeStore",
    "Gate",
    "assert_not_scheduled",
    "assert_scheduled",
    "hand_clock",
    "perform",
    "pytest_pycollect_makeitem",
]

# Imported when they are asked for, so that a service's tests load no kit, and need no pytest.
_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FakeStore": "fake_store",
        "Gate": "gate",
        "assert_not_scheduled": "asserting",
        "assert_scheduled": "asserting",
        "hand_clock": "plugin",
        "perform": "performing",
        "pytest_pycollect_makeitem": "plugin",
    }
)

if "pytest" in sys.modules:
    # Before the cases are imported by anybody, so that their asserts tell both sides.
    sys.modules["pytest"].register_assert_rewrite("duly.testing.stores", "duly.testing.transports")


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # where pytest looks for hooks without asking this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # what pytest looks through for fixtures and hooks
