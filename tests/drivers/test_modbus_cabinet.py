"""A whole swap cabinet read by one profile: from its registers to slots, batteries and swaps, and nothing invented."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import ModbusOptions
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.cabinet.cabinet import Cabinet, Moment
from edge_agent.cabinet.layout import CabinetLayout, SlotLayout
from edge_agent.clock import FakeClock
from edge_agent.config.cabinet import Cabinet as CabinetConfig
from edge_agent.driver import Quality, Reading, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort

PROFILE = """
title = "t"
evidence = "e"
tier = "sketch"
max_read_registers = 100
max_reg_hole = 20

[[point]]
name = "mains_ok"
at   = "discrete:100"
sim  = { value = true }

[[point]]
name   = "door"
slots  = 3
at     = "holding:5"
bit    = "slot-1"
states = { 0 = "closed", 1 = "open" }
prompt = true

[[point]]
name  = "battery_present"
slots = 3
at    = "discrete:0 + (slot-1)*1"

[[point]]
name   = "sn"
slots  = 3
at     = "holding:100 + (slot-1)*20"
type   = "text"
length = 4
sim    = { value = "" }

[[point]]
name  = "soc_pct"
slots = 3
at    = "holding:110 + (slot-1)*20"
valid = [0, 100]

[[point]]
name   = "charger_state"
slots  = 3
at     = "holding:111 + (slot-1)*20"
states = { 0 = "off", 1 = "charging", 2 = "full", 3 = "fault" }
"""


class Cabinets:
    """A cabinet board on a wire, its driver, and the assembler behind it."""

    def __init__(self, folder: Path) -> None:
        file = folder / "cabinet.toml"
        file.write_text(PROFILE, encoding="utf-8")
        options = ModbusOptions.model_validate({"profile": str(file), "address": 7})
        self.board = ModbusSimulator(options, Site(), lambda: 0.0)
        self.driver = ModbusDriver(options, Site())
        self.clock = FakeClock()
        self.link = ByteLink("pair", lambda: SimulatedPort([self.board], self.clock), self.clock)
        self.link.open()
        wiring = CabinetConfig.model_validate({"name": "cabinet", "slots": 3, "controller": "board"}).wiring
        slots = tuple(SlotLayout(s.index, s.lock, s.battery, s.presence, s.prefix) for s in wiring)
        self.layout = CabinetLayout("cabinet", slots, wires={"board": "pair"})
        self.cabinet = Cabinet(self.layout, None)
        self.events: list[tuple[str, str, Mapping[str, Any]]] = []
        self.shown: dict[str, dict[str, Reading]] = {}
        self.last: list[Reading] = []

    def put(self, slot: int, sn: str, soc: float) -> None:
        """A battery is in a slot."""
        self.board.hold(f"slot_{slot:02}_battery_present", value=True)
        self.board.hold(f"slot_{slot:02}_sn", sn)
        self.board.hold(f"slot_{slot:02}_soc_pct", soc)

    def take(self, slot: int) -> None:
        """The slot is empty; its registers go to 0."""
        self.board.hold(f"slot_{slot:02}_battery_present", value=False)
        self.board.hold(f"slot_{slot:02}_sn", "")
        self.board.hold(f"slot_{slot:02}_soc_pct", 0)

    def door(self, slot: int, state: str) -> None:
        """Move a door."""
        self.board.hold(f"slot_{slot:02}_door", state)
        self.poll()

    def poll(self, times: int = 1) -> None:
        """Read the board and assemble."""
        for _ in range(times):
            self.clock.advance(5.0)
            self.hear([record for record in self.driver.poll(self.link) if isinstance(record, Reading)])

    def hear(self, readings: list[Reading]) -> None:
        """Assemble what the board said."""
        self.last = readings
        outcome = self.cabinet.update("board", readings, Moment(self.clock.monotonic(), 0.0, "boot-1"))
        self.events += [(device, event.type, event.data) for device, event in outcome.events]
        for device, values in outcome.readings.items():
            self.shown[device] = {reading.point: reading for reading in values}

    def restart(self) -> None:
        """The agent starts anew with what it stored."""
        self.cabinet = Cabinet(self.layout, json.loads(json.dumps(self.cabinet.stored())))

    def value(self, device: str, point: str) -> object:
        """What is shown of a point."""
        return self.shown[device][point].value


@pytest.fixture
def world(tmp_path: Path) -> Cabinets:
    """Slot 1 has a charged battery, slots 2 and 3 are empty; the board has been read for a while."""
    made = Cabinets(tmp_path)
    made.put(1, "BAT-A", 97)
    made.poll(4)
    return made


def test_the_registers_become_the_normalised_model(world: Cabinets) -> None:
    """Slots, batteries and the cabinet itself are shown under the points of the model; the first look is no event."""
    world.board.hold("slot_02_charger_state", "fault")
    world.poll()
    assert world.events == []
    assert [world.value(f"cabinet-0{slot}", "state") for slot in (1, 2, 3)] == ["full", "fault", "empty"]
    assert (world.value("cabinet-01", "sn"), world.value("cabinet-01", "soc_pct")) == ("BAT-A", 97)
    assert world.value("cabinet-01", "battery_present") == "yes"
    assert world.value("cabinet-01", "charger_state") == "off"
    assert world.value("cabinet", "mains_ok") is True
    assert world.value("cabinet", "batteries_available") == 1


def test_a_swap_is_counted_once_with_both_numbers(world: Cabinets) -> None:
    """A battery brought to one slot and another taken from the next is one swap with both serial numbers."""
    world.door(2, "open")
    world.put(2, "BAT-B", 12)
    world.poll(2)
    world.door(2, "closed")
    world.door(1, "open")
    world.take(1)
    world.poll(4)
    world.door(1, "closed")
    world.poll(3)
    kinds = [kind for _, kind, _ in world.events]
    assert sorted(kinds) == ["battery_in", "battery_out", "swap"]
    swap = next(data for _, kind, data in world.events if kind == "swap")
    assert (swap["returned_sn"], swap["taken_sn"], swap["slots"]) == ("BAT-B", "BAT-A", [2, 1])


def test_a_board_that_starts_anew_invents_nothing(world: Cabinets) -> None:
    """While a restarting board shows zeros behind closed doors, no battery leaves, and none comes when it is back."""
    world.take(1)
    world.poll(30)
    world.put(1, "BAT-A", 97)
    world.poll(3)
    assert world.events == []
    assert world.value("cabinet-01", "state") == "full"


def test_a_restart_of_the_agent_counts_nothing(world: Cabinets) -> None:
    """What was in before the restart is still in after it, without events."""
    world.restart()
    world.poll(3)
    assert world.events == []
    assert world.value("cabinet-01", "battery_present") == "yes"


def test_a_silent_board_leaves_everything_unknown(world: Cabinets) -> None:
    """When the board does not answer, doors and slots are unknown and the last values are not passed off as good."""
    world.hear([replace(reading, quality=Quality.BAD, why="silent") for reading in world.last])
    assert world.events == []
    assert world.value("cabinet-01", "door") == "unknown"
    assert world.value("cabinet-01", "battery_present") == "unknown"
    assert world.shown["cabinet-01"]["soc_pct"].quality is not Quality.GOOD
    world.poll()
    assert world.value("cabinet-01", "battery_present") == "yes"
    assert world.events == []


@pytest.mark.parametrize("other", [{"locks": "locks"}, {"batteries": "b-{slot}"}, {"presence": "in.slot_{slot}"}])
def test_a_controller_needs_nothing_beside_it(other: dict[str, str]) -> None:
    """Two sources for one slot are refused in the station file."""
    with pytest.raises(ValueError, match="the controller speaks for every slot"):
        CabinetConfig.model_validate({"name": "cabinet", "slots": 3, "controller": "board", **other})
