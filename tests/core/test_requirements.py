"""Whether a requirement of duly is met; what cannot be read counts as met."""

import pytest

from duly._plugins.requirements import unmet


@pytest.mark.parametrize(
    ("requirement", "met_by", "not_met_by"),
    [
        ("duly", ["0.1.0", "9"], []),
        ("duly>=0.2", ["0.2", "0.2.0", "0.2.1", "0.10", "1.0", "0.2.0.dev3"], ["0.1", "0.1.9"]),
        ("Duly >= 0.2.0", ["0.2", "0.2.0+local"], ["0.1.99"]),
        ("duly (>=0.2)", ["0.2"], ["0.1"]),
        ("duly[testing]>=0.2", ["0.2"], ["0.1"]),
        ("duly [testing] (>=0.2,<1)", ["0.2"], ["0.1", "1.0"]),
        ("duly~=0.1", ["0.1", "0.1.5", "0.9"], ["0.0.9", "1.0", "1"]),
        ("duly~=0.1.2", ["0.1.2", "0.1.9"], ["0.1.1", "0.2.0", "1.1.2"]),
        ("duly~=0.1.0", ["0.1"], ["0.2"]),
        ("duly==0.1.0", ["0.1", "0.1.0", "0.1.0.0"], ["0.1.1", "0.2"]),
        ("duly==0.1.*", ["0.1", "0.1.7", "0.1.0.dev1"], ["0.2", "1.1"]),
        ("duly!=0.1.*", ["0.2"], ["0.1", "0.1.7"]),
        ("duly!=0.1.3", ["0.1.2", "0.1.3.dev1"], ["0.1.3"]),
        ("duly>0.1", ["0.1.1", "0.2"], ["0.1", "0.0.9"]),
        ("duly<0.2", ["0.1.9"], ["0.2", "0.2.0.dev1", "0.3"]),
        ("duly<=0.2", ["0.2", "0.2.0.post1", "0.1"], ["0.2.1"]),
        ("duly>=0.1,<0.2,!=0.1.3", ["0.1.2"], ["0.2", "0.1.3"]),
        ("duly>=0.2rc1", ["0.2", "0.2.0rc1", "0.3"], ["0.1"]),
        ("duly>0.2.0b1", ["0.2.0"], ["0.1"]),
        ("duly>=v0.2", ["0.2"], ["0.1"]),
        ("duly>=0.2", ["unknown", ""], []),
        # What is left to installers, or is no requirement of duly.
        ('duly>=99; extra == "later"', ["0.1"], []),
        ("duly @ file:///elsewhere/duly.whl", ["0.1"], []),
        ("duly===99", ["0.1"], []),
        ("duly==1!0.1", ["0.1"], []),
        ("duly>=newest", ["0.1"], []),
        ("duly>=0.2.*", ["0.1"], []),
        ("duly-redis>=99,<99", ["0.1"], []),
        ("duly_redis<0", ["0.1"], []),
        ("dulyfully>=99", ["0.1"], []),
        ("attrs>=99", ["0.1"], []),
        ("", ["0.1"], []),
    ],
)  # fmt: skip
def test_a_requirement(requirement: str, met_by: list[str], not_met_by: list[str]) -> None:
    for version in met_by:
        assert unmet([requirement], version) is None, version
    for version in not_met_by:
        assert unmet(["attrs", requirement], version) == requirement, version
