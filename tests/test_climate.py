"""Climate keeping: an empty room at night is not cooled, a compressor gets its rest, what is not heard is repeated."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from edge_agent.climate import ClimateKeeper, Decision, Keeper, Situation, commands, situation
from edge_agent.commands import CommandRefused
from edge_agent.config.climate import Climate, Period
from edge_agent.config.file import load
from edge_agent.errors import ConfigError
from edge_agent.picture import Device, Point, View
from edge_agent.records import Quality, Reading, Value
from edge_agent.verbs import Arguments, Command, Verbs, takes
from tests.stations import AIRCON, HEAD, ROOM, centre, far_ends, running, wait_for


def period(**keys: object) -> Period:
    """Return a period as a station file has it."""
    return Period.model_validate(keys)


SUMMER = Period(mode="cool", months=(6, 7, 8), occupied=26, empty=30)
WINTER = period(mode="heat", months=(12, 1, 2), start="06:00", end="23:00", occupied=20)
NOON = datetime(2026, 7, 1, 12)  # noqa: DTZ001  (a wall clock's)
VERBS: Verbs = {"cool": Arguments, "off": Arguments, "setpoint": takes(setpoint_c=int), "on": Arguments}


def climate(*when: Period, **keys: float) -> Climate:
    """Return a table with short times."""
    times = {"min_on": "600s", "min_off": "300s", "repeat": "900s", **keys}
    return Climate(device="aircon", temperature="room.celsius", observed="aircon.state", when=when, **times)


class House:
    """One keeper and its clock; whatever it decides is told."""

    def __init__(self, *when: Period) -> None:
        self.keeper = Keeper(climate(*when or (SUMMER,)), 0.0)
        self.mono = 0.0

    def at(
        self,
        mono: float,
        celsius: float | None,
        *,
        occupied: bool = True,
        running: bool | None = None,
        local: datetime | None = NOON,
    ) -> Decision | None:
        """Return what is told at this time."""
        decision = self.keeper.decide(Situation(mono, local, celsius, running, occupied))
        if decision is not None:
            self.keeper.told(decision, mono)
        return decision


def test_cools_while_people_are_in() -> None:
    """On beyond the band, off at the wanted temperature, nothing told in between."""
    house = House()
    assert house.at(400, 26.5, running=False) is None
    assert house.at(410, 27.1, running=False) == Decision("cool", 26)
    assert house.at(420, 27.0, running=True) is None
    assert house.at(1100, 26.4, running=True) is None
    assert house.at(1110, 26.0, running=True) == Decision("off")


def test_an_empty_room_is_kept_from_the_worst_only() -> None:
    """With nobody in, the wider limit holds; without one it stays off, however hot."""
    house = House()
    assert house.at(400, 29.0, occupied=False, running=False) is None
    assert house.at(410, 31.1, occupied=False, running=False) == Decision("cool", 30)
    night = House(Period(mode="cool", occupied=26))
    assert night.at(400, 35.0, occupied=False, running=False) is None


def test_shortest_times() -> None:
    """However the temperature jumps, it rests and runs for as long as a compressor needs, from the agent's start on."""
    house = House()
    assert house.at(10, 33.0) is None
    assert house.at(301, 33.0) == Decision("cool", 26)
    assert house.at(320, 20.0, running=True) is None
    assert house.at(900, 20.0, running=True) is None
    assert house.at(921, 20.0, running=True) == Decision("off")
    assert house.at(930, 33.0, running=False) is None
    assert house.at(1231, 33.0, running=False) == Decision("cool", 26)


def test_what_was_not_heard_is_repeated() -> None:
    """Seen not to run, it is told again after the pause, not before; unseen, it is not told again."""
    house = House()
    assert house.at(400, 30.0, running=False) == Decision("cool", 26)
    assert house.at(1290, 30.0, running=False) is None
    assert house.at(1301, 30.0, running=False) == Decision("cool", 26)
    blind = House()
    assert blind.at(400, 30.0) == Decision("cool", 26)
    assert blind.at(9999, 30.0) is None


def test_switched_by_hand() -> None:
    """Started with its remote control in an empty room, it is stopped, after its shortest time."""
    house = House()
    assert house.at(400, 24.0, occupied=False, running=False) is None
    assert house.at(410, 24.0, occupied=False, running=True) is None
    assert house.at(1020, 24.0, occupied=False, running=True) == Decision("off")


def test_a_sensor_that_falls_silent() -> None:
    """One missed answer changes nothing; ten minutes without one stop it."""
    house = House()
    house.at(400, 30.0, running=False)
    assert house.at(420, None, running=True) is None
    assert house.at(1100, None, running=True) == Decision("off")
    assert House().at(400, None, running=False) is None


def test_seasons_and_hours() -> None:
    """The first period that holds counts; none, and it is off. Nights may pass midnight."""
    house = House(WINTER, SUMMER)
    assert house.at(400, 10.0, running=False, local=datetime(2026, 1, 5, 5)) is None  # noqa: DTZ001
    assert house.at(410, 10.0, running=False, local=datetime(2026, 1, 5, 7)) == Decision("heat", 20)  # noqa: DTZ001
    assert House(WINTER).at(400, 40.0, running=False) is None
    night = House(period(mode="off", start="22:00", end="06:00"), Period(mode="cool", occupied=26))
    assert night.at(400, 33.0, running=False, local=datetime(2026, 7, 1, 23)) is None  # noqa: DTZ001
    assert night.at(410, 33.0, running=False, local=datetime(2026, 7, 1, 7)) == Decision("cool", 26)  # noqa: DTZ001


