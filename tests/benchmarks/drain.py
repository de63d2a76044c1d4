"""How fast a backlog of 100,000 visits leaves, one message each, beside a bare paho QoS 1 loop; and what it holds up.

Same broker, same payload size and window of 20 for both, alternating. Memory is that of the draining process alone:
its peak, above what it needs with the journal open and nothing to send.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import time as day_time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.clock import SystemClock
from edge_agent.commands import Gate
from edge_agent.journal.journal import Batch, Journal
from edge_agent.journal.open import open_journal
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture
from edge_agent.ranges import Ranges
from edge_agent.recorder.recorder import Recorder
from edge_agent.recorder.recorder import Settings as RecorderSettings
from edge_agent.records import Alarm
from edge_agent.uplink.connection import Broker
from edge_agent.uplink.inbox import Inbox
from edge_agent.uplink.paho_connection import PahoConnection
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.uplink import Settings, Uplink
from tests.benchmarks.machine import memory
from tests.benchmarks.swipe import broker

ROWS = 100_000
RUNS = 5
WINDOW = 20
TOPICS = Topics("stations", "east", "d1", "s1")
_BODY = '{"reader":"door","direction":"in","credential":"card"}'
_BATCH = 10_000
_DEADLINE_S = 300.0


def raw(port: int, size: int) -> float:
    """Return messages a second of a loop that does nothing but publish and hear the acknowledgements."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(WINDOW)
    acknowledged = 0

    def on_publish(*_: object) -> None:
        nonlocal acknowledged
        acknowledged += 1

    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    while not client.is_connected():
        client.loop()
    topic, payload = TOPICS.event("door"), b"x" * size
    sent = 0
    began = time.perf_counter()
    while acknowledged < ROWS:
        while sent < ROWS and sent - acknowledged < WINDOW:
            client.publish(topic, payload, qos=1)
            sent += 1
        client.loop()
    took = time.perf_counter() - began
    client.disconnect()
    client.loop_write()
    return ROWS / took


def fill(journal: Journal) -> None:
    """Put the visits in."""
    for _ in range(ROWS // _BATCH):
        first = journal.reserve("usage", _BATCH)
        stamps = (journal.boot, 1000, 1_780_000_000_000, True)
        rows = [
            Row("usage", journal.epoch, seq, "door", "visit", *stamps, _BODY) for seq in range(first, first + _BATCH)
        ]
        journal.commit(Batch(rows=rows))


class Watch:
    """Hears what was acknowledged on its way to the Recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._forward = recorder.acknowledge
        self.usage = 0
        self.half = threading.Event()
        self.all = threading.Event()
        self.alarm = threading.Event()
        recorder.acknowledge = self._heard  # type: ignore[method-assign]

    def _heard(self, delivered: Mapping[tuple[str, int], Ranges]) -> None:
        for (stream, _), ranges in delivered.items():
            if stream == "usage":
                self.usage += ranges.total()
            elif stream == "alarm":
                self.alarm.set()
        if self.usage >= ROWS // 2:
            self.half.set()
        if self.usage >= ROWS:
            self.all.set()
        self._forward(delivered)


def ours(directory: Path, port: int) -> dict[str, float]:
    """Drain a backlog with an alarm in the middle; rate a second, seconds and bytes."""
    clock, picture = SystemClock(), Picture()
    journal = open_journal(directory, clock.boot_id).journal
    fill(journal)
    recorder = Recorder(journal, clock, RecorderSettings(Calendar(ZoneInfo("UTC"), day_time())), picture)
    watch = Watch(recorder)
    gate = Gate(recorder, clock, (), {})
    uplink = Uplink(
        Settings(TOPICS, dict, "bench", pace=0, window=WINDOW),
        reader=lambda: Reader(directory),
        connect=lambda will: PahoConnection(Broker("127.0.0.1", port, "s1", window=WINDOW), will),
        sink=recorder,
        gate=gate,
        inbox=Inbox(TOPICS, gate, clock),
        picture=picture,
        clock=clock,
    )
    recording = threading.Thread(target=recorder.run, args=(lambda _deadline: None,))
    recording.start()
    idle, peak = memory(), 0
    sending = threading.Thread(target=uplink.run, args=(lambda _deadline: None,))
    began = time.perf_counter()
    sending.start()
    assert watch.half.wait(_DEADLINE_S)
    alarm = time.perf_counter()
    recorder.submit("room", [Alarm("smoke", active=True)])
    assert watch.alarm.wait(_DEADLINE_S)
    overtook = time.perf_counter() - alarm
    while not watch.all.wait(0.05):
        peak = max(peak, memory())
        assert time.perf_counter() - began < _DEADLINE_S
    took = time.perf_counter() - began
    for stop, thread in ((uplink.stop, sending), (recorder.stop, recording)):
        stop()
        thread.join()
    journal.close()
    return {"rate": ROWS / took, "alarm": overtook, "memory": peak - idle}


def size() -> int:
    """Return the payload size of the visits drained."""
    head = '{"id":"s1/0123456789abcdef/usage/100000","epoch":"0123456789abcdef","seq":100000,"type":"visit",'
    return len(head + '"ts":"2026-05-28T20:26:40.000Z","clock":"synced","late":true,') + len(_BODY) - 1


def run(directory: Path) -> dict[str, Any]:
    """Measure both in turn, each in a process of its own."""
    directory.mkdir(parents=True)
    with broker(directory) as (name, port):
        pairs = [(_child("raw", "", port)["rate"], _child("ours", directory / str(i), port)) for i in range(RUNS)]
    return {
        "broker": name,
        "bare paho loop, messages/s": round(statistics.median(bare for bare, _ in pairs)),
        "drained, messages/s": round(statistics.median(mine["rate"] for _, mine in pairs)),
        "share": round(statistics.median(mine["rate"] / bare for bare, mine in pairs), 2),
        "alarm overtakes in ms": round(1e3 * statistics.median(mine["alarm"] for _, mine in pairs), 1),
        "memory above idle, MB": round(statistics.median(mine["memory"] for _, mine in pairs) / 1e6, 1),
    }


def _child(kind: str, directory: Path | str, port: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.drain", kind, str(directory), str(port)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout
    found: dict[str, float] = json.loads(output)
    return found


if __name__ == "__main__":
    which, where, to = sys.argv[1:]
    sys.stdout.write(json.dumps(ours(Path(where), int(to)) if which == "ours" else {"rate": raw(int(to), size())}))
