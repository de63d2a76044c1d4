"""Wiegand readers: every card once, no lost, added or swapped bit ever a card, no number anywhere."""

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wiegand import DRIVER, Options, Simulator
from drivers.wiegand.codec import LAYOUTS, RejectedFrame, decode, decode_key, encode, encode_key
from drivers.wiegand.frames import MAX_BITS
from drivers.wiegand.simulator import PERIOD
from edge_agent.clock import FakeClock
from edge_agent.driver import Alarm, CardKey, Chunk, DeviceError, Edge, Event, Listener, Reading, Record, Site
from edge_agent.links.edges import EdgeLink, SimulatedLines

KEY = CardKey("k1", b"0123456789abcdef0123456789abcdef")
SITE = Site(KEY)
D0, D1 = 17, 27
VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "drivers/wiegand/vectors/wiegand.jsonl").read_text().splitlines()
]
FORMATS = ("w26", "w34", "w37_h10304")

cards = st.sampled_from(FORMATS).flatmap(
    lambda name: st.tuples(st.just(name), st.integers(0, 2 ** (LAYOUTS[name].bits - 2) - 1))
)


def options(**more: Any) -> Options:
    """Options with both lines and all formats."""
    return Options(**{"d0": D0, "d1": D1, "formats": FORMATS, **more})


def driver(**more: Any) -> DRIVER:
    """A driver as the station builds it."""
    return DRIVER(options(**more), SITE)


def pulses(bits: str, *, begin: float = 1.0, period: float = PERIOD, seqno: int = 1) -> list[Edge]:
    """The falling edges of a burst, numbered as the kernel does."""
    return [
        Edge(D1 if bit == "1" else D0, high=False, at=begin + index * period, seqno=seqno + index)
        for index, bit in enumerate(bits)
    ]


def hear(listener: Listener, edges: Iterable[Edge], *, now: float = 0.0) -> list[Record]:
    """Feed edges in one chunk and let the lines fall silent."""
    taken = tuple(edges)
    end = max([edge.at for edge in taken] + [now])
    return [*listener.feed(Chunk(end, edges=taken)), *listener.quiet(end + 0.2)]


def visits(records: Iterable[Record]) -> list[str]:
    """References of the cards seen."""
    return [r.card.ref for r in records if isinstance(r, Event) and r.type == "visit" and r.card]


def reasons(records: Iterable[Record]) -> list[str]:
    """Reasons for which bursts were rejected, in order."""
    points = [r.point for r in records if isinstance(r, Reading) and r.point.startswith("rejected_")]
    return [point.removeprefix("rejected_") for point in points if point not in {"rejected_frames", "rejected_bits"}]


def reference(name: str, number: int) -> str:
    """The reference a card must have."""
    width = LAYOUTS[name].bits - 2
    return KEY.reference(name.partition("_")[0], f"{number:0{width}b}").ref


