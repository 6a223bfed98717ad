"""The bytes of MQTT: numbers, packets in pieces, and nonsense."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duly_mqtt.answers import Answer, Kind, Splitter, answer_of, goodbye_of, welcome_of
from duly_mqtt.packets import connect, disconnect, publish, pubrel, repeated
from duly_mqtt.properties import MalformedPacketError, Property, packed, string, unpacked, variable
from duly_mqtt.unconfirmed import Flights


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"),
        (2_097_151, "ffff7f"), (2_097_152, "80808001"), (268_435_455, "ffffff7f"),
    ],
)  # fmt: skip
def test_lengths_as_the_specification_lists_them(number: int, written: str):
    assert variable(number).hex() == written


def test_what_mqtt_cannot_carry():
    with pytest.raises(MalformedPacketError):
        variable(268_435_456)
    with pytest.raises(MalformedPacketError):
        string("ß" * 32_768)
    assert len(string("x" * 65_535)) == 65_537


class TestPackets:
    """As the specification writes them."""

    def test_connect(self):
        bare = connect("3.1.1", client_id="id", username=None, password=None, keepalive=10,
                       clean=True, session=0)  # fmt: skip
        assert bare == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x02id"
        full = connect("5", client_id="id", username="u", password="p", keepalive=0, clean=False,
                       session=1)  # fmt: skip
        properties = b"\x05\x11\x00\x00\x00\x01"
        assert (
            full
            == b"\x10\x1a\x00\x04MQTT\x05\xc0\x00\x00"
            + properties
            + b"\x00\x02id\x00\x01u\x00\x01p"
        )

    def test_publish(self):
        once = publish("a/b", b"x", id=10, qos=1, retain=False, properties=b"\x00")
        assert once == b"\x32\x09\x00\x03a/b\x00\x0a\x00x"
        assert repeated(once) == b"\x3a" + once[1:]
        assert publish("a", b"", id=9, qos=0, retain=True, properties=b"") == b"\x31\x03\x00\x01a"
        assert publish("a", b"", id=9, qos=2, retain=False, properties=b"")[0] == 0x34

    def test_the_others(self):
        assert pubrel(258) == b"\x62\x02\x01\x02"
        assert disconnect("5", session=False) == disconnect("3.1.1", session=True) == b"\xe0\x00"
        assert disconnect("5", session=True) == b"\xe0\x07\x00\x05\x11\x00\x00\x00\x00"


class TestPieces:
    stream = b"\x20\x03\x00\x00\x00\x40\x02\x00\x01\x50\x81\x01\x00\x02" + bytes(127) + b"\xd0\x00"

    @given(st.lists(st.integers(1, 40)))
    def test_packets_come_whole_however_they_come(self, sizes: list[int]):
        splitter, place = Splitter(), 0
        found: list[tuple[Kind, bytes]] = []
        for size in [*sizes, len(self.stream)]:
            found += splitter.feed(self.stream[place : place + size])
            place += size
        assert [kind for kind, _ in found] == [
            Kind.CONNACK,
            Kind.PUBACK,
            Kind.PUBREC,
            Kind.PINGRESP,
        ]
        assert [len(content) for _, content in found] == [3, 2, 129, 0]

    @given(st.binary(max_size=200))
    def test_nonsense_is_refused_or_waited_for(self, data: bytes):
        try:
            packets = [*Splitter().feed(data)]
        except MalformedPacketError:
            return
        assert sum(len(content) + 2 for _, content in packets) <= len(data)

    @given(st.binary(max_size=60))
    def test_so_is_nonsense_in_packets(self, content: bytes):
        for read in (answer_of, goodbye_of, unpacked, lambda data: welcome_of(data, "5")):
            with contextlib.suppress(MalformedPacketError):
                read(content)


@given(
    st.dictionaries(st.sampled_from([Property.MESSAGE_EXPIRY, Property.RECEIVE_MAXIMUM]),
                    st.integers(0, 65_535)),
    st.text(max_size=300).filter(lambda text: "\0" not in text),
    st.lists(st.tuples(st.text(max_size=50), st.text(max_size=50))),
)  # fmt: skip
def test_properties_are_read_as_they_were_written(
    numbers: dict[Property, int], text: str, user: list[tuple[str, str]]
):
    found = unpacked(packed(numbers, [(Property.REASON, text)], user))
    assert found == {**numbers, Property.REASON: text}


class TestNumbers:
    """Of packets: each is used by one message at a time."""

    async def test_they_go_round(self):
        flights, made = Flights(1), []

        def make(id: int) -> bytes:
            made.append(id)
            return b"\x32"

        flights.start("stays", make)
        for _ in range(65_536):
            flights.start("passes", make)
            assert flights.acknowledged(made[-1], Answer(0))
        assert made == [1, *range(2, 65_536), 2, 3]

    async def test_one_that_cannot_be_made_takes_none(self):
        flights = Flights(1)

        def make(id: int) -> bytes:
            raise MalformedPacketError("too large")

        with pytest.raises(MalformedPacketError):
            flights.start("a", make)
        assert len(flights) == 0


class TestWelcomes:
    @pytest.mark.parametrize("told", [b"\x21\x00\x00", b"\x27\x00\x00\x00\x00"])
    def test_a_limit_of_0_is_no_limit(self, told: bytes):
        """Nothing could be published, or everything would be too large."""
        with pytest.raises(MalformedPacketError, match="a limit of 0"):
            welcome_of(b"\x00\x00" + bytes((len(told),)) + told, "5")

    def test_a_refusal_of_mqtt_5_without_properties(self):
        assert welcome_of(b"\x00\x84", "5").answer.code == 0x84
        assert welcome_of(b"\x00\x01", "5").answer.code == 0x84
