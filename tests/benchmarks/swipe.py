"""From the last byte of a card to the commit to the broker's acknowledgement, beside a bare commit and publish."""

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from drivers.card_uart.codec import encode
from edge_agent.ranges import Ranges
from edge_agent.station import Station
from tests.benchmarks.machine import percentile
from tests.stations import HEAD, READER, centre, far_ends, mosquitto, running, wait_for

SWIPES = 300
_BODY = b'{"id":"test-001/0000000000000000/usage/1","type":"visit","reader":"door"}' + b" " * 120


@contextlib.contextmanager
def broker(directory: Path) -> Iterator[tuple[str, int]]:
    """Run mosquitto if there is one, else the embedded broker; yields its name and port."""
    if shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin"):
        with mosquitto(directory) as port:
            yield "mosquitto", port
        return
    with centre() as embedded:
        yield "embedded broker", embedded.thread.port


class Stopwatch:
    """Notes when a visit is committed and when the broker has it."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._seen = self._visits()
        self.committed = threading.Event()
        self.acknowledged = threading.Event()
        self.commit_at = self.ack_at = 0.0
        self._acknowledge = station.recorder.acknowledge
        station.picture.subscribe(self._look)
        station.recorder.acknowledge = self._heard  # type: ignore[method-assign]

    def _visits(self) -> int:
        return self._station.picture.view.totals.lifetime.get("visits", 0)

    def _look(self) -> None:
        if self._visits() > self._seen:
            self._seen = self._visits()
            self.commit_at = time.perf_counter()
            self.committed.set()

    def _heard(self, delivered: Mapping[tuple[str, int], Ranges]) -> None:
        if any(stream == "usage" for stream, _ in delivered):
            self.ack_at = time.perf_counter()
            self.acknowledged.set()
        self._acknowledge(delivered)


def ours(directory: Path, port: int) -> tuple[list[float], list[float]]:
    """Return seconds to the commit and to the acknowledgement of each swipe, through a real pseudo-terminal."""
    text = (HEAD + READER).replace('double_swipe = "1s"', 'double_swipe = "0s"')
    commits, acks = [], []
    with far_ends(directory, text, port) as ends, running(ends) as station:
        wait_for(lambda: station.picture.view.uplink.online, "online")
        watch = Stopwatch(station)
        master = ends.wires["reader"]._master
        assert master is not None
        for card in range(1, SWIPES + 1):
            watch.committed.clear()
            watch.acknowledged.clear()
            frame = encode(card, "rdm6300")
            os.write(master, frame[:-1])
            began = time.perf_counter()
            os.write(master, frame[-1:])
            assert watch.committed.wait(5.0)
            assert watch.acknowledged.wait(5.0)
            commits.append(watch.commit_at - began)
            acks.append(watch.ack_at - began)
    return commits, acks


def raw(directory: Path, port: int) -> list[float]:
    """Return seconds of one bare SQLite commit followed by one bare QoS 1 publish until its PUBACK."""
    db = sqlite3.connect(directory / "raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body TEXT)")
    acknowledged = threading.Event()

    def on_publish(_client: mqtt.Client, _data: object, _mid: int, _code: ReasonCode, _properties: object) -> None:
        acknowledged.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    took = []
    try:
        wait_for(client.is_connected, "connected")
        for _ in range(SWIPES):
            acknowledged.clear()
            began = time.perf_counter()
            db.execute("INSERT INTO row (body) VALUES (?)", (_BODY,))
            client.publish("raw", _BODY, qos=1)
            assert acknowledged.wait(5.0)
            took.append(time.perf_counter() - began)
    finally:
        client.disconnect()
        client.loop_stop()
        db.close()
    return took


def run(directory: Path) -> dict[str, Any]:
    """Measure both against the same broker; milliseconds."""
    for part in ("raw", "ours"):
        (directory / part).mkdir(parents=True)
    with broker(directory) as (name, port):
        bare = raw(directory / "raw", port)
        commits, acks = ours(directory / "ours", port)
    return {
        "broker": name,
        "bare commit + publish, p50 ms": _ms(bare, 0.5),
        "bare commit + publish, p99 ms": _ms(bare, 0.99),
        "last byte to commit, p50 ms": _ms(commits, 0.5),
        "last byte to commit, p99 ms": _ms(commits, 0.99),
        "last byte to PUBACK, p50 ms": _ms(acks, 0.5),
        "last byte to PUBACK, p99 ms": _ms(acks, 0.99),
    }


def _ms(values: list[float], share: float) -> float:
    return round(percentile(values, share) * 1e3, 1)
