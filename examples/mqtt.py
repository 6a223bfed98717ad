"""Due messages for a device that is away, with MQTT: ``python examples/mqtt.py mqtt://localhost``.

It needs duly-mqtt and duly-sqlite; the device is aiomqtt. The broker keeps what comes while the
device is away, because it has a session there; what comes twice the device drops by delivery id.
"""

import asyncio
import sys
import tempfile
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import duly

NUMBER = 20
TOPIC = "examples/lights/#"


def device(server: str, *, expiry: int) -> aiomqtt.Client:
    """A connection of the device, whose session the broker keeps for so many seconds."""
    place = urlsplit(server)
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # it has no types
    session.SessionExpiryInterval = expiry
    return aiomqtt.Client(
        place.hostname or "localhost",
        place.port or 1883,
        identifier="examples-light-7",
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=session,
    )


async def obey(client: aiomqtt.Client) -> list[str]:
    """What the device is told to do, each once and in the order of its due time."""
    orders: list[tuple[str, str]] = []
    seen: set[str] = set()
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        headers = dict(message.properties.UserProperty)  # type: ignore[union-attr] # it is MQTT 5
        if (delivery := headers["duly-delivery-id"]) not in seen:
            seen.add(delivery)
            orders.append((headers["duly-scheduled-at"], message.payload.decode()))
        if len(orders) == NUMBER:
            break
    return [order for _, order in sorted(orders)]


async def main(server: str) -> None:
    async with device(server, expiry=600) as client:
        await client.subscribe(TOPIC, qos=1)  # and is gone

    transport = f"{server}?topic=examples/lights/{{event_name}}"
    with tempfile.TemporaryDirectory() as folder:
        async with duly.Scheduler(f"sqlite:///{folder}/orders.db", transport) as scheduler:
            for number in range(NUMBER):
                due = duly.after(seconds=0.2 + number / 1000)
                await scheduler.schedule(
                    duly.Message("light.7", b"level %d" % number, scheduled_at=due)
                )
            async with scheduler.running():
                while (stats := await scheduler.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # a client asks
                    await asyncio.sleep(0.05)
            assert not stats.dead

    async with device(server, expiry=0) as client:  # it is back
        orders = await obey(client)
    assert orders == [f"level {number}" for number in range(NUMBER)]
    print(f"{NUMBER} orders for a device that was away, each obeyed once when it came back")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "mqtt://localhost"))
