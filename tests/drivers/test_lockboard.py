"""The lock board: frames, doors, opening, and what noise must not do."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.lockboard import DRIVER
from drivers.lockboard import codec_8a80 as codec
from drivers.lockboard.driver import LockBoard, LockBoardOptions
from drivers.lockboard.simulator import LockBoardSimulator
from edge_agent.clock import FakeClock
from edge_agent.driver import Actor, Command, DeviceError, Driver, LinkTimeout, Reading, Site
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.simulated import SimulatedPort
from tests.drivers import vectors

FAMILIES = ["8a80", "wkly", "kerong_cu16", "kerong_cu48"]
VECTORS = list(vectors.load(Path(codec.__file__).parent / "vectors" / "lockboard_8a80.jsonl"))


class Bench:
    """A lock board on a wire; `spoil` changes what comes back, `echo` repeats what is sent."""

    def __init__(self, echo: str = "auto", *, echoes: bool = False, **options: object) -> None:
        self.options = LockBoardOptions.model_validate(options)
        self.board = LockBoardSimulator(self.options, Site())
        self.driver = LockBoard(self.options, Site())
        self.clock = FakeClock()
        self.spoil: Callable[[bytes], bytes] = bytes
        self.asked = 0
        self.echoes = echoes
        timing = Timing(echo=echo)  # type: ignore[arg-type]
        self.link = ByteLink("wire", lambda: SimulatedPort([self], self.clock), self.clock, timing)
        self.link.open()

    def answer(self, request: bytes) -> bytes:
        """Stand between the wire and the board."""
        self.asked += 1
        echo = request if self.echoes else b""
        return echo + self.spoil(self.board.answer(request))

    def play(self) -> tuple[()]:
        """Nothing comes unasked."""
        return ()

    def poll(self) -> dict[str, object]:
        """Poll once; the doors."""
        return {record.point: record.value for record in self.driver.poll(self.link) if isinstance(record, Reading)}

    def open(self, lock: int) -> None:
        """Send the open command."""
        assert not list(self.driver.act(self.link, Command("open", {"lock": lock})))


def test_is_a_driver() -> None:
    """The package offers a polled device that can act."""
    assert DRIVER is LockBoard
    assert isinstance(Bench().driver, Driver)
    assert isinstance(Bench().driver, Actor)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.direction == "request"], ids=str)
def test_requests_match_the_vectors(vector: vectors.Vector) -> None:
    """Commands and questions are byte for byte those seen."""
    board, lock = vector.decoded["board"], vector.decoded.get("lock", 0)
    if vector.decoded["command"] in {"open", "open_all"}:
        assert codec.open_request(board, lock) == vector.frame
    elif vector.decoded["command"] == "query_all":
        assert codec.query_all_request(board) == vector.frame
    else:
        assert codec.seal(bytes((codec.QUERY, board, lock, codec.ASK))) == vector.frame


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.direction == "response"], ids=str)
def test_responses_match_the_vectors(vector: vectors.Vector) -> None:
    """Every good answer decodes to its values, every bad one is refused."""
    if not vector.valid:
        assert not codec.sealed(vector.frame)
        return
    board = vector.decoded["board"]
    noisy = b"\xff\x80" + vector.frame + b"\x00"
    if "bitmap_hex" in vector.decoded:
        assert codec.find_query_all_reply(noisy, board, 12) == vector.frame
        bits = codec.bits(vector.frame, 12)
        assert [lock for lock, bit in enumerate(bits, start=1) if bit] == vector.decoded["bits_set"]
        assert [lock for lock, bit in enumerate(bits, start=1) if not bit] == vector.decoded["open"]
        assert codec.bitmap_reply(board, bits) == vector.frame
    elif vector.frame[0] == codec.OPEN:
        assert codec.find_open_reply(noisy, board, vector.decoded["lock"]) == vector.frame
    else:
        assert codec.sealed(vector.frame)


@given(st.binary(max_size=60))
def test_any_bytes_are_survived(data: bytes) -> None:
    """Garbage is never more than "no frame"."""
    for found in (codec.find_query_all_reply(data, 1, 12), codec.find_open_reply(data, 1, 1)):
        assert found is None or codec.sealed(found)


@given(st.lists(st.booleans(), min_size=12, max_size=12), st.data())
def test_single_bit_errors_are_refused(states: list[bool], data: st.DataObject) -> None:
    """No frame with one flipped bit is accepted."""
    frame = bytearray(codec.bitmap_reply(1, tuple(states)))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    assert codec.find_query_all_reply(bytes(frame), 1, 12) is None


@pytest.mark.parametrize("set_bit", ["closed", "open"])
@pytest.mark.parametrize("family", FAMILIES)
def test_doors(family: str, set_bit: str) -> None:
    """Doors are told as open or closed whichever way the feedback is wired."""
    bench = Bench(family=family, set_bit=set_bit, address=3, locks=16)
    assert set(bench.poll().values()) == {"closed"}
    bench.board.open_door(16)
    doors = bench.poll()
    assert doors.pop("lock_16") == "open"
    assert set(doors.values()) == {"closed"}
    assert len(doors) == 15


def test_doors_are_prompt() -> None:
    """A door is told at once and at any change."""
    readings = [record for record in Bench().driver.poll(Bench().link) if isinstance(record, Reading)]
    assert all(reading.prompt and reading.change == 0 for reading in readings)


@pytest.mark.parametrize("family", ["8a80", "kerong_cu16", "kerong_cu48"])
def test_an_unchanged_picture_costs_one_question(family: str) -> None:
    """Only news is asked for twice."""
    bench = Bench(family=family)
    bench.poll()
    before = bench.asked
    bench.poll()
    assert bench.asked == before + 1
    bench.board.open_door(2)
    bench.poll()
    assert bench.asked == before + 3


def test_false_bitmap_with_a_right_check_is_not_believed() -> None:
    """Two flipped bits pass the XOR; the picture they make is not told."""
    bench = Bench()
    bench.poll()
    wrong = iter([True, False, False, False])
    bench.spoil = lambda answer: codec.bitmap_reply(1, (False,) * 12) if next(wrong, False) else answer
    assert set(bench.poll().values()) == {"closed"}


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_false_from_a_noisy_wire(family: str) -> None:
    """With one byte in seven flipped no door ever shows a wrong state, and polls still succeed."""
    bench = Bench(family=family)
    chance = random.Random(7)
    bench.poll()

    def spoil(answer: bytes) -> bytes:
        return bytes(byte ^ 1 << chance.randrange(8) if chance.random() < 1 / 7 else byte for byte in answer)

    bench.spoil = spoil
    good = 0
    for turn in range(300):
        lock = turn // 10 % 12 + 1
        (bench.board.open_door if turn % 20 < 10 else bench.board.close_door)(lock)
        truth = {f"lock_{n:02d}": "open" if bench.board.is_open(n) else "closed" for n in range(1, 13)}
        try:
            assert bench.poll() == truth
            good += 1
        except (DeviceError, LinkTimeout):
            continue
    assert good > {"8a80": 150, "wkly": 8}.get(family, 20)
    bench.spoil = bytes
    assert len(bench.poll()) == 12


def test_silent_board_times_out_once() -> None:
    """A board that does not answer costs one timeout."""
    bench = Bench()
    bench.spoil = lambda _answer: b""
    with pytest.raises(LinkTimeout):
        bench.poll()
    assert bench.asked == 1


def test_doors_that_change_with_every_answer() -> None:
    """States that never repeat are a fault, not doors."""
    bench = Bench()
    flips = iter(range(12))
    bench.spoil = lambda _answer: codec.seal(bytes((codec.QUERY, 1, 0, 1 << next(flips), codec.ASK)))
    with pytest.raises(DeviceError, match="differ with every answer"):
        bench.poll()


@pytest.mark.parametrize("opened", ["00", "11"])
@pytest.mark.parametrize("echoes", [False, True])
def test_opening(opened: str, *, echoes: bool) -> None:
    """A door opens and the poll after it tells, with either status byte and on a wire with or without echo."""
    bench = Bench(opened_status=opened, echoes=echoes)
    bench.open(5)
    assert bench.board.is_open(5)
    assert bench.poll()["lock_05"] == "open"


@pytest.mark.parametrize("echoes", [False, True])
def test_refused_opening(*, echoes: bool) -> None:
    """A jammed lock is an error, though its answer looks like the command's echo; nothing is tried again."""
    bench = Bench(echoes=echoes)
    bench.board.jam(5)
    sent = []
    bench.link.tap = lambda direction, data: sent.append(data) if direction == ">" else None
    with pytest.raises(DeviceError, match="did not open lock 5"):
        bench.open(5)
    assert sent.count(codec.open_request(1, 5)) == 1


def test_open_is_never_repeated() -> None:
    """A lost answer leaves the door's state to the next poll."""
    bench = Bench()
    bench.spoil = lambda answer: b"" if answer[:1] == b"\x8a" else answer
    sent = []
    bench.link.tap = lambda direction, data: sent.append(data) if direction == ">" else None
    with pytest.raises(LinkTimeout):
        bench.open(5)
    assert sent.count(codec.open_request(1, 5)) == 1
    assert bench.poll()["lock_05"] == "open"


@pytest.mark.parametrize(
    "command",
    [Command("open"), Command("open", {"lock": 13}), Command("open", {"lock": True}), Command("close", {"lock": 1})],
)
def test_impossible_commands(command: Command) -> None:
    """Unknown verbs and locks are refused before anything is sent."""
    bench = Bench()
    with pytest.raises(DeviceError):
        list(bench.driver.act(bench.link, command))
    assert bench.asked == 0


def test_other_boards_are_left_alone() -> None:
    """A board answers neither another board's questions nor garbage."""
    board = Bench(address=2).board
    assert board.answer(codec.query_all_request(1)) == b""
    assert board.answer(b"\x00\x01") == b""
    assert list(board.play()) == []
