"""The agent as a process among peers that are not ours: a libmodbus slave, socat, mosquitto and mosquitto_sub."""

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.card_uart.codec import encode
from tests.peers import compile_slave, modbus_slave, pty_pair
from tests.stations import AIRCON, HEAD, READER, ROOM, Agent, mosquitto

BASE = "stations/v1/north/d1/test-001"
PATIENCE_S = 30.0
SECOND_WIRE = """
[[link]]
name = "rs485-2"
kind = "serial"
port = "/dev/serial/by-id/rs485-2"
"""

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_sub", "mosquitto_pub", "socat", "cc", "libmodbus")


class Subscriber:
    """`mosquitto_sub` on everything; `newest` has the payload of each topic below the station's."""

    def __init__(self, port: int) -> None:
        options = ["-h", "127.0.0.1", "-p", str(port), "-V", "mqttv5", "-q", "1"]
        subprocess.run(["mosquitto_pub", *options, "-t", "ready", "-m", "{}", "-r"], check=True)
        command = ["mosquitto_sub", *options, "-F", "%t %p", "-t", "stations/#", "-t", "ready"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.newest: dict[str, Any] = {}
        self._rest = b""
        self.until("a subscription", lambda seen: "ready" in seen)

    def until(self, what: str, met: Callable[[dict[str, Any]], object]) -> None:
        """Take messages until `met`."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE_S
        while not met(self.newest):
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self.process.stdout], [], [], left)[0], f"no {what}: {sorted(self.newest)}"
            *lines, self._rest = (self._rest + os.read(self.process.stdout.fileno(), 65_536)).split(b"\n")
            for line in lines:
                topic, _, payload = line.decode().partition(" ")
                self.newest[topic.removeprefix(f"{BASE}/")] = json.loads(payload) if payload else None


@contextlib.contextmanager
def subscriber(port: int) -> Iterator[Subscriber]:
    """Run one."""
    it = Subscriber(port)
    try:
        yield it
    finally:
        it.process.terminate()
        it.process.communicate(timeout=PATIENCE_S)


def test_foreign_peers_understand_the_agent(tmp_path: Path, memory: Path) -> None:
    """What a foreign slave holds and a card swiped reach a plain subscriber under the contract's topics."""
    text = HEAD + READER + ROOM + SECOND_WIRE + AIRCON.replace("rs485", "rs485-2")
    key = tmp_path / "card-key"
    key.touch(mode=0o600)
    key.write_text("5a" * 32, encoding="ascii")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(mosquitto(tmp_path))
        for name in ("reader", "rs485", "rs485-2"):
            stack.enter_context(pty_pair(memory / name, memory / f"{name}-far"))
        seen = stack.enter_context(subscriber(broker))
        for name, value in (
            ("/dev/serial/by-id", str(memory)),
            ("DIRECTORY", str(tmp_path)),
            ("BROKER", f"127.0.0.1:{broker}"),
            ("PAGE", "127.0.0.1:8080"),
        ):
            text = text.replace(name, value)
        path = tmp_path / "station.toml"
        path.write_text(text, encoding="utf-8")
        program = compile_slave(tmp_path)
        stack.enter_context(modbus_slave(program, memory / "rs485-2-far", 3))
        with modbus_slave(program, memory / "rs485-far", 1):
            agent = stack.enter_context(Agent(path, tmp_path / "log"))
            _check_values(seen)
            (memory / "reader-far").write_bytes(encode(1_234_567, "rdm6300"))
            _check_visit(seen)
        seen.until("alarm", lambda newest: newest.get("alarm/room/device_silent"))
        assert seen.newest["alarm/room/device_silent"]["state"] == "raised"
        agent.stop()
        seen.until("good-bye", lambda newest: newest["status"]["state"] == "offline")
        assert seen.newest["status"]["reason"] == "stopped"


def _check_values(seen: Subscriber) -> None:
    """Presence, self-description, the latest picture and the telemetry of both devices."""
    wanted = {"status", "info", "state/room", "state/aircon", "tele/room", "tele/aircon", "usage"}
    seen.until(f"one of {wanted}", lambda newest: wanted <= newest.keys())
    assert seen.newest["status"]["state"] == "online"
    info = seen.newest["info"]
    assert (info["contract"], info["station"]) == ("v1", "test-001")
    assert [device["device"] for device in info["devices"]] == ["door-reader", "room", "aircon"]
    for device, values in (
        ("room", {"temperature_c": 30.5, "humidity_pct": 54.6}),
        ("aircon", {"temperature_c": -10.1, "humidity_pct": 65.8, "current_a": 4.6, "state": "heating"}),
    ):
        points = seen.newest[f"state/{device}"]["points"]
        assert {name: point["value"] for name, point in points.items()} == values
        assert {point["quality"] for point in points.values()} == {"good"}
        sample = seen.newest[f"tele/{device}"]["samples"][-1]
        assert {name: sample[name] for name in values} == values


def _check_visit(seen: Subscriber) -> None:
    """A swipe is an event with an id, and counted."""
    seen.until("visit", lambda newest: newest["usage"]["lifetime"].get("visits"))
    assert seen.newest["usage"]["lifetime"]["visits"] == 1
    seen.until("event", lambda newest: "event/door-reader" in newest)
    event = seen.newest["event/door-reader"]
    assert event["type"] == "visit"
    assert event["id"] == f"test-001/{event['epoch']}/usage/1"