# ---- codec


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["decoded"]["bits"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Good bits decode to facility and card number or to a key and encode back, bad bits are refused."""
    want = vector["decoded"]
    bits = want["bits"]
    assert int(bits, 2) == int(vector["frame_hex"], 16)
    if not vector["valid"]:
        reason = "parity" if want["error"] == "parity" else "unknown_length"
        with pytest.raises(RejectedFrame, match=reason):
            decode(bits, FORMATS)
        assert reasons(hear(driver(), pulses(bits))) == [reason]
        return
    if "key" in want:
        assert decode_key(bits) == want["key"]
        assert encode_key(want["key"], "8bit") == bits
        return
    name = want["format"].lower().replace("-", "_")
    card = decode(bits, (name,))
    assert (card.facility, card.number) == (want.get("facility", 0), want["card"])
    assert encode(int(card.bits, 2), name) == bits
    for whole in ("number24", "number32"):
        assert int(card.bits, 2) == want.get(whole, int(card.bits, 2))
    assert visits(hear(driver(formats=(name,)), pulses(bits))) == [reference(name, int(card.bits, 2))]


@pytest.mark.parametrize("bits", ["1100", "11110001", "00001111", "101", ""])
def test_bits_that_are_no_key(bits: str) -> None:
    """A value beyond #, a wrong complement or another length is no key."""
    assert decode_key(bits) is None


def test_four_bit_keys() -> None:
    """Keys of four bits encode and decode."""
    assert [decode_key(encode_key(key, "4bit")) for key in "0123456789*#"] == list("0123456789*#")


def test_a_number_too_big_for_its_format_is_refused() -> None:
    """The simulator does not quietly show another card than asked for."""
    with pytest.raises(ValueError, match="24 bits"):
        encode(1 << 24, "w26")


# ---- frames on good wires


@given(st.lists(cards, max_size=5), st.integers())
def test_every_card_is_read_exactly_once(shown: list[tuple[str, int]], seed: int) -> None:
    """Through the link, in whatever order the kernel delivers a card's edges, each card is one visit, in order."""
    clock = FakeClock()
    lines = SimulatedLines(clock)
    link = EdgeLink("door", lines, clock)
    listener = driver()
    simulator = Simulator(options(), SITE)
    link.open(tuple(listener.lines()))
    records: list[Record] = []
    for name, number in shown:
        simulator.swipe(number, name)
        lines.play(simulator)
        clock.advance(0.3)
        chunk = link.take()
        assert chunk is not None
        edges = list(chunk.edges)
        stamped = [replace(edge, seqno=None) for edge in edges]
        random.Random(seed).shuffle(stamped)
        shuffled = [replace(edge, seqno=kept.seqno) for edge, kept in zip(stamped, edges, strict=True)]
        records += [*listener.feed(replace(chunk, edges=tuple(shuffled))), *listener.quiet(clock.monotonic())]
    assert visits(records) == [reference(name, number) for name, number in shown]
    assert reasons(records) == []
    assert all(event.at is not None for event in records if isinstance(event, Event))


@given(cards, st.integers(1, 36))
def test_a_frame_in_two_chunks_is_one_card(card: tuple[str, int], cut: int) -> None:
    """A frame taken in two pieces is one card; looking at it too early does not end it."""
    edges = pulses(encode(card[1], card[0]))
    listener = driver()
    first, rest = edges[:cut], edges[cut:]
    records = [*listener.feed(Chunk(first[-1].at, edges=tuple(first))), *listener.quiet(first[-1].at + 0.001)]
    assert visits([*records, *hear(listener, rest, now=edges[-1].at)]) == [reference(*card)]


def test_frames_end_by_their_own_time_stamps() -> None:
    """Two cards in one chunk are told apart by the silence between their edges, and each visit has its own time."""
    one, two = encode(4497999, "w26"), encode(4503646, "w26")
    edges = pulses(one, begin=1.0) + pulses(two, begin=2.0, seqno=27)
    records = hear(driver(), edges)
    assert visits(records) == [reference("w26", 4497999), reference("w26", 4503646)]
    events = [record for record in records if isinstance(record, Event)]
    assert [event.at for event in events] == pytest.approx([1.0 + 25 * PERIOD, 2.0 + 25 * PERIOD])


def test_a_frame_ends_only_after_its_gap() -> None:
    """26 bits of a longer card do not count while more may come."""
    listener = driver()
    edges = pulses(encode(1, "w26"))
    assert list(listener.feed(Chunk(edges[-1].at, edges=tuple(edges)))) == []
    assert list(listener.quiet(edges[-1].at + 0.024)) == []
    assert visits(listener.quiet(edges[-1].at + 0.025)) == [reference("w26", 1)]


# ---- frames on bad wires


@given(cards, st.data())
def test_one_lost_pulse_is_never_a_card(card: tuple[str, int], data: st.DataObject) -> None:
    """A missing edge is refused, whether the kernel's numbering shows the hole or not."""
    edges = pulses(encode(card[1], card[0]))
    lost = data.draw(st.integers(0, len(edges) - 1))
    rest = edges[:lost] + edges[lost + 1 :]
    if data.draw(st.booleans()):
        rest = [replace(edge, seqno=None) for edge in rest]
    records = hear(driver(), rest)
    assert visits(records) == []
    assert len(reasons(records)) == 1


@given(cards, st.data())
def test_one_flipped_bit_is_never_a_card(card: tuple[str, int], data: st.DataObject) -> None:
    """Any single wrong bit breaks a parity (with 37 bits the middle one breaks both)."""
    bits = encode(card[1], card[0])
    flip = data.draw(st.integers(0, len(bits) - 1))
    wrong = bits[:flip] + ("1" if bits[flip] == "0" else "0") + bits[flip + 1 :]
    records = hear(driver(), pulses(wrong))
    assert visits(records) == []
    assert reasons(records) == ["parity"]


@given(cards, st.data())
def test_one_added_pulse_is_never_a_card(card: tuple[str, int], data: st.DataObject) -> None:
    """A glitch within a frame, on either line at any moment, is refused."""
    edges = pulses(encode(card[1], card[0]))
    at = data.draw(st.floats(edges[0].at, edges[-1].at))
    extra = Edge(data.draw(st.sampled_from([D0, D1])), high=False, at=at, seqno=len(edges) + 1)
    assert visits(hear(driver(), [*edges, extra])) == []


def test_a_hole_before_the_first_edge_spoils_the_frame() -> None:
    """Edges lost since the last frame may have been this frame's first bits."""
    listener = driver()
    assert visits(hear(listener, pulses(encode(1, "w26"), begin=1.0))) == [reference("w26", 1)]
    records = hear(listener, pulses(encode(2, "w26"), begin=2.0, seqno=28))
    assert reasons(records) == ["lost_edges"]
    assert visits(hear(listener, pulses(encode(3, "w26"), begin=3.0, seqno=54))) == [reference("w26", 3)]


def test_a_hole_between_two_frames_spoils_both() -> None:
    """When the numbering jumps between two frames, the lost edge may be the end of one or the start of the other."""
    edges = pulses(encode(1, "w26"), begin=1.0) + pulses(encode(2, "w26"), begin=2.0, seqno=28)
    assert reasons(hear(driver(), edges)) == ["lost_edges", "lost_edges"]


def test_holes_on_other_lines_of_the_request_count_too() -> None:
    """The numbering covers all lines, so that an edge of another line belongs to it and hides no hole."""
    listener = driver()
    edges = pulses(encode(1, "w26"))
    other = Edge(5, high=False, at=edges[-1].at, seqno=27)
    assert visits(hear(listener, [*edges, other])) == [reference("w26", 1)]
    assert visits(hear(listener, pulses(encode(2, "w26"), begin=2.0, seqno=28))) == [reference("w26", 2)]
    assert reasons(
        hear(listener, [replace(other, at=3.0, seqno=60), *pulses(encode(2, "w26"), begin=3.1, seqno=61)])
    ) == ["lost_edges"]


def test_numbering_begins_again_with_the_lines() -> None:
    """After the lines were opened anew a lower number is no hole."""
    listener = driver()
    hear(listener, pulses(encode(1, "w26"), begin=1.0, seqno=500))
    opened = [Edge(line, high=True, at=2.0, initial=True) for line in (D0, D1)]
    assert visits(hear(listener, [*opened, *pulses(encode(2, "w26"), begin=2.1)])) == [reference("w26", 2)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda edges: [*edges[:3], replace(edges[3], at=edges[2].at + 10e-6), *edges[4:]], "glitch"),
        (lambda edges: edges[:3] + [replace(edge, at=edge.at + 0.021) for edge in edges[3:]], "slow"),
        (lambda edges: edges[:1], "unknown_length"),
        (lambda edges: [*edges, *pulses("0" * (MAX_BITS * 3), begin=edges[-1].at + PERIOD, seqno=27)], "too_long"),
    ],
    ids=["glitch", "slow", "stray", "noise"],
)
def test_doubtful_timing_is_rejected(change: Any, reason: str) -> None:
    """Edges too close, too far apart, alone or too many are no card, and one burst is one rejection."""
    records = hear(driver(), change(pulses(encode(4497999, "w26"))))
    assert reasons(records) == [reason]
    assert visits(records) == []


