"""The lock boards' frame families: captured frames both ways, opening, and doors that report themselves."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.lockboard import DECODERS
from drivers.lockboard import codec_kerong as kerong
from drivers.lockboard import codec_wkly as wkly
from drivers.lockboard.driver import LockBoard, LockBoardOptions
from drivers.lockboard.simulator import LockBoardSimulator
from edge_agent.clock import FakeClock
from edge_agent.driver import (
    Capture,
    Chunk,
    Command,
    DeviceError,
    LinkTimeout,
    Listener,
    Quality,
    Reading,
    Record,
    Simulator,
    Site,
)
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort
from edge_agent.slot import Slot
from edge_agent.worker import Worker
from tests.drivers import vectors

VECTORS = vectors.of_driver("lockboard")
FAMILIES = ["8a80", "wkly", "kerong_cu16", "kerong_cu48"]
OPEN_3 = wkly.Frame(1, wkly.REPORT, b"\x03\x00").encode()
"""Board 1 reports: door 3 opened."""


class Between:
    """Stands between a wire and what is on it; `spoil` changes what comes back."""

    def __init__(self, *simulators: Simulator) -> None:
        self.simulators = simulators
        self.spoil: Callable[[bytes], bytes] = bytes
        self.sent: list[bytes] = []

    def answer(self, request: bytes) -> bytes:
        """Answer as those on the wire do."""
        self.sent.append(request)
        return self.spoil(b"".join(simulator.answer(request) for simulator in self.simulators))

    def play(self) -> list[Chunk]:
        """What they say unasked."""
        return [chunk for simulator in self.simulators for chunk in simulator.play()]


class Bench:
    """One lock board on a wire."""

    def __init__(self, family: str, **options: object) -> None:
        self.options = LockBoardOptions.model_validate({"family": family, **options})
        self.board = LockBoardSimulator(self.options, Site())
        self.driver = LockBoard(self.options, Site())
        self.clock = FakeClock()
        self.wire = Between(self.board)
        self.link = ByteLink("wire", lambda: SimulatedPort([self.wire], self.clock), self.clock)
        self.link.open()

    def poll(self) -> dict[str, object]:
        """Poll once; the doors."""
        return {record.point: record.value for record in self.driver.poll(self.link) if isinstance(record, Reading)}

    def open(self, lock: int) -> None:
        """Send the open command."""
        assert not list(self.driver.act(self.link, Command("open", {"lock": lock})))

    def hear(self, data: bytes) -> list[Record]:
        """Let bytes come unasked."""
        return list(self.driver.feed(Chunk(0.0, data)))


def decode(vector: vectors.Vector) -> dict[str, Any]:
    """What the decoder says of a vector."""
    options = {key: str(value) for key, value in vector.extra.items() if isinstance(value, str | int)}
    options |= {"feedback": vector.decoded["feedback"]} if "feedback" in vector.decoded else {}
    capture = Capture(vector.frame, vector.direction, vector.kind, options=options)
    return dict(DECODERS[vector.extra["protocol"]](capture))


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_captured_frames(vector: vectors.Vector) -> None:
    """Every captured frame is explained with the values it is known to have; a bad one is refused."""
    if not vector.valid:
        with pytest.raises(DeviceError):
            decode(vector)
        return
    told = decode(vector)
    assert {key: told.get(key) for key in vector.decoded} == vector.decoded


@pytest.mark.parametrize(
    ("protocol", "frame", "options", "expected"),
    [
        ("lockboard_8a80", "8a01030099", {}, None),
        ("lockboard_8a80", "8a01031199", {}, {"board": 1, "lock": 3, "meaning_in_source": "failed"}),
        ("lockboard_8a80", "8005ff33 49", {}, {"bits_set": [1, 2, 3, 4, 5, 6, 7, 8], "open": []}),
        ("lockboard_8a80", "8002050333b7", {"set_bit": "open", "locks": "16"}, {"open": [1, 2, 9, 11]}),
        ("lockboard_8a80", "8002050333b7", {"locks": "many"}, None),
        ("lockboard_8a80", "8002f00333" + "42", {"set_bit": "open"}, {"open": [1, 2, 13, 14, 15, 16]}),
        ("lockboard_wkly", OPEN_3.hex(), {}, {"command": 133, "board": 1, "lock": 3, "state": "open"}),
        ("lockboard_wkly", OPEN_3.hex(), {"set_bit": "open"}, {"state": "closed"}),
        ("lockboard_wkly", "574b4c590a0085 04ff7d", {}, {"lock": 4, "state": "unknown"}),
        ("lockboard_wkly", "574b4c590a00810001 83", {}, {"command": 129, "status": 0, "lock": 1}),
        ("lockboard_wkly", "574b4c59090082ff7d", {}, {"command": 130, "status": 255}),
        ("lockboard_wkly", "574b4c59080084 85", {}, None),
        ("lockboard_kerong", "02003501800000 03 bb", {}, {"bits_set": [1, 16], "infrared_set": [], "board": 0}),
        ("lockboard_kerong", "0230350000010003 6b", {}, {"board": 3, "bits_set": [], "infrared_set": [1]}),
        ("lockboard_kerong", "02000075 06 010000000080 fe", {}, {"bits_set": [1, 48], "status": 117}),
        ("lockboard_kerong", "02010475007c", {}, {"variant": "CU48", "board": 1, "lock": 4, "status": 117}),
        ("lockboard_kerong", "02010475017d", {}, None),
    ],
)
def test_frames_beyond_the_captured_ones(
    protocol: str, frame: str, options: dict[str, str], expected: dict[str, object] | None
) -> None:
    """Other frames of the families are explained too, whichever way the doors are wired; misfits are refused."""
    capture = Capture(bytes.fromhex(frame), options=options)
    if expected is None:
        with pytest.raises(DeviceError):
            DECODERS[protocol](capture)
        return
    told = DECODERS[protocol](capture)
    assert {key: told.get(key) for key in expected} == expected


def test_a_stream_is_searched_for_its_frames() -> None:
    """Of bytes as read from a line the first good frame is explained, and how many there are."""
    noisy = b"\x00WKLY\xff" + OPEN_3 + b"\x57" + OPEN_3
    told = DECODERS["lockboard_wkly"](Capture(noisy, kind="stream"))
    assert (told["frames"], told["lock"]) == (2, 3)
    with pytest.raises(DeviceError):
        DECODERS["lockboard_wkly"](Capture(b"WKLY", kind="stream"))


@given(st.binary(max_size=40), st.sampled_from(sorted(DECODERS)), st.sampled_from(["request", "response"]))
def test_any_bytes_are_explained_or_refused(data: bytes, protocol: str, direction: str) -> None:
    """Decoders answer or raise DeviceError, whatever they are given, sealed or not."""
    starts = {"lockboard_8a80": b"\x80", "lockboard_wkly": wkly.MAGIC, "lockboard_kerong": b"\x02"}
    sealed = wkly.Frame(1, data[0] if data else 0x84, data[1:]).encode()
    summed = b"\x02" + data
    for frame in (data, starts[protocol] + data, sealed, summed + bytes((sum(summed) & 0xFF,))):
        try:
            DECODERS[protocol](Capture(frame, direction))
        except DeviceError:
            continue


@given(st.binary(max_size=60))
def test_searching_survives_any_bytes(data: bytes) -> None:
    """What is found is whole and checked, and little of the rest is kept for later."""
    assert all(found == frame.encode() for frame, found in wkly.find(data))
    assert all(found == frame.encode() for frame, found in kerong.find_16(data))
    assert all(found == reply.encode() for reply, found in kerong.find_48(data, 6))
    assert len(wkly.unfinished(data)) < 255


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200))
def test_wkly_frames_survive_the_wire(board: int, command: int, data: bytes) -> None:
    """What is sent is what is read, alone and behind noise."""
    frame = wkly.Frame(board, command, data)
    assert wkly.decode(frame.encode()) == frame
    assert frame in [found for found, _ in wkly.find(b"\x00WK" + frame.encode() + b"\xff")]


@given(st.integers(0, 15), st.integers(0, 15), st.binary(min_size=4, max_size=4))
def test_kerong_frames_survive_the_wire(board: int, lock: int, data: bytes) -> None:
    """What is sent is what is read, of both makes of board."""
    frame = kerong.Frame16(board, lock, kerong.STATE, data)
    assert kerong.decode_16(frame.encode()) == frame
    reply = kerong.Reply48(board, lock, kerong.DONE_48, data)
    assert kerong.decode_reply_48(reply.encode()) == reply
    request = kerong.Request48(board, lock, kerong.UNLOCK_48)
    assert kerong.decode_request_48(request.encode()) == request
    assert kerong.packed(kerong.bits(data, 32), 4) == data


@given(st.sampled_from(FAMILIES), st.integers(0, 1000))
def test_single_bit_errors_are_refused(family: str, bit: int) -> None:
    """No answer with one flipped bit is taken for the doors."""
    bench = Bench(family)
    question = bench.driver._family.query()
    answer = bytearray(bench.board.answer(question.request))
    assert question.reply.find(bytes(answer)) == bytes(answer)
    bit %= len(answer) * 8
    answer[bit // 8] ^= 1 << bit % 8
    assert question.reply.find(bytes(answer)) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_opening(family: str) -> None:
    """A door opens, the poll after it tells so, and the command is sent once."""
    bench = Bench(family)
    bench.open(5)
    assert bench.poll()["lock_05"] == "open"
    assert bench.board.is_open(5)
    command = bench.driver._family.open(5).request
    assert bench.wire.sent.count(command) == 1


@pytest.mark.parametrize("family", ["8a80", "wkly", "kerong_cu48"])
def test_refused_opening(family: str) -> None:
    """A board that says that a lock did not open is believed, and the command is not repeated."""
    bench = Bench(family)
    bench.board.jam(5)
    with pytest.raises(DeviceError, match="did not open lock 5"):
        bench.open(5)
    assert bench.wire.sent.count(bench.driver._family.open(5).request) == 1


def test_unconfirmed_opening() -> None:
    """A CU16 need not answer a command: the doors afterwards say what became of it."""
    bench = Bench("kerong_cu16")
    unlock = bench.driver._family.open(5).request
    bench.wire.spoil = lambda answer: b"" if bench.wire.sent[-1] == unlock else answer
    bench.open(5)
    assert bench.poll()["lock_05"] == "open"
    bench.board.jam(6)
    bench.open(6)
    assert bench.poll()["lock_06"] == "closed"
    assert bench.wire.sent.count(unlock) == 1


def test_confirmed_opening_that_is_not_answered() -> None:
    """Where an answer belongs to the command, silence is an error."""
    bench = Bench("wkly")
    opening = bench.driver._family.open(5).request
    bench.wire.spoil = lambda answer: b"" if bench.wire.sent[-1] == opening else answer
    with pytest.raises((LinkTimeout, DeviceError)):
        bench.open(5)
    assert bench.wire.sent.count(opening) == 1


def test_infrared_feedback() -> None:
    """A CU16's other two bytes can be the ones that tell the doors."""
    bench = Bench("kerong_cu16", feedback="infrared", set_bit="open")
    bench.board.open_door(2)
    doors = bench.poll()
    assert [point for point, state in doors.items() if state == "open"] == ["lock_02"]


