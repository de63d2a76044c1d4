"""The MQTT 5 codec: what it writes it reads back, and no bytes can surprise it."""

import contextlib
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.demo.mqtt_codec import PacketReader, parse
from edge_agent.demo.mqtt_packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from edge_agent.demo.mqtt_properties import NO_PROPERTIES, Kind, Properties, Where
from edge_agent.demo.mqtt_wire import Cursor, ProtocolError, ReasonCode, scan_varint, varint
from edge_agent.demo.topics import is_topic_filter, topic_matches

LIMIT = 1 << 20

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = texts.filter(lambda name: bool(name) and not set(name) & set("+#"))
blobs = st.binary(max_size=30)
packet_ids = st.integers(1, 0xFFFF)
reasons = st.sampled_from(ReasonCode)
KINDS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.FLAG: st.booleans(),
    Kind.U16: st.integers(1, 0xFFFF),
    Kind.U32: st.integers(1, 0xFFFFFFFF),
    Kind.VARINT: st.integers(1, 268_435_455),
    Kind.TEXT: texts,
    Kind.BINARY: blobs,
    Kind.PAIR: st.tuples(texts, texts),
}


def properties(where: Where) -> st.SearchStrategy[Properties]:
    """Any properties that a packet of this kind may carry."""
    allowed: dict[str, st.SearchStrategy[Any]] = {}
    for declared in fields(Properties):
        if declared.metadata["where"] & where:
            one = KINDS[declared.metadata["kind"]]
            many = declared.metadata["many"]
            allowed[declared.name] = st.lists(one, max_size=3).map(tuple) if many else st.none() | one
    listed: st.SearchStrategy[Properties] = st.builds(Properties, **allowed)
    return st.just(NO_PROPERTIES) | listed


wills = st.builds(
    Will, topic=names, payload=blobs, qos=st.integers(0, 2), retain=st.booleans(), properties=properties(Where.WILL)
)
subscriptions = st.builds(Subscription, texts, st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 2))
packets: st.SearchStrategy[Packet] = st.one_of(
    st.builds(
        Connect,
        client_id=texts,
        clean_start=st.booleans(),
        keep_alive=st.integers(0, 0xFFFF),
        user_name=st.none() | texts,
        password=st.none() | blobs,
        will=st.none() | wills,
        properties=properties(Where.CONNECT),
    ),
    st.builds(Connack, reasons, st.booleans(), properties(Where.CONNACK)),
    st.builds(Publish, names, blobs, st.just(0), st.booleans(), properties=properties(Where.PUBLISH)),
    st.builds(
        Publish, names, blobs, st.integers(1, 2), st.booleans(), packet_ids, st.booleans(), properties(Where.PUBLISH)
    ),
    st.builds(Puback, packet_ids, reasons, properties(Where.PUBACK)),
    st.builds(
        Subscribe, packet_ids, st.lists(subscriptions, min_size=1, max_size=3).map(tuple), properties(Where.SUBSCRIBE)
    ),
    st.builds(Suback, packet_ids, st.lists(reasons, min_size=1, max_size=3).map(tuple), properties(Where.SUBACK)),
    st.builds(Unsubscribe, packet_ids, st.lists(texts, min_size=1).map(tuple), properties(Where.UNSUBSCRIBE)),
    st.builds(Unsuback, packet_ids, st.lists(reasons, min_size=1).map(tuple), properties(Where.UNSUBACK)),
    st.builds(Pingreq),
    st.builds(Pingresp),
    st.builds(Disconnect, reasons, properties(Where.DISCONNECT)),
)


def read_all(data: bytes, chunk: int = LIMIT) -> list[Packet]:
    """Every packet in `data`, fed in pieces of `chunk` bytes."""
    reader, found = PacketReader(LIMIT), []
    for start in range(0, len(data), chunk):
        reader.feed(data[start : start + chunk])
        while (packet := reader.next_packet()) is not None:
            found.append(packet)
    return found


@given(st.lists(packets, max_size=4), st.sampled_from([1, 2, 7, LIMIT]))
def test_round_trip(sent: list[Packet], chunk: int) -> None:
    """Packets come back equal, however the stream is cut."""
    assert read_all(b"".join(packet.to_bytes() for packet in sent), chunk) == sent


