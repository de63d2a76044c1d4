"""OSDP readers: packets both ways, a secure channel or nothing, every card once, no number and no digit anywhere."""

import importlib
import os
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.osdp import DECODERS, DRIVER, Options, Simulator, codec, meanings, session
from drivers.osdp.library import load_key, load_library
from drivers.osdp.panel import SecureChannelError
from drivers.wiegand.codec import encode as wiegand
from edge_agent.cards import CardKey
from edge_agent.clock import FakeClock, SystemClock
from edge_agent.driver import Capture, DeviceError, Event, LinkTimeout, Reading, Record, Site
from edge_agent.links import hostile
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.serial import SerialSettings, open_serial, timing_for
from edge_agent.links.simulated import SimulatedPort
from tests.drivers import vectors

KEY = CardKey("test", b"a secret of the tests, 32 bytes..")
SCBK = bytes(range(16)).hex()
CARD = wiegand(0x8EC793, "w26")
VECTORS = vectors.of_driver("osdp")
SOON = 10.0
"""Deadline (s) of what takes some 50 ms of libosdp's own time."""
needs_libosdp = pytest.mark.needs("libosdp")


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    """The file of a key."""
    return write_key(tmp_path / "reader.key", SCBK)


def write_key(path: Path, text: str, mode: int = 0o600) -> str:
    """Write a file that only its owner can read."""
    path.touch()
    path.chmod(mode | 0o200)
    path.write_text(text)
    return str(path)


class Bench:
    """A driver and libosdp's peripheral, on a fake clock but for libosdp's own 50 ms between polls."""

    def __init__(self, key_file: str, **options: Any) -> None:
        self.options = Options.model_validate({"address": 5, "key_file": key_file} | options)
        self.simulator = Simulator(self.options, Site())
        self.clock = FakeClock()
        self.wire = hostile.Wire(SimulatedPort([self.simulator], self.clock))
        self.link = ByteLink("rs485", lambda: self.wire, self.clock)
        self.link.open()
        self.driver = DRIVER(self.options, Site(KEY))

    def poll(self) -> list[Record]:
        """Poll once."""
        return list(self.driver.poll(self.link))

    def hear(self, count: int) -> list[Record]:
        """Poll until `count` records other than the usual three were told."""
        heard: list[Record] = []
        deadline = time.monotonic() + SOON
        while len(heard) < count:
            assert time.monotonic() < deadline, heard
            heard += self.poll()[3:]
            threading.Event().wait(0.005)
        return heard


# ---- packets: no library needed


def explain(vector: vectors.Vector) -> dict[str, Any]:
    """What the decoder of the vector's protocol says."""
    options = {"cp_random_hex": vector.decoded.get("cp_random_hex", "")}
    capture = Capture(vector.frame, vector.direction, vector.extra.get("kind", vector.kind), options=options)
    return DECODERS[vector.extra["protocol"]](capture)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_both_ways(vector: vectors.Vector) -> None:
    """Every captured packet means what its source says, and its parts make the same bytes again."""
    if not vector.valid:
        with pytest.raises(DeviceError):
            explain(vector)
        return
    assert {name: explain(vector)[name] for name in vector.decoded} == vector.decoded
    if vector.kind == "frame":
        packet = codec.decode(vector.frame)
        assert codec.encode(packet, mark=vector.frame[0] == codec.MARK) == vector.frame


packets = st.builds(
    codec.Packet,
    address=st.integers(0, 127),
    reply=st.booleans(),
    sequence=st.integers(0, 3),
    crc=st.booleans(),
    code=st.integers(0, 255),
    data=st.binary(max_size=40),
) | st.builds(
    codec.Packet,
    address=st.integers(0, 127),
    reply=st.booleans(),
    sequence=st.integers(0, 3),
    crc=st.just(True),
    code=st.integers(0, 255),
    data=st.binary(max_size=40),
    security=st.sampled_from([0x15, 0x16, 0x17, 0x18]),
    mac=st.binary(min_size=4, max_size=4),
)


@given(packets, st.booleans())
def test_packets_round_trip(packet: codec.Packet, mark: bool) -> None:
    """What is encoded is decoded to the same, with and without the mark."""
    frame = codec.encode(packet, mark=mark)
    assert codec.decode(frame) == packet
    assert [found for found, _ in codec.find(b"\x00\x53" + frame + frame[:4])] == [packet]