def test_wkly_board_of_another_size() -> None:
    """A board that reports another number of locks than configured is an error that names both."""
    bench = Bench("wkly", locks=8)
    bench.wire.spoil = lambda _: wkly.Frame(1, wkly.QUERY_ALL, bytes((0, 4, 0, 1, 1, 0))).encode()
    with pytest.raises(DeviceError, match="4 locks, 8 are configured"):
        bench.poll()


@pytest.mark.parametrize("data", [b"\xff", b"\x00\x03\x01\x01"])
def test_wkly_board_that_fails(data: bytes) -> None:
    """A refusal and a list of another length than said are errors."""
    bench = Bench("wkly", locks=3)
    bench.wire.spoil = lambda _: wkly.Frame(1, wkly.QUERY_ALL, data).encode()
    with pytest.raises(DeviceError):
        bench.poll()


def test_cu48_that_fails() -> None:
    """A status with the mark of failure is an error."""
    bench = Bench("kerong_cu48")
    bench.wire.spoil = lambda _: kerong.Reply48(1, 0, kerong.FAILED_48, bytes(6)).encode()
    with pytest.raises(DeviceError, match="failed"):
        bench.poll()


def test_door_that_the_board_does_not_know() -> None:
    """FF is no door state: the reading is bad and has no value."""
    bench = Bench("wkly", locks=2)
    bench.wire.spoil = lambda _: wkly.Frame(1, wkly.QUERY_ALL, bytes((0, 2, 1, 0xFF))).encode()
    readings = [record for record in bench.driver.poll(bench.link) if isinstance(record, Reading)]
    assert [(r.value, r.quality) for r in readings] == [("closed", Quality.GOOD), (None, Quality.BAD)]