@given(st.binary(max_size=200))
@example(b"\x10\xff\xff\xff\xff\x01")
@example(b"\xf0\x00")
def test_any_bytes(data: bytes) -> None:
    """Arbitrary bytes give packets or a ProtocolError, nothing else."""
    with contextlib.suppress(ProtocolError):
        read_all(data)


@given(packets, st.data())
def test_any_damage(packet: Packet, data: st.DataObject) -> None:
    """A packet with one byte changed gives packets or a ProtocolError, nothing else."""
    damaged = bytearray(packet.to_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        read_all(bytes(damaged))


@given(st.integers(0, 15), st.binary(max_size=60))
def test_any_body(kind: int, body: bytes) -> None:
    """Every packet type meets every body without any other exception than ProtocolError."""
    for flags in (0, 2, 3):
        with contextlib.suppress(ProtocolError):
            parse(kind << 4 | flags, body)


# Written by hand from chapter 3 of the standard, a space between fields.
BYTES = [
    ("10 11 00044D515454 05 02 003C 03 210014 000161", Connect("a", properties=Properties(receive_maximum=20))),
    ("20 05 00 00 02 2401", Connack(properties=Properties(maximum_qos=1))),
    (
        "32 0D 000161 0007 05 0200015180 6869",
        Publish("a", b"hi", 1, packet_id=7, properties=Properties(message_expiry_interval=86_400)),
    ),
    ("40 02 0007", Puback(7)),
    ("40 03 0007 97", Puback(7, ReasonCode.QUOTA_EXCEEDED)),
    ("82 08 0001 00 0002612F 01", Subscribe(1, (Subscription("a/", 1),))),
    ("90 04 0001 00 01", Suback(1, (ReasonCode.GRANTED_QOS_1,))),
    ("A2 06 0001 00 000161", Unsubscribe(1, ("a",))),
    ("B0 04 0001 00 11", Unsuback(1, (ReasonCode.NO_SUBSCRIPTION_EXISTED,))),
    ("C0 00", Pingreq()),
    ("D0 00", Pingresp()),
    ("E0 00", Disconnect()),
    ("E0 01 8E", Disconnect(ReasonCode.SESSION_TAKEN_OVER)),
]


@pytest.mark.parametrize(("wire", "packet"), BYTES)
def test_bytes_of_the_standard(wire: str, packet: Packet) -> None:
    """Packets look on the wire as the standard draws them, both ways."""
    assert packet.to_bytes() == bytes.fromhex(wire)
    assert read_all(bytes.fromhex(wire)) == [packet]


REFUSED = {
    "version 3.1.1": ("10 0D 00044D515454 04 02 003C 000161", ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
    "version 3.1": ("10 0F 00064D5149736470 03 02 003C 000161", ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
    "reserved connect flag": ("10 11 00044D515454 05 03 003C 03 210014 000161", ReasonCode.MALFORMED_PACKET),
    "will QoS without will": ("10 0E 00044D515454 05 08 003C 00 000161", ReasonCode.MALFORMED_PACKET),
    "receive maximum 0": ("10 11 00044D515454 05 02 003C 03 210000 000161", ReasonCode.PROTOCOL_ERROR),
    "QoS 3": ("36 06 000161 0001 00", ReasonCode.MALFORMED_PACKET),
    "duplicate of QoS 0": ("38 04 000161 00", ReasonCode.MALFORMED_PACKET),
    "packet identifier 0": ("32 06 000161 0000 00", ReasonCode.PROTOCOL_ERROR),
    "wildcard in a topic": ("30 04 00012B 00", ReasonCode.TOPIC_NAME_INVALID),
    "no topic, no alias": ("30 03 0000 00", ReasonCode.TOPIC_NAME_INVALID),
    "property twice": ("30 0E 000161 0A 0200000001 0200000001", ReasonCode.PROTOCOL_ERROR),
    "property of another packet": ("30 07 000161 03 210014", ReasonCode.PROTOCOL_ERROR),
    "unknown property": ("30 06 000161 02 7F00", ReasonCode.PROTOCOL_ERROR),
    "flag of 2": ("30 06 000161 02 0102", ReasonCode.PROTOCOL_ERROR),
    "property list too long": ("30 04 000161 09", ReasonCode.MALFORMED_PACKET),
    "not UTF-8": ("30 04 0001FF 00", ReasonCode.MALFORMED_PACKET),
    "U+0000": ("30 04 000100 00", ReasonCode.MALFORMED_PACKET),
    "surrogate": ("30 06 0003EDA080 00", ReasonCode.MALFORMED_PACKET),
    "subscribe to nothing": ("82 03 0001 00", ReasonCode.PROTOCOL_ERROR),
    "subscribe flags": ("80 08 0001 00 0002612F 01", ReasonCode.MALFORMED_PACKET),
    "subscription options": ("82 08 0001 00 0002612F 30", ReasonCode.MALFORMED_PACKET),
    "unknown reason code": ("40 03 0007 42", ReasonCode.MALFORMED_PACKET),
    "bytes left over": ("C0 01 00", ReasonCode.MALFORMED_PACKET),
    "length of five bytes": ("30 FFFFFFFF01", ReasonCode.MALFORMED_PACKET),
    "length with a leading zero": ("30 8000", ReasonCode.MALFORMED_PACKET),
    "PUBREL of QoS 2": ("62 02 0001", ReasonCode.PROTOCOL_ERROR),
    "AUTH": ("F0 00", ReasonCode.PROTOCOL_ERROR),
    "256 MB announced": ("30 FFFFFF7F", ReasonCode.PACKET_TOO_LARGE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """What the standard forbids is refused with the reason it names, and refused again when asked again."""
    wire, reason = REFUSED[case]
    reader = PacketReader(LIMIT)
    reader.feed(Pingreq().to_bytes() + bytes.fromhex(wire))
    assert reader.next_packet() == Pingreq()
    for _ in range(2):
        with pytest.raises(ProtocolError) as refusal:
            reader.next_packet()
        assert refusal.value.reason is reason


@given(st.integers(0, 268_435_455), st.binary(max_size=3))
def test_varint_round_trip(value: int, behind: bytes) -> None:
    """A variable byte integer reads back in any surroundings; cut short it is incomplete, not an error."""
    encoded = varint(value)
    assert scan_varint(b"\xff" + encoded + behind, 1) == (value, 1 + len(encoded))
    assert scan_varint(encoded[:-1], 0) is None


@pytest.mark.parametrize("build", [lambda: varint(268_435_456), lambda: Publish("x" * 70_000).to_bytes()])
def test_unsendable(build: Callable[[], bytes]) -> None:
    """What no packet can carry is refused when it is built."""
    with pytest.raises(ValueError, match="fit"):
        build()


def test_cursor_shortage_is_malformed() -> None:
    """Every field that ends early is a malformed packet."""
    for read in (Cursor.u8, Cursor.u16, Cursor.u32, Cursor.varint, Cursor.text, Cursor.binary, Cursor.pair):
        with pytest.raises(ProtocolError) as refusal:
            read(Cursor(b""))
        assert refusal.value.reason is ReasonCode.MALFORMED_PACKET


MATCHES = [
    ("a/b", "a/b", True),
    ("a/b", "a/c", False),
    ("a/+", "a/b", True),
    ("a/+", "a/b/c", False),
    ("a/+/c", "a//c", True),
    ("+", "/a", False),
    ("+/+", "/a", True),
    ("a/#", "a", True),
    ("a/#", "a/b/c", True),
    ("a/#", "ab", False),
    ("#", "a/b", True),
    ("#", "$SYS/x", False),
    ("+/x", "$SYS/x", False),
    ("$SYS/#", "$SYS/x", True),
    ("a", "A", False),
]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES)
def test_topic_matches(topic_filter: str, topic: str, expected: bool) -> None:
    """Wildcards match as chapter 4.7 says."""
    assert is_topic_filter(topic_filter)
    assert topic_matches(topic_filter, topic) is expected


@pytest.mark.parametrize("topic_filter", ["", "#/a", "a#", "a+", "+a/b", "a/#/b", "##"])
def test_not_a_filter(topic_filter: str) -> None:
    """A wildcard beside other characters, or `#` before the end, makes no filter."""
    assert not is_topic_filter(topic_filter)