@given(packets, st.data())
def test_one_flipped_bit_is_refused(packet: codec.Packet, data: st.DataObject) -> None:
    """No single wrong bit of a packet makes another packet."""
    frame = bytearray(codec.encode(packet, mark=False))
    position = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[position // 8] ^= 1 << position % 8
    with pytest.raises(DeviceError) as caught:
        codec.decode(bytes(frame))
    assert caught.value.raw == b""


@given(st.binary(max_size=60), st.sampled_from(["", "stream", "key-derivation"]))
def test_any_bytes_are_a_meaning_or_an_error(data: bytes, kind: str) -> None:
    """No bytes at all raise anything but DeviceError."""
    for decoder in DECODERS.values():
        for request in (None, data):
            try:
                assert decoder(Capture(data, kind=kind, request=request))
            except DeviceError as error:
                assert str(error)  # noqa: PT017  (either outcome is right)


@given(st.integers(0, 255), st.binary(max_size=40))
def test_any_data_have_a_meaning_or_an_error(code: int, data: bytes) -> None:
    """Data of any length under any code are explained or refused."""
    for meaning in (meanings.command, meanings.reply):
        try:
            assert isinstance(meaning(code, data), dict)
        except DeviceError as error:
            assert any(word in str(error) for word in ("few", "say", "threes", "no time"))  # noqa: PT017


@pytest.mark.parametrize(
    ("reply", "code", "data", "expected"),
    [
        (True, 0x48, "0100", {"tamper": True, "power_fault": False}),
        (True, 0x49, "000102", {"inputs": [0, 1, 2]}),
        (True, 0x51, "0001033132 33", {"reader": 0, "direction": 1, "digit_count": 3, "text": "123"}),
        (True, 0x51, "00010331", "not as long"),
        (True, 0x50, "00011a00cd22", "not as long"),
        (True, 0x46, "01010203", "threes"),
        (True, 0x41, "", "too few"),
        (True, 0x53, "000331", "not as many"),
        (True, 0x78, "00" * 16, {"rmac_i_hex": "00" * 16}),
        (False, 0x6B, "000100000005 7465", "not as long"),
        (False, 0x6D, "e3070d1d101112", "no time"),
        (False, 0x69, "00 01", {"payload_hex": "0001"}),
        (False, 0x60, "", {}),
        (False, 0xEE, "", {}),
    ],
)
def test_what_data_mean(reply: bool, code: int, data: str, expected: dict[str, Any] | str) -> None:
    """Replies and commands beyond the vectors; lengths that do not fit are refused."""
    meaning = meanings.reply if reply else meanings.command
    if isinstance(expected, dict):
        assert meaning(code, bytes.fromhex(data)) == expected
        return
    with pytest.raises(DeviceError, match=expected):
        meaning(code, bytes.fromhex(data))


def test_session_keys_need_both_parts() -> None:
    """Without the panel's random, or with a key of another length, nothing is derived."""
    derive = DECODERS["osdp_secure_channel"]
    for data, options in (
        (bytes(16), {}),
        (bytes(15), {"cp_random_hex": "00" * 8}),
        (bytes(16), {"cp_random_hex": "x"}),
    ):
        with pytest.raises(DeviceError, match="cp_random_hex"):
            derive(Capture(data, kind="key-derivation", options=options))
    assert (
        derive(Capture(codec.encode(codec.Packet(0, reply=False, sequence=0, crc=True, code=0x60))))["name"] == "POLL"
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not the length"),
        (bytes.fromhex("53 05 07 00 08 00"), "security block"),
        (bytes.fromhex("53 05 0b 00 08 09 15 60 00"), "security block"),
        (bytes.fromhex("53 05 0b 00 08 02 15 00 00 00"), "no room for its MAC"),
        (bytes.fromhex("53 05 0a 00 08 04 11 00 00"), "security block"),
    ],
)
def test_packets_that_do_not_fit_are_refused(body: bytes, why: str) -> None:
    """A good checksum does not save a packet whose parts do not fit."""
    head = bytearray(body or bytes.fromhex("53 05 ff 00 00 60"))
    if body:
        head[2] = len(head) + 1
    with pytest.raises(DeviceError, match=why):
        codec.decode(bytes(head) + bytes((codec.checksum(bytes(head)),)))


