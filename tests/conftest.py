"""What all tests share."""

import logging
import os
from collections.abc import Iterator

import hypothesis
import pytest
from tests.servers.certificates import certificates

__all__ = ["certificates"]  # a fixture is found by its name

# Two cores do many things at once here, so that no example is judged by its time.
hypothesis.settings.register_profile("duly", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("duly"), derandomize=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "duly")


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    """What a test does to our logger ends with it: others read its lines in the same process."""
    logger = logging.getLogger("duly")
    before = logger.level, logger.propagate, logger.disabled, [*logger.handlers], [*logger.filters]
    yield
    after = logger.level, logger.propagate, logger.disabled, [*logger.handlers], [*logger.filters]
    assert after == before, "use caplog or monkeypatch, which put it back"
