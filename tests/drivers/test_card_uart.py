"""Serial card readers: every card once, no damaged frame ever a card, no number anywhere."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.card_uart import DRIVER, Options, Simulator
from drivers.card_uart.codec import FRAME_BYTES, Card, Framer, Rejected, Variant, decode, encode
from edge_agent.driver import Alarm, CardKey, Chunk, DeviceError, Event, Listener, Reading, Record, Site

KEY = CardKey("k1", b"0123456789abcdef0123456789abcdef")
SITE = Site(KEY)
VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "drivers/card_uart/vectors/rdm6300.jsonl").read_text().splitlines()
]
FRAMES = [vector for vector in VECTORS if vector.get("kind") != "stream"]

cards = st.integers(0, 2**40 - 1)


def driver(**options: Any) -> DRIVER:
    """A driver as the station builds it."""
    return DRIVER(Options(**options), SITE)


def play(listener: Listener, chunks: Iterable[Chunk]) -> list[Record]:
    """Feed chunks, each followed by the silence until the next."""
    records: list[Record] = []
    at = 0.0
    for chunk in chunks:
        if chunk.at - at > listener.settle:
            records += listener.quiet(chunk.at)
        records += listener.feed(chunk)
        at = chunk.at
    return [*records, *listener.quiet(at + 1.0)]


def visits(records: Iterable[Record]) -> list[str]:
    """References of the cards seen."""
    return [r.card.ref for r in records if isinstance(r, Event) and r.type == "visit" and r.card]


def rejections(records: Iterable[Record]) -> int:
    """Frames rejected so far."""
    counts = [r.value for r in records if isinstance(r, Reading) and r.point == "rejected_frames"]
    return int(str(counts[-1])) if counts else 0


@pytest.mark.parametrize("vector", FRAMES, ids=lambda vector: vector["frame_hex"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Good frames decode to the printed number, bad ones are refused for the reason known."""
    frame = bytes.fromhex(vector["frame_hex"])
    decoded = vector["decoded"]
    variant: Variant = decoded.get("variant", "rdm6300")
    card = decode(frame, variant)
    if not vector["valid"]:
        assert card == Rejected(decoded["error"])
        return
    assert isinstance(card, Card)
    assert int(card.bits[-32:], 2) == decoded["card"]
    assert f"{int(card.bits[-32:], 2):010d}" == decoded["printed"]
    assert encode(int(card.bits, 2), variant) == frame
    if variant == "rdm6300":
        assert f"{int(card.bits, 2):010X}" == decoded["card_hex10"]
        assert int(card.bits[:8], 2) == decoded["version"]
        assert f"{int(card.bits[-24:-16], 2)},{int(card.bits[-16:], 2)}" == decoded["wiegand"]


def test_a_card_that_stays_is_one_access() -> None:
    """The captured stream of three equal frames counts once."""
    stream = next(vector for vector in VECTORS if vector.get("kind") == "stream")
    data = bytes.fromhex(stream["frame_hex"])
    framed = list(Framer("rdm6300").feed(data))
    assert [int(card.bits[-32:], 2) for card in framed if isinstance(card, Card)] == stream["decoded"]["cards"]
    assert len(visits(play(driver(), [Chunk(1.0, data)]))) == stream["decoded"]["accesses"]


@given(st.lists(cards, max_size=8), st.sampled_from([0.0, 0.1, 2.0]), st.data())
def test_every_card_is_read_exactly_once(numbers: list[int], stay: float, data: st.DataObject) -> None:
    """However long a card stays and however its bytes are cut up, it is one visit, in order."""
    simulator = Simulator(Options(), SITE)
    for number in numbers:
        simulator.swipe(number, stay=stay)
    chunks: list[Chunk] = []
    for chunk in simulator.play():
        cut = data.draw(st.integers(0, len(chunk.data)))
        chunks += [Chunk(chunk.at, chunk.data[:cut]), Chunk(chunk.at + 0.01, chunk.data[cut:])]
    records = play(driver(), chunks)
    assert visits(records) == [KEY.reference("em4100", f"{number:040b}").ref for number in numbers]
    assert rejections(records) == 0
    assert list(simulator.play()) == []


