"""Asks JetStream about its streams: which take a message, and whether they keep it."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from duly.errors import TransportError

__all__ = ["Ask", "Look", "look_at", "streams_on"]


class Ask(Protocol):
    """Asks the server; None if it does not tell, since not every user has the right to ask."""

    def __call__(self, question: str, /, **said: str) -> Awaitable[Mapping[str, Any] | None]: ...


async def streams_on(ask: Ask, subject: str) -> Sequence[str] | None:
    """The streams of this account that listen on a subject; None if the server does not tell."""
    told = await ask("STREAM.NAMES", subject=subject)
    if told is None or "error" in told:
        return None
    return list(told.get("streams") or [])


class Look(NamedTuple):
    """The result of a check of a stream."""

    flaw: TransportError | None = None
    """Why it does not keep what is published to it."""

    passes: bool = False
    """Whether it may stop keeping messages, when it loses its last consumer."""


async def look_at(ask: Ask, stream: str, vacant: type[TransportError]) -> Look:
    """Whether a stream keeps what is published to it; ``vacant``: the error without consumers.

    It counts as sound if it does not exist (yet), or if the server does not tell.
    """
    told = await ask(f"STREAM.INFO.{stream}")
    if told is None or "config" not in told:
        return Look()
    if told["config"].get("no_ack"):
        return Look(TransportError(f"stream {stream} acknowledges nothing (no_ack): turn that off"))
    if told["config"].get("retention") != "interest":
        return Look()
    if told.get("state", {}).get("consumer_count"):
        return Look(passes=True)
    return Look(
        vacant(
            f"stream {stream} keeps only what a consumer is interested in, and has no consumer: "
            "make one, or choose another retention"
        )
    )
