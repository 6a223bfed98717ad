"""The webhook transport is held to the contract, with a real HTTP server as receiver."""

from collections.abc import Sequence

from tests.transports.webhook_receiver import Receiver

from duly.testing import Gate
from duly.testing.transports import HeaderCases, ReadingCases, Received, TransportSuite
from duly.testing.transports.abilities import RefusalCases
from duly.testing.transports.bench import Bench
from duly.transport import Envelope, Transport
from duly_webhook.plugin import transport_from_url

PASSWORD = "the-password-of-the-hook"
SECRET = "whsec_dGhlLXNlY3JldC1vZi1vdXItb3duLWhvb2stMQ=="


class WebhookCases(RefusalCases, ReadingCases, HeaderCases, TransportSuite):
    """Every case but those for receipts of their own, batches and brokers that deduplicate."""

    any_event_name = True
    secrets = (PASSWORD, SECRET)
    options = ""

    async def listen(self) -> None:
        self.receiver = Receiver()
        await self.receiver.start()

    async def drop(self) -> None:
        await self.receiver.stop()

    async def make_transport(self) -> Transport:
        return transport_from_url(
            f"http://user:{PASSWORD}@127.0.0.1:{self.gate.port}/{self.namespace}"
            f"/{{event_name}}?allow_private=true&secret={SECRET}{self.options}"
        )

    async def received(self, number: int) -> Sequence[Received]:
        return [each.told for each in await self.receiver.wait_for(number)]

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"unacceptable")

    def make_gate(self) -> Gate:
        return Gate(self.receiver.port)


class TestWebhook(WebhookCases):
    pass


class TestStructuredWebhook(WebhookCases):
    options = "&mode=structured"
