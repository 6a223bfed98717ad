"""Loaded by ``pytest_plugins = ["duly.testing"]``: what proves a store or a transport of your own.

``duly.testing.stores`` holds the cases for stores, ``duly.testing.transports`` those for
transports, ``duly.testing.clock`` a clock to turn by hand. Nothing of this loads by itself.

PYTEST_DONT_REWRITE: there is nothing to rewrite here, and it may be imported before pytest asks.
"""

import pytest

# Before the cases are imported by anybody, so that their asserts tell both sides.
pytest.register_assert_rewrite("duly.testing.stores", "duly.testing.transports")
