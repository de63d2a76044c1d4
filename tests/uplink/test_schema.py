"""The published contract is fresh, well-formed, and what really travels keeps to it."""

import json
import re
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from edge_agent.demo.broker import Broker, Message, Refusal
from edge_agent.demo.broker_thread import BrokerThread
from edge_agent.demo.mqtt_wire import ReasonCode
from edge_agent.public import Card
from edge_agent.records import Alarm, Event, Quality, Reading
from edge_agent.uplink import schema
from edge_agent.uplink.schema import CHANNELS, Channel, asyncapi, files, schema_of
from tests.stations import AIRCON, HEAD, READER, ROOM, far_ends, running, wait_for
from tests.uplink.rig import Rig

FOLDER = Path(__file__).parents[2] / "config" / "schema"
VALIDATORS = {channel.name: Draft7Validator(schema_of(channel)) for channel in CHANNELS}


def pattern(channel: Channel) -> str:
    """A regular expression for the channel's topics."""
    return "^" + re.sub(r"\\{\w+\\}", "[^/]+", re.escape(channel.topic)) + "$"


PATTERNS = {channel.name: re.compile(pattern(channel)) for channel in CHANNELS}


def kinds(messages: Iterable[Message]) -> set[str]:
    """Validate messages and return the names of their channels; a topic without one fails."""
    found = set()
    for message in (message for message in messages if message.payload):  # without: a retained one is taken back
        # Of two that fit, the later is the more particular: cmd/<device>/<verb> comes before cmd/journal/resend.
        name = [name for name, expression in PATTERNS.items() if expression.match(message.topic)][-1]
        body = json.loads(message.payload)
        complaints = [f"{error.json_path}: {error.message}" for error in VALIDATORS[name].iter_errors(body)]
        assert not complaints, f"{message.topic} {message.payload!r}: {complaints}"
        assert len(message.payload) <= 8192
        found.add(name)
    return found


def test_the_files_are_fresh() -> None:
    """config/schema is what the models make of it today."""
    stale = "config/schema is stale: python -m edge_agent.uplink.schema config/schema"
    expected = dict(files())
    assert {path.name for path in FOLDER.iterdir()} == set(expected), stale
    for name, content in expected.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == content, stale


def test_the_command_that_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command named there writes all of them into the folder it is given."""
    monkeypatch.setattr(sys, "argv", ["schema", str(tmp_path)])
    runpy.run_path(schema.__file__, run_name="__main__")
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == dict(files())


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_each_schema_is_one(channel: Channel) -> None:
    """Every schema is well-formed, and none lets null through."""
    made = schema_of(channel)
    Draft7Validator.check_schema(made)
    assert '"null"' not in json.dumps(made)


def test_asyncapi_hangs_together() -> None:
    """Every operation names a channel and a message of it, every channel a file, every placeholder a parameter."""
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert set(document["operations"]) == set(document["channels"])
    for name, operation in document["operations"].items():
        assert operation["channel"] == {"$ref": f"#/channels/{name}"}
        assert operation["messages"] == [{"$ref": f"#/channels/{name}/messages/{name}"}]
        assert operation["action"] == ("receive" if name.startswith("cmd") else "send")
    for name, channel in document["channels"].items():
        reference = channel["messages"][name]["payload"]["schema"]["$ref"]
        assert (FOLDER / reference).exists()
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel["parameters"])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("status", {"state": "asleep"}),
        ("status", {"ts": None}),
        ("status", {"session": "x"}),
        ("status", {"more": 1}),
    ],
)
def test_schemas_refuse(name: str, changes: dict[str, Any]) -> None:
    """A schema that lets everything through would prove nothing."""
    body = {"state": "online", "ts": "2026-05-28T20:26:40.123Z", "session": "0" * 16}
    assert VALIDATORS[name].is_valid(body)
    assert not VALIDATORS[name].is_valid(body | changes)


def test_traffic_of_every_kind(tmp_path: Path) -> None:
    """Alarms, gaps, corrections, refusals, commands, backlog: all of it keeps to the schemas."""
    card = Card({"zh": "站", "en": "Station"}, {"address": "1"}, ("room", "temperature_c"), ())
    with Rig.of(tmp_path, card=card) as rig:
        rig.clock.set_wall(1000.0, good=False)
        rig.store.visits(2)
        rig.store.samples(3)
        rig.store.record(
            "room",
            Reading("humidity_pct", None, quality=Quality.BAD, why="no answer"),
            Reading("door", "open"),
            Reading("temps_c", (20.0, 21.5)),
        )
        rig.store.record("room", Alarm("smoke", active=True, detail={"why": "test"}), Alarm("sos", active=True))
        rig.drained()
        rig.clock.set_wall(1_780_000_000.0)
        rig.store.recorder.flush()
        rig.clock.advance(90_000)
        rig.store.visits(2)
        rig.store.alarm("smoke", active=False)
        rig.store.recorder.declare([("tele", {"from_seq": 90, "to_seq": 99, "reason": "quota", "count": 3})])
        rig.behave(refusals=(Refusal("+/v1/+/+/+/event/gate", ReasonCode.PAYLOAD_FORMAT_INVALID),))
        rig.store.record("gate", Event("visit", {"reader": "gate"}))
        rig.drained_except({"usage": 1})
        rig.clock.advance(86_400)
        rig.until(lambda: len(rig.bodies("gap/usage")) == 1, advance=10.0)
        with rig.recorder_running():
            epoch = rig.store.journal.epoch_name
            rig.command("journal/committed", stream="usage", epoch=epoch, upto=1)
            rig.command("journal/resend", id="c2", stream="usage", epoch=epoch, **{"from": 1, "to": 2})  # type: ignore[arg-type]
            rig.command("lockers/open", id="c3", lock=3)
            rig.until(lambda: len(rig.bodies("reply/")) == 3)
        seen = kinds(message for message in rig.messages if not message.topic.endswith("/info"))
        assert seen == set(VALIDATORS) - {"info"}


def test_traffic_of_a_whole_station(tmp_path: Path) -> None:
    """What a station with a room, an air conditioner and a card reader says keeps to the schemas."""
    messages: list[Message] = []
    with (
        BrokerThread(Broker(on_publish=messages.append)) as served,
        far_ends(tmp_path, HEAD + READER + ROOM + AIRCON, served.port) as ends,
        running(ends),
    ):
        wanted = ("/info", "/state/room", "/state/aircon", "/tele/room", "/usage", "/status")
        wait_for(
            lambda: all(any(message.topic.endswith(leaf) for message in list(messages)) for leaf in wanted), "all kinds"
        )
    assert kinds(messages) >= {"status", "info", "state", "usage", "tele"}
