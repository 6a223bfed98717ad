"""What people do to what is stored: who does it, why, and what it is."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from duly.message import Filter

__all__ = ["Change", "Changing"]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Change:
    """What somebody is about to do to what is stored.

    ``action`` is the verb: "pause", "resume", "limit", "cancel", "reschedule", "fire", "replay",
    "purge" or "recover". ``target`` is the message id, the event name or prefix, or the instance
    that it is about, empty where ``filter`` says which messages. ``details`` are the verb's other
    arguments. ``by`` and ``reason`` are empty where nobody said. ``id`` is of this change alone.
    """

    action: str
    target: str = ""
    filter: Filter | None = None
    details: Mapping[str, Any] = _NOTHING
    by: str = ""
    reason: str = ""
    id: str = attrs.field(factory=lambda: str(uuid.uuid4()))


@attrs.define
class Changing:
    """How far a change is: counted by the verbs within its block, told to witnesses at its end.

    ``number`` messages are changed. ``outcome`` is a word for the end where that does not tell it,
    as "too late".
    """

    number: int = 0
    outcome: str = ""