def test_a_board_reports_its_door() -> None:
    """A report is told at once, in pieces too, and the next poll needs no second question to believe it."""
    bench = Bench("wkly")
    assert isinstance(bench.driver, Listener)
    assert bench.driver.lines() == ()
    assert list(bench.driver.quiet(1.0)) == []
    assert bench.hear(OPEN_3[:7]) == []
    assert bench.hear(OPEN_3[7:]) == [Reading("lock_03", "open", prompt=True)]
    bench.poll()
    bench.board.open_door(3)
    bench.hear(b"".join(chunk.data for chunk in bench.board.play()))
    before = len(bench.wire.sent)
    assert bench.poll()["lock_03"] == "open"
    assert len(bench.wire.sent) == before + 1


def test_what_is_no_report_of_this_board_is_passed_over() -> None:
    """Other boards' reports, answers, locks that are not there, noise and other families' bytes tell nothing."""
    bench = Bench("wkly")
    others = [
        wkly.Frame(2, wkly.REPORT, b"\x03\x00"),
        wkly.Frame(1, wkly.QUERY, b"\x00\x03\x00"),
        wkly.Frame(1, wkly.REPORT, b"\x0d\x00"),
        wkly.Frame(1, wkly.REPORT, b"\x03"),
    ]
    assert bench.hear(b"WKLY\x00".join(frame.encode() for frame in others)) == []
    assert Bench("8a80").hear(OPEN_3) == []
    assert bench.hear(wkly.Frame(1, wkly.REPORT, b"\x03\x07").encode())[0] == Reading(
        "lock_03", None, prompt=True, quality=Quality.BAD, why="the board cannot tell this door"
    )


