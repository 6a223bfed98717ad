"""How deep JSON may be nested, the same for writing and reading, in whatever process."""

import re
from typing import Final

__all__ = ["too_deep"]

_DEEPEST: Final = 100  # levels; each takes some frames of Python's stack, of which there are 1,000
# Strings, of which one may lack its end, and brackets. Nothing is ever looked at twice.
_PARTS: Final = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_STEPS: Final = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def too_deep(data: bytes) -> bool:
    """Whether arrays and objects in JSON stand in one another more than 100 deep."""
    if data.count(b"[") + data.count(b"{") <= _DEEPEST:
        return False
    depth = 0
    for found in _PARTS.finditer(data):
        depth += _STEPS.get(found[0], 0)
        if depth > _DEEPEST:
            return True
    return False
