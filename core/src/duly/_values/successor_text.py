"""How what follows a series is kept beside its record: as a JSON object."""

import base64
import json
from types import MappingProxyType

from duly._values.recurrence_text import recurrence_of, recurrence_text
from duly._values.series import Successor
from duly.moment import from_microseconds, to_microseconds

__all__ = ["successor_of", "successor_text"]


def successor_text(successor: Successor) -> str:
    """The text of a successor; ``cut`` and ``at`` are microseconds since 1970 UTC."""
    return json.dumps(
        {
            "cut": to_microseconds(successor.cut),
            "at": None if successor.at is None else to_microseconds(successor.at),
            "event_name": successor.event_name,
            "payload": base64.b64encode(successor.payload).decode(),
            "metadata": dict(successor.metadata),
            "recurrence": recurrence_text(successor.recurrence),
        },
        ensure_ascii=False,
    )


def successor_of(text: str) -> Successor:
    """The successor of a text.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: it is none.
    """
    fields = json.loads(text)
    at = fields["at"]
    return Successor(
        cut=from_microseconds(fields["cut"]),
        at=None if at is None else from_microseconds(at),
        event_name=fields["event_name"],
        payload=base64.b64decode(fields["payload"]),
        metadata=MappingProxyType(dict(fields["metadata"])),
        recurrence=recurrence_of(fields["recurrence"]),
    )
