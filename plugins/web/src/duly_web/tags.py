"""ETags: what tells that something has changed."""

import hashlib
from datetime import datetime

import msgspec
from starlette.requests import Request

from duly import Message
from duly_web.problems import Problem

__all__ = ["is_among", "message_tag", "see_unchanged", "tag_of"]


def tag_of(*parts: object) -> str:
    """An ETag of what does not change by itself as time goes by."""
    said = [each.isoformat() if isinstance(each, datetime) else each for each in parts]
    return f'"{hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:32]}"'


def message_tag(message: Message) -> str:
    """The ETag of a message."""
    return tag_of(
        message.delivery_id, message.state.value, message.next_attempt_at, message.scheduled_at,
        message.retry_count, message.postpone_count, message.occurrence_count, message.last_error,
        repr(message.recurrence),
    )  # fmt: skip


def is_among(tag: str, said: str) -> bool:
    """Whether a header as ``If-None-Match`` names it."""
    named = [each.strip().removeprefix("W/") for each in said.split(",")]
    return tag in named or "*" in named


def see_unchanged(request: Request, tag: str) -> None:
    """Refuse a change of what is not as it was read, where ``If-Match`` says how that was.

    Raises:
        Problem: it has changed since.
    """
    said = request.headers.get("if-match")
    if said is not None and not is_among(tag, said):
        raise Problem(412, "ChangedSince", "it is not as you read it: read it again")