def test_a_capture_of_another_address_is_no_answer() -> None:
    """With the request given, a reply of another reader is refused."""
    poll = codec.encode(codec.Packet(5, reply=False, sequence=1, crc=True, code=0x60))
    mine = codec.encode(codec.Packet(5, reply=True, sequence=1, crc=True, code=0x40))
    other = codec.encode(codec.Packet(6, reply=True, sequence=1, crc=True, code=0x40))
    assert DECODERS["osdp"](Capture(mine, request=poll))["name"] == "ACK"
    with pytest.raises(DeviceError, match="another address"):
        DECODERS["osdp"](Capture(other, request=poll))
    stream = Capture(b"\xff\x00" + poll + b"\x53" + mine, kind="stream")
    told: dict[str, Any] = DECODERS["osdp"](stream)
    assert (told["frames"], told["name"], told["others"][0]["name"], told["noise_bytes"]) == (2, "POLL", "ACK", 5)


def test_encrypted_data_are_not_explained() -> None:
    """Of an encrypted reply only what stands in the clear is told."""
    captured = bytes.fromhex("53851e000d02185077f4e0287c86b3a7e3b8eb44387172b0ab6962d9391f")
    meaning = DECODERS["osdp"](Capture(captured))
    assert (meaning["name"], meaning["security_block"], meaning["mac_hex"]) == ("RAW", 0x18, "ab6962d9")
    assert "card_data_hex" not in meaning


def test_aes_is_that_of_the_standard() -> None:
    """The example of FIPS 197, appendix B."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    block = bytes.fromhex("3243f6a8885a308d313198a2e0370734")
    assert session.encrypt(key, block).hex() == "3925841d02dc09fbdc118597196a0b32"


# ---- keys


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("00" * 16, 0o600, "everybody knows"),
        ("303132333435363738393a3b3c3d3e3f", 0o600, "everybody knows"),
        (SCBK, 0o644, "chmod 600"),
        (SCBK[2:], 0o600, "holds 15 bytes"),
        ("a secret that is no key", 0o600, "32 hexadecimal digits"),
        ("schlüssel", 0o600, "32 hexadecimal digits"),
    ],
)
def test_a_key_that_protects_nothing_is_refused(tmp_path: Path, text: str, mode: int, why: str) -> None:
    """Known keys, short ones and readable ones are refused, and never repeated in the error."""
    path = write_key(tmp_path / "key", text)
    os.chmod(path, mode)  # noqa: PTH101
    with pytest.raises(DeviceError, match=why) as caught:
        load_key(path)
    assert text not in str(caught.value)


def test_there_is_no_way_without_a_key(tmp_path: Path) -> None:
    """The option is needed, the file must be there, and address 127 is nobody's."""
    with pytest.raises(ValueError, match="key_file"):
        Options.model_validate({"address": 1})
    with pytest.raises(ValueError, match="address"):
        Options.model_validate({"address": 127, "key_file": "/key"})
    with pytest.raises(DeviceError, match="No such file"):
        load_key(str(tmp_path / "none"))


