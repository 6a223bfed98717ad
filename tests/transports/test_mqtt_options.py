"""What a URL of MQTT may say, and what it shows."""

import traceback
from datetime import timedelta
from typing import Any

import pytest

from duly import InvalidArgument
from duly_mqtt import Broker
from duly_mqtt.plugin import transport_from_url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mqtt://h?qos=3", "0, 1 or 2"),
        ("mqtt://h?unmatched=perhaps", "fail or accept"),
        ("mqtt://h?expiry=0.5", "whole seconds"),
        ("mqtt://h?expiry=99999999999", "expiry"),
        ("mqtt://h?version=4", "5 or 3.1.1"),
        ("mqtt://h?version=3.1.1&session=5", "takes MQTT 5"),
        ("mqtt://h?inflight=0", "1 to 65535"),
        ("mqtt://h?inflight=65536", "1 to 65535"),
        ("mqtt://h?keepalive=70000", "keepalive"),
        ("mqtt://h?keepalive=1.5", "keepalive"),
        ("mqtt://h?session=-1", "session"),
        ("mqtt://h?timeout=0", "timeout"),
        ("mqtt://h?client_id=", "client_id"),
        ("mqtt://h?client_id=a%00", "client_id"),
        (f"mqtt://u:{'x' * 70_000}@h", "password"),
        ("mqtt://h/topic", r"write \?topic=topic"),
        ("mqtt://", "host"),
        ("mqtt://:1883", "host"),
        ("mqtt://h?topik=x", "unknown option 'topik'; known: client_id"),
        ("mqtt://h?tls_ca=x", "without tls=true"),
        ("mqtts://h?tls=false", "tls=false"),
        ("mqtts://h?tls_ca=/nowhere", "no file /nowhere"),
    ],
)
def test_what_cannot_be(url: str, said: str):
    with pytest.raises(InvalidArgument, match=said) as told:
        transport_from_url(url)
    assert "xxxxx" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://h", "mqtt://h:1883"),
        ("mqtts://u:secret@h", "mqtts://h:8883"),
        ("mqtt://h?tls=true", "mqtts://h:8883"),
        ("mqtt://a:1,b,[::1]:7/", "mqtt://a:1,b:1883,[::1]:7"),
    ],
)
def test_what_it_shows(url: str, shown: str):
    told = repr(transport_from_url(url))
    assert told == f"MqttTransport({shown}, Template('{{event_name}}'))"


def test_a_client_has_an_id_of_its_own_that_every_broker_takes():
    ids = {transport_from_url("mqtt://h")._dialer._client_id for _ in range(10)}
    assert len(ids) == 10
    assert all(1 <= len(each) <= 23 and each.isalnum() for each in ids)


@pytest.mark.parametrize("name", ["client_id", "username", "password"])
def test_text_that_cannot_be_encoded_is_refused_untold(name: str):
    given: dict[str, Any] = {name: "geheim\ud800"}
    with pytest.raises(InvalidArgument, match=f"{name}: .*UTF-8") as told:
        Broker(**given)
    assert "geheim" not in "".join(traceback.format_exception(told.value))


def test_a_broker_keeps_its_password_to_itself():
    assert "geheim" not in repr(Broker(username="u", password="geheim"))


def test_by_hand():
    broker = Broker(hosts=(("a", None), ("b", 7)), keepalive=timedelta(minutes=1))
    assert broker.places == (("a", 1883), ("b", 7))
