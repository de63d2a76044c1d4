"""The agent as a process: killed at random, the broker restarted at random; no visit or alarm lost, none told twice."""

import faulthandler
import json
import os
import random
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

from edge_agent.demo.station import SimulatedStation
from edge_agent.demo.wire import PtyWire
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS
from tests.stations import HEAD, READER, Agent, Centre, centre, far_ends, wait_for

KILLS = int(os.environ.get("KILLS", "50"))
_FRAME = 14
SAFE_S = 0.25
"""A swipe whose last byte was on the wire this long before a kill must have been accepted."""
BATTERY = """
# The torment toggles alarms faster than any station does; each of them is to be told.
[alarms]
flapping = 100
flapping_window = "10s"

[[link]]
name = "rs485"
kind = "serial"
port = "/dev/serial/by-id/rs485"
max_reply_delay = "100ms"

[[device]]
name = "battery"
link = "rs485"
driver = "bms"
framing = "up"
address = 1
timeout = "100ms"
every = "50ms"
"""


def test_no_kill_loses_or_doubles_a_record(tmp_path: Path, memory: Path) -> None:
    """After many kills and broker stops the totals equal the journal, the sink and the swipes that had to count."""
    # A person may ask for hours of it.
    faulthandler.cancel_dump_traceback_later()
    rng = random.Random(20)
    with centre() as broker, far_ends(tmp_path, HEAD + READER + BATTERY, broker.thread.port, memory) as simulated:
        torment = Torment(simulated, broker, rng, tmp_path / "log")
        for _ in range(KILLS):
            torment.one_life()
        torment.heal()
        with Agent(simulated.path, tmp_path / "log") as agent:
            wait_for(lambda: _well_again(tmp_path), "every alarm to clear", within=30)
            wait_for(lambda: _all_arrived(tmp_path, broker), "everything at the sink", within=30)
            agent.stop()
    rows = _rows(tmp_path)
    visits = [row for row in rows["usage"] if row.type == "visit"]
    assert broker.last("usage")["lifetime"]["visits"] == len(visits)
    assert torment.must <= len(visits) <= torment.swiped
    _check_alarms(rows["alarm"])
    _check_complete(rows, broker)
    assert "Traceback" not in (tmp_path / "log").read_text()


class Torment:
    """What happens to the station while it works; `must` swipes have to be accepted of all that were `swiped`."""

    def __init__(self, simulated: SimulatedStation, broker: Centre, rng: random.Random, log: Path) -> None:
        self.must = self.swiped = 0
        self._simulated = simulated
        self._broker = broker
        self._rng = rng
        self._log = log
        self._down = self._ill = self._unplugged = False

    def one_life(self) -> None:
        """Start the agent, let people and faults come, and kill it."""
        times = []
        with Agent(self._simulated.path, self._log):
            until = time.monotonic() + self._rng.uniform(0.05, 0.7)
            while time.monotonic() < until:
                self.swiped += 1
                times.append(self._swipe(self.swiped))
                if self._rng.random() < 0.1:
                    self._restart_broker()
                if self._rng.random() < 0.2:
                    self._fall_ill(ill=not self._ill)
                if self._rng.random() < 0.05:
                    self._unplug(unplugged=not self._unplugged)
            killed = time.monotonic()
        self.must += sum(killed - said > SAFE_S for said in times)

    def heal(self) -> None:
        """Make everything well again."""
        if self._down:
            self._restart_broker()
        self._fall_ill(ill=False)
        self._unplug(unplugged=False)

    def _swipe(self, card: int) -> float:
        """Hold a card to the reader; return when its last byte was on the wire."""
        wire = self._simulated.wires["reader"]
        frame_end = wire.written + _FRAME
        self._simulated.simulators["door-reader"].swipe(card, stay=0)
        wait_for(partial(_said, wire, frame_end), "said")
        return time.monotonic()

    def _restart_broker(self) -> None:
        if self._down:
            self._broker.thread.start()
        else:
            self._broker.thread.stop(abrupt=True)
        self._down = not self._down

    def _fall_ill(self, *, ill: bool) -> None:
        """Let the battery's board report a protection, or that it is over."""
        self._ill = ill
        protections = ("discharge_over_current_1",) if ill else ()
        self._simulated.simulators["battery"].measure(soc_pct=80.0, temp_c=25.0, protections=protections)

    def _unplug(self, *, unplugged: bool) -> None:
        """Take the adapter of the battery's wire out, or put it back."""
        if unplugged is not self._unplugged:
            wire = self._simulated.wires["rs485"]
            wire.unplug() if unplugged else wire.plug()
        self._unplugged = unplugged


def _check_alarms(rows: list[Row]) -> None:
    """Both alarms came up, each was raised and cleared in turn, and is over now."""
    states = defaultdict(list)
    for row in rows:
        states[row.type].append(json.loads(row.body)["state"])
    assert {"battery_protection", "link_lost"} <= set(states)
    for told in states.values():
        assert told == ["raised", "cleared"] * (len(told) // 2)


def _check_complete(rows: dict[str, list[Row]], broker: Centre) -> None:
    """Every seq of every stream is at the sink once, with the content of the journal; there are no gaps to declare.

    What the agent said of its own end goes out with the next start.
    """
    assert broker.sink.conflicting == 0
    while rows["usage"][-1].type in {"service", "agent_stopped"}:
        rows["usage"].pop()
    for stream in STREAMS:
        told = {body["seq"]: body for body in broker.sink.of(stream).values() if body["seq"] <= rows[stream][-1].seq}
        assert sorted(told) == [row.seq for row in rows[stream]] == list(range(1, len(rows[stream]) + 1))
        for row in rows[stream]:
            # A time is stored as a stamp and told as a date.
            body = {key: value for key, value in json.loads(row.body).items() if key not in {"since", "from", "to"}}
            assert told[row.seq] | body == told[row.seq]


def _rows(directory: Path) -> dict[str, list[Row]]:
    """Return what has been accepted, by stream."""
    reader = Reader(directory / "journal")
    try:
        rows = list(reader.all_rows())
    finally:
        reader.close()
    return {stream: [row for row in rows if row.stream == stream] for stream in STREAMS}


def _well_again(directory: Path) -> bool:
    newest = {row.type: json.loads(row.body)["state"] for row in _rows(directory)["alarm"]}
    return set(newest.values()) == {"cleared"}


def _said(wire: PtyWire, end: int) -> bool:
    return wire.written >= end


def _all_arrived(directory: Path, broker: Centre) -> bool:
    rows = _rows(directory)
    total = broker.last("usage").get("lifetime", {}).get("visits")
    arrived = all(len(broker.sink.of(stream)) == len(rows[stream]) for stream in STREAMS)
    return arrived and total == sum(row.type == "visit" for row in rows["usage"])
