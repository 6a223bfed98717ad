"""The resources of the API that pages ask, by their paths."""

from typing import Final

from duly_web.endpoints import Endpoint
from duly_web.resources import lists, messages, operations, scheduling

__all__ = ["resource"]

_ALL: Final[dict[tuple[str, str], Endpoint]] = {
    (each.method, each.path): each
    for part in (scheduling, lists, messages, operations)
    for each in part.ENDPOINTS
}


def resource(path: str, method: str = "GET") -> Endpoint:
    """The resource of that path and method."""
    return _ALL[method, path]
