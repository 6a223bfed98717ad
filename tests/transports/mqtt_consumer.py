"""A consumer of MQTT for tests: aiomqtt, which comes back by itself and notes what it gets."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt
import attrs
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from duly.testing.transports import Received
from duly_mqtt import read


@attrs.frozen
class Arrival:
    """A message as it came, and what is to be told of it."""

    topic: str
    content_type: str | None
    retained: bool
    qos: int
    user: Sequence[tuple[str, str]]
    expiry: int | None
    told: Received


class _Client(aiomqtt.Client):
    """Takes down the mark of a repeat as well, of which messages do not tell."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.repeated = deque[bool]()  # of the messages that wait

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        self.repeated.append(message.dup)
        super()._on_message(client, userdata, message)


class Consumer:
    """Subscribes to all topics below a word.

    ``session``: the broker keeps what comes while it is away, for so many seconds. With QoS 1,
    because its client forgets what it had of a message with QoS 2 when a connection is lost. What
    the broker repeats because it forgot, when it died, that this subscriber had it is left out.

    The event name is the rest of the topic, or the property of that name where all messages go to
    one ``topic``.
    """

    def __init__(
        self, url: str, namespace: str, *, topic: str = "{event_name}", old: bool = False,
        session: int = 0,
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 1883
        self._filter = f"{namespace}/#"
        self._prefix = f"{namespace}/"
        self.topic = f"{namespace}/{topic}"
        self._qos = 1 if session else 2
        self._more: dict[str, Any] = {}
        if not old:
            kept = Properties(PacketTypes.CONNECT)
            kept.SessionExpiryInterval = session
            self._more = {
                "protocol": aiomqtt.ProtocolVersion.V5, "identifier": f"consumer-{namespace}-{id(self)}",
                "clean_start": not session, "properties": kept,
            }  # fmt: skip
        self.arrivals: list[Arrival] = []
        self._subscribed = threading.Event()
        self._task: asyncio.Task[None] | None = None
        # Apart from the event loop of the test, whose tasks are counted.
        self._thread = threading.Thread(
            target=asyncio.run, args=[self._until_stopped()], daemon=True
        )

    async def start(self) -> None:
        self._thread.start()
        await self.subscribed()

    async def subscribed(self) -> None:
        """Return when it is there, also for a second time."""
        assert await asyncio.to_thread(self._subscribed.wait, 20)

    def gone(self) -> None:
        """Its broker is about to be taken away."""
        self._subscribed.clear()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        await asyncio.to_thread(self._thread.join)

    async def wait_for(self, number: int) -> Sequence[Arrival]:
        while len(self.arrivals) < number:  # noqa: ASYNC110  # they come from another thread
            await asyncio.sleep(0.005)
        return list(self.arrivals)

    async def _until_stopped(self) -> None:
        self._task = asyncio.current_task()
        with contextlib.suppress(asyncio.CancelledError):
            await self._run()

    async def _run(self) -> None:
        while True:
            try:
                async with _Client(self._host, self._port, **self._more) as client:
                    await client.subscribe(self._filter, qos=self._qos)
                    self._subscribed.set()
                    async for message in client.messages:
                        self._note(message, repeated=client.repeated.popleft())
            except aiomqtt.MqttError:
                await asyncio.sleep(0.02)

    def _note(self, message: aiomqtt.Message, *, repeated: bool) -> None:
        properties = message.properties
        user = getattr(properties, "UserProperty", [])
        headers = {unquote(name): unquote(value) for name, value in user}
        topic = str(message.topic)
        name = unquote(topic.removeprefix(self._prefix))
        if topic == self.topic:
            name = headers.pop("event_name", name)
        payload = message.payload
        assert isinstance(payload, bytes | bytearray)
        told = Received(
            event_name=name,
            payload=bytes(payload),
            headers=headers,
            envelope=read(message, topic=self.topic) if user else None,  # 3.1.1 has no properties
        )
        arrival = Arrival(
            topic, getattr(properties, "ContentType", None), message.retain, message.qos, user,
            getattr(properties, "MessageExpiryInterval", None), told,
        )  # fmt: skip
        if not (repeated and arrival in self.arrivals):
            self.arrivals.append(arrival)
