"""A whole cabinet in one process: people, doors, twelve batteries on one pair, the drivers and the assembler."""

import pytest

from drivers.bms.driver import Bms, BmsOptions
from drivers.bms.simulator import BmsSimulator
from drivers.lockboard.driver import LockBoard, LockBoardOptions
from drivers.lockboard.simulator import LockBoardSimulator
from edge_agent.cabinet.cabinet import Cabinet, Moment
from edge_agent.cabinet.layout import CabinetLayout, SlotLayout
from edge_agent.clock import FakeClock
from edge_agent.demo.cabinet_model import Battery, CabinetModel
from edge_agent.driver import Alarm, Driver, LinkTimeout, Reading, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort

SLOTS = 12


class Station:
    """Polls every device in turn as a Worker would."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        board = LockBoardSimulator(LockBoardOptions(locks=SLOTS), Site())
        options = [BmsOptions(framing="up", address=address + 16) for address in range(1, SLOTS + 1)]
        bays = [BmsSimulator(each, Site()) for each in options]
        batteries = [Battery(f"BAT{slot:03d}", 40.0 + 5 * slot) if slot <= 10 else None for slot in range(1, SLOTS + 1)]
        self.model = CabinetModel(board, bays, batteries)
        self.link = ByteLink("pair", lambda: SimulatedPort([board, *bays], self.clock), self.clock)
        self.link.open()
        self.drivers: dict[str, Driver] = {"locks": LockBoard(LockBoardOptions(locks=SLOTS), Site())}
        self.drivers |= {f"bat-{slot:02d}": Bms(each, Site()) for slot, each in enumerate(options, start=1)}
        slots = (SlotLayout(n, ("locks", f"lock_{n:02d}"), f"bat-{n:02d}") for n in range(1, SLOTS + 1))
        self.cabinet = Cabinet(CabinetLayout("cabinet", tuple(slots)), None)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.shown: dict[tuple[str, str], object] = {}
        self.alarms: dict[tuple[str, str], bool] = {}

    def poll(self, device: str) -> tuple[str, ...]:
        """Poll one device and give what it says to the cabinet."""
        try:
            records = [*self.drivers[device].poll(self.link), Reading("present", value=True)]
        except LinkTimeout:
            records = [Reading("present", value=False)]
        self.alarms |= {(device, record.code): record.active for record in records if isinstance(record, Alarm)}
        readings = [record for record in records if isinstance(record, Reading)]
        outcome = self.cabinet.update(device, readings, Moment(self.clock.monotonic(), 0.0, self.clock.boot_id))
        self.events += [(event.type, dict(event.data)) for _, event in outcome.events]
        self.shown |= {(name, r.point): r.value for name, values in outcome.readings.items() for r in values}
        return outcome.poll_now

    def run(self, seconds: float) -> None:
        """Poll round after round for so much station time."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            for device in self.drivers:
                before = self.clock.monotonic()
                wanted = [device, "locks"]
                while wanted:
                    wanted += self.poll(wanted.pop(0))
                self.model.advance(self.clock.monotonic() - before)


@pytest.fixture(name="station")
def running_station() -> Station:
    """A station after its baseline."""
    station = Station()
    station.run(20)
    return station


def test_rider_swaps(station: Station) -> None:
    """A rider's swap is seen through real frames: one battery in, one out, one swap."""
    assert station.events == []
    station.model.return_(12, Battery("EMPTY", 9.0))
    station.run(12)
    taken = station.model.take(10)
    station.run(12)
    kinds = [type_ for type_, _ in station.events]
    assert kinds == ["battery_in", "battery_out", "swap"]
    swap = station.events[-1][1]
    assert (swap["returned_sn"], swap["taken_sn"], swap["observed"]) == ("EMPTY", taken.sn, True)
    assert station.shown["cabinet", "slots_empty"] == 2
    assert station.shown["cabinet-12", "state"] == "charging"
    assert station.shown["cabinet-12", "door"] == "closed"


def test_batteries_charge_and_become_available(station: Station) -> None:
    """Charging fills batteries, and the number offered to riders follows."""
    before = station.shown["cabinet", "batteries_available"]
    station.model.advance(4000)
    station.run(10)
    assert before == 0
    assert station.shown["cabinet", "batteries_available"] == 10


def test_overheated_battery(station: Station) -> None:
    """A hot battery raises its alarm and is not offered."""
    station.model.overheat(3)
    station.run(10)
    assert station.alarms["bat-03", "battery_over_temp"]
    states = [station.shown["cabinet-03", "state"]]
    station.model.take(3)
    station.run(10)
    states.append(station.shown["cabinet-03", "state"])
    assert states == ["fault", "empty"]


def test_people_cannot_do_the_impossible(station: Station) -> None:
    """No battery comes out of an empty slot or goes into an occupied one."""
    with pytest.raises(ValueError, match="empty"):
        station.model.take(12)
    with pytest.raises(ValueError, match="occupied"):
        station.model.return_(1, Battery("X", 1.0))
    assert station.model.battery(12) is None