def test_without_the_extra_the_driver_says_what_to_install(tmp_path: Path) -> None:
    """In an environment without libosdp the folder loads, captures are explained, and a poll names the extra."""
    program = (
        "import sys; sys.modules['osdp_sys'] = None\n"
        "from drivers.osdp import DRIVER, Options\n"
        "from edge_agent.driver import CardKey, DeviceError, Site\n"
        f"driver = DRIVER(Options(address=1, key_file={write_key(tmp_path / 'key', SCBK)!r}), "
        "Site(CardKey('k', b'x' * 32)))\n"
        "try: list(driver.poll(None))\n"
        "except DeviceError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "extra: [osdp]" in done.stdout


# ---- the session, with libosdp's own peripheral


@needs_libosdp
def test_cards_keys_and_tamper_are_told(key_file: str) -> None:
    """A card is a visit under its reference, keys are an event without digits, a change of the cover is a point."""
    bench = Bench(key_file, reader="gate")
    assert bench.poll() == [
        Reading("secure", value=True),
        Reading("sn", "0a0b0c0d"),
        Reading("firmware", "1.2.3"),
    ]
    bench.simulator.swipe(CARD)
    bench.simulator.press("4711")
    bench.simulator.tamper(tamper=True)
    assert bench.hear(4) == [
        Event("visit", {"reader": "gate"}, card=KEY.reference("w26", f"{0x8EC793:024b}")),
        Event("keypad_used", {"reader": "gate"}),
        Reading("tamper", value=True, prompt=True),
        Reading("power_fault", value=False, prompt=True),
    ]


@needs_libosdp
def test_cards_of_other_formats_are_counted_too(key_file: str) -> None:
    """A length or parity that is none of `formats` makes an identity of all bits."""
    bench = Bench(key_file, formats=["w26"])
    bench.poll()
    odd = CARD[:-1] + ("1" if CARD[-1] == "0" else "0")
    for bits in ("1011", wiegand(7, "w34"), odd, CARD):
        bench.simulator.swipe(bits)
    cards = [record.card for record in bench.hear(4) if isinstance(record, Event)]
    assert cards == [
        KEY.reference("osdp", "1011"),
        KEY.reference("osdp", wiegand(7, "w34")),
        KEY.reference("osdp", odd),
        KEY.reference("w26", f"{0x8EC793:024b}"),
    ]
    text = {"event": 1, "format": 2, "length": 2, "data": b"7A"}
    assert bench.driver._reference(text, KEY) == KEY.reference("osdp_text", "0011011101000001")


@needs_libosdp
def test_every_session_is_challenged_anew(key_file: str) -> None:
    """Two sessions, also of two processes, never begin with the same challenge."""
    seen: list[bytes] = []
    for _ in range(3):
        bench = Bench(key_file)
        bench.link.tap = lambda direction, data: seen.append(data) if direction == ">" else None
        bench.poll()
    challenges = {codec.decode(data).data for data in seen if codec.decode(data).name == "CHLNG"}
    assert len(challenges) == 3


@needs_libosdp
def test_a_wrong_key_is_no_session(key_file: str, tmp_path: Path) -> None:
    """A reader with another key is refused in words, and nothing is said in the clear."""
    bench = Bench(key_file)
    other = bench.options.model_copy(update={"key_file": write_key(tmp_path / "other", "ab" * 16)})
    bench.driver = DRIVER(other, Site(KEY))
    bench.simulator.swipe(CARD)
    sent: list[bytes] = []
    bench.link.tap = lambda direction, data: sent.append(data)
    for _ in range(2):
        with pytest.raises(SecureChannelError, match="no secure channel"):
            bench.poll()
    assert not {"RAW", "KEYPAD"} & {packet.name for packet, _ in codec.find(b"".join(sent))}


@needs_libosdp
def test_a_reader_that_was_without_power_is_back_at_the_next_poll(key_file: str) -> None:
    """A forgotten session is made anew in the same poll."""
    bench = Bench(key_file)
    bench.poll()
    bench.simulator = Simulator(bench.options, Site())
    bench.wire.port = SimulatedPort([bench.simulator], bench.clock)
    bench.simulator.swipe(CARD)
    assert len(bench.hear(1)) == 1


@needs_libosdp
def test_silence_ends_the_session_and_the_next_poll_begins_one(key_file: str) -> None:
    """A timeout leaves as such; nothing of the old session is used again."""
    bench = Bench(key_file)
    bench.wire.port, clean = hostile.Silence(bench.wire.port), bench.wire.port
    for _ in range(2):
        with pytest.raises(LinkTimeout):
            bench.poll()
    bench.wire.port = clean
    bench.simulator.swipe(CARD)
    assert len(bench.hear(1)) == 1


class Damaged(hostile.Wire):
    """Damages the first `count` replies."""

    def __init__(self, port: Any, count: int) -> None:
        super().__init__(port)
        self.count = count

    def read(self, within: float) -> bytes:
        """Turn the last bit of a reply over."""
        data = self.port.read(within)
        if data and self.count:
            self.count -= 1
            return data[:-1] + bytes((data[-1] ^ 1,))
        return data


@needs_libosdp
def test_a_damaged_reply_is_asked_for_once_more(key_file: str) -> None:
    """One damaged reply of the handshake costs a repetition, two the poll; the error carries no bytes."""
    bench = Bench(key_file)
    clean = bench.wire.port
    bench.wire.port = Damaged(clean, 1)
    assert bench.poll()
    bench.driver = DRIVER(bench.options, Site(KEY))
    bench.wire.port = Damaged(clean, 2)
    with pytest.raises(DeviceError, match="are no reply") as caught:
        bench.poll()
    assert caught.value.raw == b""
    assert bench.poll()


@needs_libosdp
def test_without_a_card_key_no_card_is_taken_from_the_reader(key_file: str) -> None:
    """The reader is not even asked, so that the card is still there when there is a key."""
    bench = Bench(key_file)
    bench.driver = DRIVER(bench.options, Site())
    bench.simulator.swipe(CARD)
    with pytest.raises(DeviceError, match="no card key"):
        bench.poll()
    bench.driver = DRIVER(bench.options, Site(KEY))
    assert len(bench.hear(1)) == 1


@needs_libosdp
def test_numbers_and_digits_appear_nowhere(key_file: str) -> None:
    """Records, reprs and the wire itself show neither the card nor the keys."""
    bench = Bench(key_file)
    wire: list[bytes] = []
    bench.link.tap = lambda direction, data: wire.append(data)
    bench.poll()
    bench.simulator.swipe(CARD)
    bench.simulator.press("4711")
    told = repr(bench.hear(2)) + repr(vars(bench.driver)["_panel"])
    raw = int(CARD.ljust(32, "0"), 2).to_bytes(4)
    for form in (CARD, CARD[1:-1], str(0x8EC793), "8ec793", raw.hex(), "4711"):
        assert form not in told.lower()
    assert raw not in b"".join(wire)
    assert b"4711" not in b"".join(wire)


# ---- over a pair of pseudo-terminals, in real time, with the peripheral of the package `osdp`


class MasterSide:
    """A peripheral's port: the far end of a pseudo-terminal (a `Channel` of the package by its form)."""

    def __init__(self, master: int) -> None:
        self.id = 7
        self._master = master

    def read(self, size: int) -> bytes:
        """Return what has come."""
        try:
            return os.read(self._master, size)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        """Send."""
        return os.write(self._master, bytes(data))

    def flush(self) -> None:
        """Nothing waits."""


@pytest.fixture
def pair() -> Iterator[tuple[int, str]]:
    """A raw pseudo-terminal: its far end, and the name of its near one."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


@needs_libosdp
def test_with_a_peripheral_in_real_time(key_file: str, pair: tuple[int, str]) -> None:
    """The peripheral of libosdp in a thread of its own, a real serial port: each of five cards is a visit, in order."""
    osdp = importlib.import_module("osdp")
    master, port = pair
    load_library()
    info = osdp.PDInfo(9, MasterSide(master), scbk=bytes.fromhex(SCBK), flags=[osdp.LibFlag.EnforceSecure])
    abilities = osdp.PDCapabilities([(osdp.Capability.CommunicationSecurity, 1, 1)])
    device = osdp.PeripheralDevice(info, abilities, log_level=osdp.LogLevel.Emergency)
    settings = SerialSettings(port)
    link = ByteLink("rs485", lambda: open_serial(settings), SystemClock(), timing_for(settings, max_reply_delay=0.3))
    driver = DRIVER(Options(address=9, key_file=key_file), Site(KEY))
    numbers = [0x8EC793, 1, 2, 3, 0xFFFFFF]
    heard: list[Record] = []
    device.start()
    link.open()
    try:
        deadline = time.monotonic() + SOON
        waiting = list(numbers)
        while len(heard) < len(numbers) and time.monotonic() < deadline:
            records = list(driver.poll(link))
            heard += [record for record in records if isinstance(record, Event)]
            if waiting and len(heard) == len(numbers) - len(waiting):
                bits = wiegand(waiting.pop(0), "w26").ljust(32, "0")
                event = {"event": osdp.Event.CardRead, "reader_no": 0, "format": osdp.CardFormat.Wiegand}
                device.submit_event(event | {"direction": 0, "length": 26, "data": int(bits, 2).to_bytes(4)})
    finally:
        link.close()
        device.teardown()
    assert [event.card for event in heard if isinstance(event, Event)] == [
        KEY.reference("w26", f"{number:024b}") for number in numbers
    ]