@given(cards, st.integers(0, FRAME_BYTES * 8 - 1))
def test_one_flipped_bit_is_never_a_card(number: int, position: int) -> None:
    """Any single-bit error in a frame is refused and counted."""
    frame = bytearray(encode(number, "rdm6300"))
    frame[position // 8] ^= 1 << position % 8
    records = play(driver(), [Chunk(1.0, bytes(frame))])
    assert visits(records) == []
    assert rejections(records) >= 1


@given(cards, st.integers(0, FRAME_BYTES - 1))
def test_one_lost_byte_is_never_a_card(number: int, position: int) -> None:
    """A frame with a byte missing is refused, and the next frame is read whole."""
    frame = encode(number, "rdm6300")
    damaged = frame[:position] + frame[position + 1 :]
    assert visits(play(driver(), [Chunk(1.0, damaged)])) == []
    assert len(visits(play(driver(), [Chunk(1.0, damaged + frame)]))) == 1


@given(st.lists(st.binary(max_size=64), max_size=6), cards)
def test_any_bytes_are_survived(noise: list[bytes], number: int) -> None:
    """No bytes at all raise anything, and after a silence a card is read."""
    listener = driver()
    play(listener, [Chunk(1.0 + index * 0.01, data) for index, data in enumerate(noise)])
    assert len(visits(play(listener, [Chunk(9.0, encode(number, "rdm6300"))]))) == 1


@given(cards, st.integers(1, FRAME_BYTES - 1))
def test_power_up_in_the_middle_of_a_frame(number: int, begin: int) -> None:
    """A frame joined in its middle costs that frame only."""
    frame = encode(number, "rdm6300")
    assert len(visits(play(driver(), [Chunk(1.0, frame[begin:] + frame)]))) == 1


def test_a_simulated_reader_makes_noise_and_takes_no_requests() -> None:
    """Noise before a card costs one rejected frame, and the reader answers nothing."""
    simulator = Simulator(Options(), SITE)
    simulator.noise(b"\xff\x55")
    simulator.swipe(9357203)
    records = play(driver(), simulator.play())
    assert len(visits(records)) == 1
    assert rejections(records) == 1
    assert simulator.answer(b"\x01") == b""
    assert decode(b"\x02", "rdm6300") == Rejected("truncated")


def test_half_a_frame_and_a_silence_do_not_join_the_next() -> None:
    """What a silence has cut off is counted and forgotten."""
    frame = encode(9357203, "rdm6300")
    listener = driver()
    records = play(listener, [Chunk(1.0, frame[:7]), Chunk(2.0, frame[7:]), Chunk(3.0, frame)])
    assert len(visits(records)) == 1
    assert rejections(records) == 2


def test_a_card_that_comes_back_is_a_new_access() -> None:
    """After the card has been away longer than the repeat time, the same card counts again."""
    frame = encode(9357203, "rdm6300")
    times = [1.0, 1.25, 1.5, 1.81, 5.0]
    assert len(visits(play(driver(), [Chunk(at, frame) for at in times]))) == 3


def test_a_reader_without_checksum_must_say_it_twice() -> None:
    """Ten decimal digits count when two frames agree, once, and never from a single frame."""
    simulator = Simulator(Options(variant="decimal10"), SITE)
    simulator.swipe(6880358, stay=0.5)
    simulator.swipe(6880358, stay=0.0)
    assert len(visits(play(driver(variant="decimal10"), simulator.play()))) == 1
    one, two = encode(6880358, "decimal10"), encode(6880359, "decimal10")
    alternating = [Chunk(1.0 + index * 0.065, frame) for index, frame in enumerate([one, two] * 4)]
    assert visits(play(driver(variant="decimal10"), alternating)) == []


@pytest.mark.parametrize("digits", [b"4294967296", b"9999999999", b"00068803\xd85", b"000688035A"])
def test_ten_digits_that_are_no_card(digits: bytes) -> None:
    """A number beyond 32 bits, or a character that is no digit, is refused."""
    assert isinstance(decode(b"\x02" + digits + b"\r\n\x03", "decimal10"), Rejected)


def test_a_mapped_card_equals_the_wiegand_readers() -> None:
    """With `identity` set, the card has the reference it has at a Wiegand reader."""
    frame = encode(0x14008EC793, "rdm6300")
    for identity, bits in (("w26", f"{0x8EC793:024b}"), ("w34", f"{0x008EC793:032b}")):
        assert visits(play(driver(identity=identity), [Chunk(1.0, frame)])) == [KEY.reference(identity, bits).ref]


def test_a_reader_that_keeps_failing_raises_one_alarm_and_clears_it() -> None:
    """Five damaged frames within a minute raise the alarm once; a clean minute clears it once."""
    bad = encode(1, "rdm6300")[:-1] + b"\x00"
    listener = driver()
    records: list[Record] = []
    for index in range(8):
        records += listener.feed(Chunk(10.0 + index, bad))
    alarms = [r for r in records if isinstance(r, Alarm)]
    assert [(a.code, a.active, a.detail["reason"]) for a in alarms] == [("reader_faulty", True, "end")]
    assert rejections(records) == 8
    later = [r for now in (30.0, 76.9, 77.1, 90.0) for r in listener.quiet(now)]
    assert later == [Alarm("reader_faulty", active=False)]


def test_a_slow_drip_of_damaged_frames_is_no_alarm() -> None:
    """Damaged frames minutes apart are only counted."""
    listener = driver()
    records = [r for index in range(8) for r in listener.feed(Chunk(index * 30.0, b"\x02junk"))]
    assert [r for r in records if isinstance(r, Alarm) and r.active] == []
    assert rejections(records) == 7


def test_an_alarm_from_before_a_restart_is_cleared() -> None:
    """A new driver says after a clean minute that the reader is sound, because an older one may have said otherwise."""
    listener = driver()
    assert [r for now in (1.0, 30.0, 61.5, 99.0) for r in listener.quiet(now)] == [Alarm("reader_faulty", active=False)]


def test_without_a_card_key_nothing_counts_and_the_error_has_no_number() -> None:
    """The driver refuses to invent a reference, and its error carries neither bytes nor digits of the card."""
    listener = DRIVER(Options(), Site())
    with pytest.raises(DeviceError, match="no card key") as caught:
        list(listener.feed(Chunk(1.0, encode(0x14008EC793, "rdm6300"))))
    assert caught.value.raw == b""
    assert_private(0x14008EC793, str(caught.value), repr(caught.value))


def assert_private(number: int, *texts: str) -> None:
    """No way of writing the card's number occurs in any text."""
    low = number & 0xFFFFFFFF
    written = {str(number), f"{number:x}", str(low), f"{low:x}", f"{low:010d}", f"{low & 0xFFFFFF:x}", f"{low:b}"}
    written |= {
        str(low & 0xFFFFFF),
        f"{low & 0xFFFF:05d}",
        encode(number, "rdm6300").hex(),
        encode(number, "rdm6300").hex(" "),
    }
    for text in texts:
        for form in written:
            assert form.lower() not in text.lower()


def test_card_numbers_appear_nowhere() -> None:
    """Records, their repr, the driver's own repr and chunks show no form of the number, whole or damaged."""
    number = 0x1473C9D2E5
    frame = encode(number, "rdm6300")
    listener = driver(reader="gate")
    chunk = Chunk(1.0, frame + frame[:9] + frame[:5] + b"\x03" + frame)
    records = [*play(listener, [chunk, replace(chunk, at=9.0)])]
    assert len(visits(records)) == 2
    assert rejections(records) >= 2
    everything = [repr(record) for record in records] + [repr(chunk), repr(list(Framer("rdm6300").feed(frame)))]
    state = {name: value for name, value in vars(listener).items() if name != "_site"}
    assert_private(number, *everything, repr(listener), repr(state), repr(Site(KEY)))