@given(st.integers(0, len(OPEN_3) * 8 - 1))
def test_a_damaged_report_tells_nothing(bit: int) -> None:
    """No report with one flipped bit is believed."""
    bad = bytearray(OPEN_3)
    bad[bit // 8] ^= 1 << bit % 8
    assert Bench("wkly").hear(bytes(bad) + b"\x00" * 300) == []


def test_no_report_is_lost_however_the_pair_is_used() -> None:
    """A door that opens and shuts again while neighbours are polled is told open and told closed."""
    clock = FakeClock()
    options = [LockBoardOptions(family="wkly", address=1), LockBoardOptions(family="8a80", address=2)]
    boards = [LockBoardSimulator(each, Site()) for each in options]
    wire = Between(*boards)
    told: list[tuple[str, object]] = []

    class Sink:
        """Notes what is said of door 3."""

        def submit(self, device: str, records: object, at: float | None = None) -> None:
            told.extend((device, r.value) for r in records if isinstance(r, Reading) and r.point == "lock_03")  # type: ignore[attr-defined]

        def submit_durably(self, device: str, records: object, state: object, within: float) -> bool:
            raise AssertionError

        def unreachable(self, device: str, why: str, records: object = ()) -> None:
            raise AssertionError(why)

    moves = iter([None, None, boards[0].open_door, boards[0].close_door, None, boards[0].open_door] + [None] * 1000)

    def move(answer: bytes) -> bytes:
        if act := next(moves):
            act(3)
        return answer

    wire.spoil = move
    link = ByteLink("pair", lambda: SimulatedPort([wire], clock), clock)
    slots = [
        Slot(name, LockBoard(each, Site()), every=1.0) for name, each in zip(("wkly", "old"), options, strict=True)
    ]
    worker = Worker(link, slots, Sink(), clock)
    for _ in range(20):
        clock.advance(max(worker.step(), 0.01))
    states = [value for device, value in told if device == "wkly"]
    changes = [value for before, value in zip([None, *states], states, strict=False) if value != before]
    assert changes == ["closed", "open", "closed", "open"]
    assert {value for device, value in told if device == "old"} == {"closed"}
    assert worker.statistics()["wkly"].good <= 20


@pytest.mark.parametrize(
    "options",
    [
        {"address": 0},
        {"family": "kerong_cu16", "address": 10},
        {"family": "kerong_cu16", "address": 1, "locks": 17},
        {"feedback": "infrared"},
        {"family": "wkly", "opened_status": "00"},
    ],
)
def test_impossible_options(options: dict[str, object]) -> None:
    """A configuration that cannot work is refused with what to do."""
    with pytest.raises(ValidationError):
        LockBoardOptions.model_validate(options)


@pytest.mark.parametrize("family", FAMILIES)
def test_boards_keep_to_their_own(family: str) -> None:
    """A simulated board answers neither other boards nor nonsense."""
    board = Bench(family, address=2).board
    other = Bench(family, address=3).driver._family
    for request in (other.query().request, other.open(1).request, b"", b"\x02\x00", OPEN_3):
        assert board.answer(request) == b""