def test_a_rejected_burst_tells_its_length() -> None:
    """The bit count is told, so that an installer sees that the cards have a format not configured."""
    records = hear(driver(formats=("w26",)), pulses(encode(5, "w34")))
    assert Reading("rejected_bits", 34) in records


@given(st.lists(st.builds(Edge, st.sampled_from([D0, D1, 5]), st.booleans(), st.floats(0, 10)), max_size=300))
def test_any_edges_are_survived(edges: list[Edge]) -> None:
    """No edges raise anything, memory stays bounded, and after a silence a card is read."""
    listener = driver()
    hear(listener, edges)
    assert len(listener._collector._pulses) <= MAX_BITS
    assert visits(hear(listener, pulses(encode(7, "w26"), begin=20.0))) == [reference("w26", 7)]


def test_a_reader_that_keeps_failing_raises_one_alarm_and_clears_it() -> None:
    """Rejected bursts raise the alarm once; a clean minute clears it once."""
    listener = driver()
    records = [r for n in range(7) for r in hear(listener, pulses("101", begin=10.0 + n, seqno=1 + 3 * n))]
    assert [r.active for r in records if isinstance(r, Alarm)] == [True]
    assert [r for now in (30.0, 77.0, 99.0) for r in listener.quiet(now)] == [Alarm("reader_faulty", active=False)]


