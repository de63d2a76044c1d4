"""Card readers that are asked: every card once, no damaged answer ever a card, no number anywhere."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.card_polled import DECODERS, DRIVER, Options, Simulator, codec
from edge_agent.clock import FakeClock
from edge_agent.driver import Capture, CardKey, DeviceError, Event, Reading, Record, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort
from tests.drivers import vectors

KEY = CardKey("k1", b"0123456789abcdef0123456789abcdef")
UID = 0x7A3C91E5


class Bench:
    """A reader on a wire; `spoil` changes what comes back."""

    def __init__(self, site: Site | None = None, **options: Any) -> None:
        chosen = Options.model_validate(options)
        self.reader = Simulator(chosen, Site())
        self.driver = DRIVER(chosen, site or Site(KEY))
        self.spoil: Callable[[bytes], bytes] = bytes
        self.clock = FakeClock()
        self.link = ByteLink("wire", lambda: SimulatedPort([self], self.clock), self.clock)
        self.link.open()

    def answer(self, request: bytes) -> bytes:
        """Stand between the wire and the reader."""
        return self.spoil(self.reader.answer(request))

    def play(self) -> tuple[()]:
        """Nothing comes unasked."""
        return ()

    def poll(self, times: int = 1) -> list[Record]:
        """Ask so many times, a fifth of a second apart."""
        records: list[Record] = []
        for _ in range(times):
            records += self.driver.poll(self.link)
            self.clock.advance(0.2)
        return records

    def visits(self, times: int = 1) -> list[str]:
        """Ask so many times; the references of the visits."""
        return [r.card.ref for r in self.poll(times) if isinstance(r, Event) and r.card]


@pytest.mark.parametrize("vector", vectors.of_driver("card_polled"), ids=str)
def test_vectors(vector: vectors.Vector) -> None:
    """The question is byte for byte the one seen, the answer tells what it told."""
    if vector.direction == "request":
        assert vector.frame == codec.QUESTION
    else:
        assert codec.decode(vector.frame).encode() == vector.frame
    assert DECODERS["uart_polled_reader"](Capture(vector.frame, vector.direction)) == vector.decoded


def test_a_card_is_one_visit_however_long_it_stays() -> None:
    """It counts when it comes, and again only after it was away."""
    bench = Bench()
    assert bench.visits() == []
    bench.reader.hold(UID)
    reference = KEY.reference("uid", f"{UID:032b}").ref
    assert bench.visits(20) == [reference]
    bench.reader.remove()
    assert bench.visits(2) == []
    bench.reader.hold(UID)
    assert bench.visits() == []
    bench.reader.remove()
    bench.poll(8)
    bench.reader.hold(UID)
    assert bench.visits(3) == [reference]
    bench.reader.hold(UID + 1)
    assert len(bench.visits(3)) == 1


def test_what_lies_there_at_the_start_is_no_visit() -> None:
    """Nobody saw it come; another card after it is one."""
    bench = Bench()
    bench.reader.hold(UID)
    assert bench.visits(5) == []
    bench.reader.hold(UID + 1)
    assert len(bench.visits(5)) == 1


@given(st.integers(0, 2**32 - 1), st.integers(0, 71))
def test_one_flipped_bit_is_never_a_card(uid: int, position: int) -> None:
    """Any single-bit error is refused."""
    frame = bytearray(codec.Answer(uid.to_bytes(4)).encode())
    frame[position // 8] ^= 1 << position % 8
    with pytest.raises(DeviceError):
        codec.decode(bytes(frame))


@given(st.binary(max_size=40), st.binary(max_size=3))
def test_any_bytes_are_an_answer_or_an_error(noise: bytes, tail: bytes) -> None:
    """Nothing but DeviceError leaves, and an answer is found behind noise."""
    try:
        codec.decode(noise)
    except DeviceError:
        codec.find(noise)
    assert codec.find(b"\x02\xc8" + codec.Answer(b"").encode() + tail) == codec.Answer(b"").encode()


def test_a_card_told_once_is_not_believed() -> None:
    """A forged answer between two others becomes no visit."""
    bench = Bench()
    bench.poll()
    forged = iter([codec.Answer(b"\x01\x02\x03\x04").encode()])
    bench.spoil = lambda answer: next(forged, answer)
    with pytest.raises(DeviceError, match="two different things"):
        bench.poll()
    assert bench.visits(3) == []


@pytest.mark.parametrize(("order", "number"), [("msb", UID), ("lsb", int.from_bytes(UID.to_bytes(4), "little"))])
def test_a_mapped_card_equals_the_wiegand_readers(order: str, number: int) -> None:
    """With `identity` and `uid_order` the card has the reference it has at a Wiegand reader."""
    for identity, bits in (("w26", f"{number:032b}"[8:]), ("w34", f"{number:032b}")):
        bench = Bench(identity=identity, uid_order=order)
        bench.poll()
        bench.reader.hold(UID)
        assert bench.visits() == [KEY.reference(identity, bits).ref]


def test_errors_and_records_show_nothing_of_the_card() -> None:
    """Neither a garbled answer, nor a missing key, nor any record carries the number."""
    bench = Bench()
    bench.poll()
    bench.reader.hold(UID)
    frame = codec.Answer(UID.to_bytes(4)).encode()
    texts = [repr(record) for record in bench.poll(3)] + [repr(codec.decode(frame))]
    bench.spoil = lambda answer: answer[:-1] + b"\x00"
    with pytest.raises(DeviceError, match="no valid answer in 9 bytes") as garbled:
        bench.poll()
    keyless = Bench(Site())
    keyless.reader.hold(UID)
    with pytest.raises(DeviceError, match="no card key") as refused:
        keyless.poll()
    assert garbled.value.raw == refused.value.raw == b""
    texts += [str(garbled.value), str(refused.value), repr(vars(bench.driver) | {"_site": None})]
    for text in texts:
        for form in (str(UID), f"{UID:x}", UID.to_bytes(4).hex(" "), f"{UID:b}"):
            assert form not in text.lower()


def test_presence_is_told() -> None:
    """`card_present` follows the card."""
    bench = Bench()
    assert Reading("card_present", value=False) in bench.poll()
    bench.reader.hold(UID)
    assert Reading("card_present", value=True) in bench.poll()


def test_captures_are_explained() -> None:
    """A card's number is told to whoever hands its bytes over; a wrong question is refused."""
    explain = DECODERS["uart_polled_reader"]
    assert explain(Capture(codec.Answer(UID.to_bytes(4)).encode()))["card"] == UID
    with pytest.raises(DeviceError, match="not the question"):
        explain(Capture(b"\x01\xc8\x00\x01\x00", "request"))
    for frame, reason in ((b"\x02\xc8\x00\x07\x00", "status"), (b"\x02\xc8\x00\x00", "length"), (b"", "start")):
        with pytest.raises(DeviceError, match=reason):
            explain(Capture(frame))
