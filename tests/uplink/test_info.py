"""`info`: what a station consists of, with the points of its devices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.clock import FakeClock
from edge_agent.config.file import load
from edge_agent.config.model import Config
from edge_agent.config.toml import toml
from edge_agent.driver import Reading, Record, Site, load_driver
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort
from edge_agent.uplink.info import Info
from edge_agent.uplink.payloads import MAX_PAYLOAD, encode
from tests.benchmarks.pair import devices
from tests.uplink.rig import Store

STATION = """
[station]
id = "cn-test-001"
name = { zh = "测试", en = "Test" }
region = "cn"
district = "test"

[uplink]
broker = "mqtts://broker.example.org"

[[link]]
name = "rs485"
kind = "serial"
port = "/dev/serial/by-path/x"
"""


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> Iterator[Store]:
    """A journal with its recorder and picture."""
    with Store(tmp_path) as store:
        yield store


def station(folder: Path, copies: int = 1) -> Config:
    """Twelve batteries, two lock boards and four sensors on a pair, as often as wanted."""
    text = STATION
    for copy in range(copies):
        link = "rs485" if not copy else f"rs485-{copy}"
        if copy:
            text += f'\n[[link]]\nname = "{link}"\nkind = "serial"\nport = "/dev/serial/by-path/{copy}"\n'
        for name, driver, keys in devices():
            table = {"name": f"{name}-{copy}", "link": link, "driver": driver, **keys}
            text += "\n[[device]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
    file = folder / "station.toml"
    file.write_text(text, encoding="utf-8")
    return load(file).config


def polled(config: Config) -> Iterator[tuple[str, list[Record]]]:
    """What each device tells in one poll."""
    for device in config.device:
        kind, clock = load_driver(device.driver), FakeClock()
        port = SimulatedPort([kind.Simulator(device.options, Site())], clock)
        link = ByteLink("bench", lambda port=port: port, clock)  # type: ignore[misc]
        link.open()
        yield device.name, list(kind(device.options, Site()).poll(link))


def points(info: Info) -> dict[str, list[str]]:
    """Device -> its points."""
    said: Any = info()
    return {device["device"]: device["points"] for device in said["devices"]}


def test_a_full_cabinet_is_told_with_its_points(store: Store, tmp_path: Path) -> None:
    """Driver, link and points of each device of a cabinet of twelve slots, in one message that fits."""
    config = station(tmp_path)
    for name, records in polled(config):
        store.record(name, *records)
    info = Info(config, store.picture)
    assert len(encode(info())) <= MAX_PAYLOAD
    told = points(info)
    assert set(told) == {device.name for device in config.device}
    assert {"voltage_v", "cells_v", "soc_pct", "sn"} <= set(told["battery-01-0"])
    assert told["locks-1-0"] == [f"lock_{lock:02d}" for lock in range(1, 13)]
    assert told["climate-1-0"] == ["humidity_pct", "temperature_c"]
    said: Any = info()
    assert (said["devices"][0]["driver"], said["devices"][0]["link"]) == ("bms", "rs485")


def test_what_was_told_once_stays_told(store: Store, tmp_path: Path) -> None:
    """Points by the options are there before the first answer; those of a battery that was taken stay."""
    info = Info(station(tmp_path), store.picture)
    assert points(info)["climate-1-0"] == ["humidity_pct", "temperature_c"]
    assert points(info)["battery-01-0"] == []
    store.record("battery-01-0", Reading("soc_pct", 80.0))
    assert points(info)["battery-01-0"] == ["soc_pct"]
    store.record("battery-01-0", Reading("soc_pct", None), Reading("present", value=False))
    assert points(info)["battery-01-0"] == ["present", "soc_pct"]


def test_a_station_of_too_many_points_leaves_them_out(store: Store, tmp_path: Path) -> None:
    """Rather than send what no broker takes; who the devices are is still told."""
    config = station(tmp_path, copies=3)
    for name, records in polled(config):
        store.record(name, *records)
    said: Any = Info(config, store.picture)()
    assert len(said["devices"]) == 54
    assert not any("points" in device for device in said["devices"])
    assert len(encode(said)) <= MAX_PAYLOAD
