"""A command from the centre to a device, through a real broker, the gate, the Worker and a pseudo-terminal."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from drivers.lockboard import codec_8a80
from edge_agent.commands import CommandRefused, Request
from edge_agent.demo.station import SimulatedStation
from edge_agent.driver import Command
from edge_agent.orders import Acted
from edge_agent.station import Station
from tests.stations import AIRCON, HEAD, ROOM, Centre, centre, far_ends, running, wait_for

BASE = "stations/v1/north/d1/test-001"
ALLOW = '[commands]\nallow = ["journal/*", "aircon/cool", "aircon/off", "lockers/*"]\n'
LOCKERS = """
[[device]]
name = "lockers"
link = "rs485"
driver = "lockboard"
address = 5
locks = 4
timeout = "100ms"
every = "100ms"
"""
"""A board whose frames no Modbus device on the pair takes for its own."""
CABINET = """
[[cabinet]]
name = "cabinet"
slots = 4
locks = "lockers"
presence = "room.slot_{slot:02}"
opens_within = "1s"
"""
LATENCY_S = 0.05
"""From the gate to the command's frame on an idle wire."""


@dataclass
class Operator:
    """Somebody at the centre: sends commands, waits for the answers."""

    station: Station
    simulated: SimulatedStation
    broker: Centre
    client: mqtt.Client
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def command(self, verb: str, **args: Any) -> dict[str, Any]:
        """Publish a command and return the answer."""
        name = f"c{next(self.numbers)}"
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = 30
        body = {"id": name, "by": "centre/li", "ts": datetime.now(UTC).isoformat(), **args}
        self.client.publish(f"{BASE}/cmd/{verb}", json.dumps(body), qos=1, properties=properties)
        answer: dict[str, Any] = wait_for(lambda: self.broker.last(f"reply/{name}"), f"the answer to {verb}")
        assert answer.pop("id") == name
        return answer

    def value(self, device: str, point: str) -> object:
        """The newest value of a point at the centre, None before there is one."""
        return self.broker.last(f"state/{device}").get("points", {}).get(point, {}).get("value")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Every event of a type at the centre, in order of arrival."""
        return [body for body in self.broker.sink.records.values() if body.get("type") == kind]


@pytest.fixture(name="operator")
def _operator(tmp_path: Path) -> Iterator[Operator]:
    text = HEAD + ALLOW + ROOM + AIRCON + LOCKERS + CABINET
    with centre() as broker, far_ends(tmp_path, text, broker.thread.port) as ends, running(ends) as station:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "operator", protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", broker.thread.port)
        client.loop_start()
        try:
            wait_for(lambda: broker.last("status").get("state") == "online", "the station is online")
            wait_for(lambda: all(one.good for one in station.statistics().values()), "every device answers")
            yield Operator(station, ends, broker, client)
        finally:
            client.disconnect()
            client.loop_stop()


def test_a_command_reaches_the_device_and_tells_what_came_of_it(operator: Operator) -> None:
    """The unit starts; the answer tells what was ordered and, apart from it, what was observed; all is on record."""
    answer = operator.command("aircon/cool")
    assert answer["ok"] is True
    assert answer["commanded"] == {"commanded": "cooling"}
    assert answer["observed"]["state"] == "cooling"
    assert "unseen" not in answer
    told = wait_for(lambda: operator.events("commanded"), "the order is on record at the centre")[-1]
    assert (told["command"], told["args"], told["ok"]) == ("cool", {}, True)
    audits = wait_for(lambda: operator.events("audit"), "the audit")
    assert [(audit["command"], audit["decision"]) for audit in audits] == [("aircon/cool", "accepted")]
    wait_for(lambda: operator.value("aircon", "state") == "cooling", "the state tells it too")


def test_a_door_opens_by_its_number(operator: Operator) -> None:
    """An argument is checked by the gate before anything is sent; the door that opened is told."""
    answer = operator.command("lockers/open", lock=3)
    assert answer == {"ok": True, "observed": {f"lock_{n:02}": "open" if n == 3 else "closed" for n in (1, 2, 3, 4)}}
    assert operator.simulated.simulators["lockers"].is_open(3)
    refused = operator.command("lockers/open", lock=5)
    assert refused == {"ok": False, "reason": "lock: Input should be less than or equal to 4"}
    assert operator.command("lockers/open")["reason"] == "lock: Field required"
    told = wait_for(lambda: operator.events("commanded"), "the order is on record at the centre")
    assert [record["args"] for record in told] == [{"lock": 3}]


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("aircon/heat", "not on this station's allow-list"),
        ("lockers/close", "unknown here"),
        ("room/cool", "not on this station's allow-list"),
    ],
)
def test_what_is_not_allowed_is_not_done(operator: Operator, verb: str, reason: str) -> None:
    """Only verbs that the station file names and the device has are passed on; the refusal is audited."""
    assert operator.command(verb) == {"ok": False, "reason": reason}
    audits = wait_for(lambda: operator.events("audit"), "the audit")
    assert [(audit["command"], audit["decision"]) for audit in audits] == [(verb, "refused")]
    assert operator.events("commanded") == []


def test_a_device_that_does_not_obey_is_answered_and_audited(operator: Operator) -> None:
    """A lock that jams is a refusal with the board's reason, without its bytes."""
    operator.simulated.simulators["lockers"].jam(2)
    answer = operator.command("lockers/open", lock=2)
    assert answer["ok"] is False
    assert answer["reason"].startswith("open; the board did not open lock 2; jammed lock")
    fault = wait_for(lambda: operator.broker.last("alarm/cabinet-02/lock_fault"), "the lock's alarm")
    assert (fault["state"], fault["detail"]) == ("raised", {"slot": 2, "why": "told to open and still closed"})
    decisions = wait_for(lambda: len(found := operator.events("audit")) == 2 and found, "both audits")
    assert [audit["decision"] for audit in decisions] == ["accepted", "failed"]


def test_the_agent_itself_acts_without_the_gate(operator: Operator) -> None:
    """What the agent orders by itself needs no allow-list; a device that takes no orders says so."""
    acted = operator.station.act("aircon", Command("heat"))
    assert isinstance(acted, Acted)
    assert acted.commanded == {"commanded": "heating"}
    assert acted.observed["state"] == "heating"
    with pytest.raises(CommandRefused, match="nobody can be told nothing"):
        operator.station.act("nobody", Command("heat"))
    with pytest.raises(CommandRefused, match="'dance' is not a command"):
        operator.station.act("aircon", Command("dance"))


def test_a_command_is_on_the_idle_wire_within_50_ms(operator: Operator) -> None:
    """An order wakes the resting Worker; the journal's commit and the question before it are part of the time."""
    board = operator.simulated.simulators["lockers"]
    opened: list[float] = []
    answer = board.answer

    def listening(request: bytes) -> bytes:
        if request == codec_8a80.open_request(5, 1):
            opened.append(time.monotonic())
        reply: bytes = answer(request)
        return reply

    board.answer = listening
    took = []
    for number in range(5):
        body = {"id": f"t{number}", "by": "test", "ts": datetime.now(UTC).isoformat(), "lock": 1}
        before = time.monotonic()
        assert operator.station.gate.handle(Request("lockers/open", json.dumps(body).encode(), 30.0)).ok
        took.append(opened[-1] - before)
    assert min(took) <= LATENCY_S, took
