"""Brokers of MQTT: Mosquitto, which speaks 5 and 3.1.1, and amqtt, which speaks 3.1.1 only."""

import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from tests.servers.finding import given, missing, served
from tests.servers.process import Server, program

HINT: Final = "install mosquitto"
STANDARD: Final = 1883
# On disk as soon as anything changes, and as many messages on their way as a client likes.
PERSISTENT: Final = (
    "persistence true",
    "autosave_on_changes true",
    "autosave_interval 1",
    "max_inflight_messages 0",
)


class Mosquitto(Server):
    """A Mosquitto of the tests' own that keeps nothing, unless its settings say otherwise.

    ``settings`` are lines of its configuration file, in which ``{folder}`` is its own.
    """

    def __init__(self, *settings: str, port: int | None = None) -> None:
        if program("mosquitto") is None:
            missing("mqtt", HINT)
        super().__init__(port)
        self._settings = settings

    @property
    def url(self) -> str:
        """Its address as a client wants it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        configuration = self.folder / "mosquitto.conf"
        known = "\n".join(self._settings).replace("{folder}", str(self.folder))
        anonymous = "" if "allow_anonymous" in known else "allow_anonymous true"
        configuration.write_text(
            f"listener {self.port} 127.0.0.1\n{anonymous}\nuser root\n"
            f"persistence_location {self.folder}/\n{known}\n"
        )
        return [program("mosquitto") or "mosquitto", "-c", configuration]


class Amqtt(Server):
    """An amqtt of the tests' own: pure Python, from its wheel."""

    def __init__(self) -> None:
        if find_spec("amqtt") is None:
            missing("mqtt", "install amqtt")
        super().__init__()

    @property
    def url(self) -> str:
        """Its address as a client wants it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        configuration = self.folder / "amqtt.yaml"
        configuration.write_text(
            f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
            "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n"
            "    allow_anonymous: true\n"
        )
        return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", configuration]


@pytest.fixture(scope="session")
def mqtt_url() -> Iterator[str]:
    """A broker of MQTT 5 to share with others: keep to topics of your own."""
    if url := given("mqtt"):
        yield url
    elif served(STANDARD):
        yield f"mqtt://127.0.0.1:{STANDARD}"
    else:
        with Mosquitto() as server:
            yield server.url


@pytest.fixture
def empty_mqtt() -> Iterator[str]:
    """The address of a broker that nobody else uses."""
    with Mosquitto() as server:
        yield server.url


@pytest.fixture(scope="session")
def old_mqtt() -> Iterator[str]:
    """A broker that knows no MQTT 5."""
    with Amqtt() as server:
        yield server.url
