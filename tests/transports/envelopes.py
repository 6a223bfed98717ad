"""An envelope for tests that do without a bench."""

from duly.testing.clock import START
from duly.transport import Envelope, Transport

NAME = "orders.reminder"


def envelope(
    event_name: str = NAME, payload: bytes = b"payload", delivery_id: str = "a:1:0"
) -> Envelope:
    return Envelope(
        message_id="a",
        event_name=event_name,
        payload=payload,
        scheduled_at=START,
        delivery_id=delivery_id,
    )


async def twice(transport: Transport, told: Envelope) -> None:
    """Publish, close and publish again, so that what was closed is made anew."""
    for _ in range(2):
        await transport.open()
        assert await transport.publish(told) is None
        await transport.close()
