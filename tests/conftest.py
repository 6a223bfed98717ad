"""What all tests share."""

import os

import hypothesis
from tests.servers.certificates import certificates

__all__ = ["certificates"]  # a fixture is found by its name

# Two cores do many things at once here, so that no example is judged by its time.
hypothesis.settings.register_profile("duly", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("duly"), derandomize=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "duly")
