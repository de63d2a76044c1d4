"""Captures of a wire, their replay, and the flight recorder that keeps them around a fault."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import Clock, FakeClock
from edge_agent.config.links import Link as LinkConfig
from edge_agent.demo.station import SimulatedStation, TrustedClock
from edge_agent.driver import Chunk, LinkError, LinkTimeout, Reading, ReplyShape
from edge_agent.errors import AgentError
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.capture import Piece, Replay, joined, lines, load
from edge_agent.links.flight import FlightRecorder
from edge_agent.links.host import HostLink
from edge_agent.links.owned import OwnedLink
from edge_agent.records import Record
from edge_agent.slot import Slot
from edge_agent.station import Station
from edge_agent.worker import Worker
from tests.stations import HEAD, READER, ROOM, wait_for

PIECES = [Piece(5.0, ">", b"\x01"), Piece(5.1, "<", b"\x02"), Piece(5.2, "<", b"\x03"), Piece(6.5, ">", b"\x04")]
pieces = st.lists(st.builds(Piece, st.floats(0, 100), st.sampled_from("<>"), st.binary(min_size=1, max_size=8)))


class Silent:
    """A device that never answers."""

    def poll(self, link: object) -> list[Record]:
        ask = link.ask  # type: ignore[attr-defined]
        return [Reading("text", ask(b"read /no/such", reply=ReplyShape("x", lambda data: data), within=1.0).decode())]


class Nowhere:
    """A sink that forgets."""

    def submit(self, device: str, records: object, at: float | None = None) -> None:
        """Forget."""

    def submit_durably(self, device: str, records: object, state: object, within: float) -> bool:
        """Forget."""
        return True

    def unreachable(self, device: str, why: str, records: object = ()) -> None:
        """Forget."""


def written(directory: Path) -> list[Path]:
    """The flight records, oldest first."""
    return sorted(directory.glob("*.jsonl"))


def test_a_capture_has_the_vectors_format() -> None:
    """Crumbs are joined, times count from the first piece, and an answer carries its question."""
    told = [json.loads(line) for line in lines(joined(PIECES), source="here", protocol="p")]
    assert [(entry["t_ms"], entry["dir"], entry["frame_hex"]) for entry in told] == [
        (0, ">", "01"),
        (100, "<", "0203"),
        (1500, ">", "04"),
    ]
    assert told[1]["request_hex"] == "01"
    assert {entry["protocol"] for entry in told} == {"p"}
    assert [entry["direction"] for entry in told] == ["request", "response", "request"]


@given(pieces)
def test_a_capture_loses_no_byte(tmp_path_factory: pytest.TempPathFactory, some: list[Piece]) -> None:
    """What is written is read back: the same bytes in the same directions."""
    file = tmp_path_factory.mktemp("capture") / "c.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines(joined(some), source="", protocol="")))
    for direction in "<>":
        sent = b"".join(piece.data for piece in some if piece.direction == direction)
        assert b"".join(piece.data for piece in load(file) if piece.direction == direction) == sent


@pytest.mark.parametrize("line", ["nonsense", "{}", "[]", '{"direction": "response", "frame_hex": "0"}'])
def test_a_file_that_is_no_capture_is_refused(tmp_path: Path, line: str) -> None:
    """The line is named."""
    file = tmp_path / "c.jsonl"
    file.write_text(line)
    with pytest.raises(AgentError, match=r"c\.jsonl:1: not a line of a capture"):
        load(file)
    with pytest.raises(AgentError, match="cannot be read"):
        load(tmp_path / "none.jsonl")


def test_a_capture_replays_as_a_simulator() -> None:
    """A question gets its answers in their order, then the last for ever; the rest is silence."""
    told = [(">", b"q"), ("<", b"one"), (">", b"q"), ("<", b"two"), (">", b"silent")]
    replay = Replay([Piece(0, "<", b"hello"), *(Piece(1, direction, data) for direction, data in told)])
    assert [replay.answer(b"q") for _ in range(3)] == [b"one", b"two", b"two"]
    assert replay.answer(b"silent") == replay.answer(b"never asked") == b""
    assert list(replay.play()) == [Chunk(0, data=b"hello")]
    assert list(replay.play()) == []


def test_a_fault_writes_what_was_before_and_after(tmp_path: Path) -> None:
    """The record is closed some pieces after the fault and says why."""
    flight = FlightRecorder("bus", tmp_path / "flight", FakeClock())
    flight.tap(">", b"before")
    flight.fault("meter is silent")
    assert written(tmp_path / "flight") == []
    for index in range(20):
        flight.tap("><"[index % 2], b"after")
    (file,) = written(tmp_path / "flight")
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert bytes.fromhex(told[0]["frame_hex"]) == b"before"
    assert told[0]["source"] == "link bus: meter is silent"
    assert len(told) == 17
    assert load(file)[1].data == b"after"


def test_all_is_well_writes_nothing(tmp_path: Path) -> None:
    """Without a fault there is no file, and memory stays bounded."""
    flight = FlightRecorder("bus", tmp_path, FakeClock())
    for _ in range(2000):
        flight.tap("<", b"x" * 100)
    flight.close()
    assert written(tmp_path) == []
    flight.fault("late")
    flight.close()
    (file,) = written(tmp_path)
    assert file.stat().st_size < 200_000


def test_repeated_faults_do_not_wear_the_card(tmp_path: Path) -> None:
    """One record in ten minutes, and only the last four are kept."""
    clock = FakeClock()
    flight = FlightRecorder("bus", tmp_path, clock)
    for _ in range(36):
        flight.tap(">", b"q")
        flight.fault("again")
        flight.close()
        clock.advance(300)
    assert len(written(tmp_path)) == 4


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    """The record is lost, the link goes on."""
    blocked = tmp_path / "flight"
    blocked.write_text("a file where the directory should be")
    flight = FlightRecorder("bus", blocked, FakeClock())
    flight.tap(">", b"q")
    flight.fault("why")
    flight.close()


def test_a_worker_records_a_device_that_falls_silent(tmp_path: Path) -> None:
    """The third miss freezes the record; it is written when the worker ends, if not before."""
    clock = FakeClock()
    link = HostLink("machine", clock, tmp_path)
    flight = FlightRecorder("machine", tmp_path / "flight", clock)
    link.tap = flight.tap
    worker = Worker(link, [Slot("room", Silent(), every=1.0)], Nowhere(), clock, flight)
    for _ in range(5):
        worker.step()
        clock.advance(1.0)
    worker.stop()
    worker.run(lambda _deadline: None)
    (file,) = written(tmp_path / "flight")
    assert "room is silent: /no/such cannot be read" in file.read_text()


def test_a_worker_records_a_lost_link_at_once(tmp_path: Path) -> None:
    """Nothing more will come on it, so the record is written now."""
    clock = FakeClock()

    class Lost(HostLink):
        """A link that is lost at the second question."""

        def _exchange(self, request: bytes, size: int, within: float) -> bytes:
            raise LinkError("unplugged", gone=True)

    link = Lost("machine", clock, tmp_path)
    flight = FlightRecorder("machine", tmp_path / "flight", clock)
    link.tap = flight.tap
    Worker(link, [Slot("room", Silent())], Nowhere(), clock, flight).step()
    (file,) = written(tmp_path / "flight")
    assert "link lost: unplugged" in file.read_text()


def test_timeouts_of_one_device_are_no_fault_of_the_link(tmp_path: Path) -> None:
    """A single miss is recorded nowhere."""
    clock = FakeClock()
    link = HostLink("machine", clock, tmp_path)
    flight = FlightRecorder("machine", tmp_path / "flight", clock)
    link.tap = flight.tap
    link.open()
    with pytest.raises(LinkTimeout):
        Silent().poll(link)
    flight.close()
    assert written(tmp_path / "flight") == []


def test_a_link_with_a_reader_has_no_recorder(tmp_path: Path) -> None:
    """Both ports are lost; only the one without personal bytes is written down, and nobody taps the other."""
    text = HEAD + READER + ROOM
    ends = SimulatedStation(tmp_path, broker="127.0.0.1:1", page="127.0.0.1:0", text=text)
    flight = tmp_path / "journal" / "flight"
    wires: dict[str, OwnedLink] = {}

    def make(link: LinkConfig, clock: Clock) -> OwnedLink:
        wires[link.name] = ends.make(link, clock)
        return wires[link.name]

    ends.start()
    try:
        with Station(ends.config, clock=TrustedClock(), make=make) as station:
            wait_for(lambda: station.statistics()["room"].good > 0, "room polled")
            ends.simulators["door-reader"].swipe(9357203)
            wait_for(lambda: station.picture.view.totals.lifetime.get("visits") == 1, "visit")
            for wire in ends.wires.values():
                wire.unplug()
            wait_for(lambda: len(station.picture.view.alarms) >= 2, "both links lost")
            wait_for(lambda: bool(written(flight)), "a flight record")
        assert {file.name.split(".")[0] for file in written(flight)} == {"rs485"}
        taps = {name: link.tap for name, link in wires.items() if isinstance(link, ByteLink)}
        assert taps["reader"] is None
        assert taps["rs485"] is not None
    finally:
        ends.stop()
