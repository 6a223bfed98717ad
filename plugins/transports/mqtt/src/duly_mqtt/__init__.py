"""The MQTT transport of duly: due messages published with MQTT 5 or 3.1.1."""

from duly_mqtt.reading import read
from duly_mqtt.server import Broker
from duly_mqtt.transport import MqttTransport

__all__ = ["Broker", "MqttTransport", "read"]
