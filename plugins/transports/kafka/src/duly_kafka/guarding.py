"""Stops a lost client: aiokafka would still send what has failed when the brokers are back."""

from collections.abc import Callable
from typing import Any

__all__ = ["guard"]


def guard(client: Any, lost: Callable[[], bool]) -> None:
    """Let a client send nothing once it is lost, not even what still waits for its connection.

    aiokafka asks whether a node is ready and sends at once if it is.
    """
    ready = client.ready

    async def ready_unless_lost(*args: Any, **options: Any) -> bool:
        return await ready(*args, **options) and not lost()

    client.ready = ready_unless_lost