# ---- options


def test_keys_are_passed_over() -> None:
    """With a keypad its bursts are neither cards nor faults; without one they are faults."""
    for keypad in ("4bit", "8bit"):
        simulator = Simulator(options(keypad=keypad), SITE)
        simulator.press("5")
        simulator.press("#")
        edges = [edge for chunk in simulator.play() for edge in chunk.edges]
        records = hear(driver(keypad=keypad), edges)
        assert (visits(records), reasons(records)) == ([], [])
        assert reasons(hear(driver(), edges)) == ["unknown_length"] * 2


def test_a_reversed_reader_tells_the_same_card() -> None:
    """With `uid_order = "lsb"` a card has the reference it has at a reader with the usual byte order."""
    listener = driver(uid_order="lsb")
    assert visits(hear(listener, pulses(encode(0x78563412, "w34")))) == [reference("w34", 0x12345678)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"d1": D0}, "each wire needs its own"),
        ({"formats": ("w37_h10302", "w37_h10304")}, "cannot be told apart"),
        ({"frame_gap": "2ms"}, "greater than or equal"),
        ({"frame_gap": 25}, "has no unit"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], words: str) -> None:
    """Contradictions in the station file are found before the reader is used."""
    with pytest.raises(ValueError, match=words):
        options(**wrong)


def test_both_lines_are_asked_for_with_falling_edges_only() -> None:
    """The driver needs D0 and D1, pulled up unless told otherwise, and no rising edges."""
    assert [(line.line, line.pull, line.edges) for line in driver(pull="none").lines()] == [
        (D0, "none", "falling"),
        (D1, "none", "falling"),
    ]


# ---- privacy


def test_without_a_card_key_nothing_counts_and_the_error_has_no_number() -> None:
    """The driver refuses to invent a reference, and its error carries nothing of the card."""
    listener = DRIVER(options(), Site())
    number = 0xC9D2E5
    with pytest.raises(DeviceError, match="no card key") as caught:
        hear(listener, pulses(encode(number, "w26")))
    assert caught.value.raw == b""
    assert_private("w26", number, str(caught.value), repr(caught.value))


def assert_private(name: str, number: int, *texts: str) -> None:
    """No way of writing the card's number occurs in any text."""
    card = decode(encode(number, name), (name,))
    written = {str(number), f"{number:x}", f"{number:010d}", card.bits, encode(number, name)}
    written |= {f"{card.number:05d}", f"{card.facility},{card.number}", f"{card.facility * 100000 + card.number}"}
    for text in texts:
        for form in written:
            assert form.lower() not in text.lower()


@pytest.mark.parametrize(("name", "number"), [("w26", 0xC9D2E5), ("w34", 0x73C9D2E5)])
def test_card_numbers_appear_nowhere(name: str, number: int) -> None:
    """Records, chunks and reprs show no form of the number, of whole frames or damaged ones."""
    bits = encode(number, name)
    listener = driver()
    records = hear(listener, pulses(bits))
    records += hear(listener, pulses(bits[:-1], begin=3.0, seqno=len(bits) + 1))
    records += hear(listener, pulses(bits[:-1] + ("1" if bits[-1] == "0" else "0"), begin=5.0, seqno=len(bits) * 2))
    assert len(visits(records)) == 1
    assert len(reasons(records)) == 2
    chunk = Chunk(9.0, edges=tuple(pulses(bits, begin=9.0)))
    list(listener.feed(chunk))
    collected = listener._collector
    texts = [repr(record) for record in records] + [repr(chunk), repr(listener), repr(collected)]
    texts += [repr(burst) for burst in collected.quiet(10.0)] + [repr(decode(bits, (name,)))]
    assert_private(name, number, *texts)
