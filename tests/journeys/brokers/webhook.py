"""Webhooks: the receiver is broker and consumer at once."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.journeys.brokers import Arrival, Broker
from tests.servers.process import Server

PROGRAM = Path(__file__).with_name("hook.py")


class HookServer(Server):
    """Accepts all it is sent."""

    @property
    def notes(self) -> Path:
        return self.folder / "requests"

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, PROGRAM, str(self.port), self.notes]


class WebhookBroker(Broker):
    """Accepts with 204; what it had accepted when it was killed is sent again, and noted again."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/hook?allow_private=true"

    def prepare(self) -> Server:
        return HookServer()

    async def arrivals(self) -> Sequence[Arrival]:
        notes = self.server.folder / "requests"
        if not notes.exists():
            return []
        lines = [json.loads(line) for line in notes.read_text().splitlines()]
        return [Arrival(id, name, int(attempt), body.encode()) for id, name, attempt, body in lines]