def test_without_the_time() -> None:
    """Only what holds all year and all day is kept."""
    assert House(SUMMER).at(400, 35.0, running=False, local=None) is None
    assert House(Period(mode="cool", occupied=26)).at(400, 35.0, running=False, local=None) == Decision("cool", 26)


def test_only_listed_verbs_are_sent() -> None:
    """In the order of the table, those that the device knows, with the wanted temperature."""
    told = commands(climate(SUMMER), Decision("cool", 26.4), VERBS)
    assert told == [Command("cool"), Command("setpoint", {"setpoint_c": 26}), Command("on")]
    assert commands(climate(SUMMER), Decision("heat", 20), {"off": Arguments}) == []


def view(people: Value | None, celsius: Value | None, state: Value | None, visit: float | None = None) -> View:
    """Return a picture."""

    def device(point: str, value: Value | None) -> Device:
        quality = Quality.GOOD if value is not None else Quality.BAD
        return Device({point: Point(Reading(point, value, quality=quality), 0, 0.0, 0)})

    devices = {"room": device("celsius", celsius), "aircon": device("state", state)}
    return View({"station": device("people_inside", people), **devices}, last_visit_mono=visit)


@pytest.mark.parametrize(
    ("seen", "occupied", "running"),
    [
        (view(2, 26.0, "cooling"), True, True),
        (view(0, 26.0, "stopped", visit=99.0), False, False),
        (view(None, 26.0, "unknown", visit=99.0), True, None),
        (view(None, 26.0, True, visit=-2000.0), False, True),
        (view(None, None, None), False, None),
    ],
)
def test_what_a_decision_is_made_of(seen: View, occupied: bool, running: bool | None) -> None:
    """People are counted, or else the last visit tells; what the device does is observed, never assumed."""
    found = situation(climate(SUMMER), seen, None, 100.0)
    assert (found.occupied, found.running) == (occupied, running)


def test_a_device_that_refuses_is_not_pestered() -> None:
    """Each attempt is a record, so the next comes a minute later; it is told once it can be."""
    told: list[Command] = []
    clock = [400.0]
    refuse = [True]

    def act(_device: str, command: Command) -> None:
        told.append(command)
        if refuse[0]:
            raise CommandRefused("no answer")

    keeper = ClimateKeeper(
        [climate(SUMMER)],
        view=lambda: view(1, 30.0, "stopped"),
        act=act,
        verbs=lambda _device: {"cool": Arguments, "off": Arguments},
        local_time=lambda: NOON,
        monotonic=lambda: clock[0],
    )

    def step(mono: float) -> None:
        clock[0] = mono
        keeper.step()

    for mono in (400.0, 800.0, 810.0, 861.0):
        step(mono)
    assert [command.name for command in told] == ["cool", "cool"]
    refuse[0] = False
    step(930.0)
    step(940.0)
    assert [command.name for command in told] == ["cool", "cool", "cool"]


KEEP = """
[[climate]]
device = "aircon"
temperature = "room.temperature_c"
observed = "aircon.state"
when = [{ mode = "cool", occupied = 12, empty = 12 }]
min_off = "60s"
min_on = "60s"
"""


def test_at_a_whole_station(tmp_path: Path) -> None:
    """The thread looks and commands the real driver over a real port; what it ordered is on record."""
    with (
        centre() as broker,
        far_ends(tmp_path, HEAD + ROOM + AIRCON + KEEP, broker.thread.port) as ends,
        running(ends) as station,
    ):
        wait_for(lambda: "temperature_c" in station.picture.view.devices.get("room", Device()).points, "a temperature")
        keeper = station.build_climate()
        keeper._keepers = [(one, Keeper(one, station.clock.monotonic() - 100.0)) for one, _ in keeper._keepers]
        keeper.step()
        wait_for(lambda: any(body.get("type") == "commanded" for body in broker.sink.of("usage").values()), "a record")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('device = "aircon"', 'device = "airco"'), "there is no device 'airco' – did you mean 'aircon'?"),
        (('"room.temperature_c"', '"rom.temperature_c"'), "there is no device 'rom'"),
        (('device = "aircon"\nt', 'device = "room"\nt'), "room cannot be told"),
        (('mode = "cool"', 'mode = "heat", start = "08:00"'), "start and end belong together"),
        (('mode = "cool", occupied = 12', 'mode = "cool"'), "occupied says how warm it shall be"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    """A slip in the table is found by `check`, not in the first heat wave."""
    assert change[0] in KEEP
    text = (
        (HEAD + ROOM + AIRCON + KEEP.replace(*change)).replace("BROKER", "127.0.0.1:1").replace("PAGE", "127.0.0.1:2")
    )
    text = text.replace('key_file = "DIRECTORY/card-key"', "").replace("DIRECTORY", str(tmp_path))
    file = tmp_path / "station.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load(file)
