"""A station for the page to look at: its file is real, its picture is painted by the test."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from edge_agent.alarms import CATALOGUE
from edge_agent.clock import FakeClock
from edge_agent.config.model import Config
from edge_agent.machine import Machine
from edge_agent.page.source import Source
from edge_agent.picture import ActiveAlarm, Commits, Device, Link, Picture, Totals, View, with_readings
from edge_agent.records import AlarmState, Quality, Reading, Severity, Shelf, Stamp, Value
from edge_agent.slot import Statistics

NOON = 1_780_027_200.0
"""2026-05-29 12:00 in Shanghai."""
BOOT = 7


def config(**changes: Any) -> Config:
    """A whole station: room, air conditioner, door, reader, a cabinet of twelve."""
    serial = [
        {"name": name, "kind": "serial", "port": f"/dev/serial/by-id/{name}"} for name in ("room", "bus", "reader")
    ]
    batteries = [
        {
            "name": f"battery-{slot:02}",
            "link": "bus",
            "driver": "bms",
            "framing": "up",
            "address": slot,
            "may_be_absent": True,
            "label": {"zh": f"{slot} 号电池", "en": f"Battery {slot}"},
        }
        for slot in range(1, 13)
    ]
    table: dict[str, Any] = {
        "station": {
            "id": "365-001",
            "name": {"zh": "解放路驿站", "en": "Jiefang Road station"},
            "region": "north",
            "district": "d1",
        },
        "uplink": {"broker": "mqtt://127.0.0.1:1883"},
        "link": [*serial, {"name": "header", "kind": "gpio"}],
        "device": [
            {
                "name": "inputs",
                "link": "header",
                "driver": "contacts",
                "inputs": [{"line": 5, "role": "door", "active": "open"}],
                "label": {"zh": "门磁", "en": "Contacts"},
            },
            {
                "name": "front",
                "link": "reader",
                "driver": "card_uart",
                "label": {"zh": "读卡器", "en": "Card reader"},
            },
            {
                "name": "room",
                "link": "room",
                "driver": "modbus",
                "profile": "xy-md02",
                "label": {"zh": "室内温湿度", "en": "Room climate"},
            },
            {
                "name": "aircon",
                "link": "room",
                "driver": "modbus",
                "profile": "rs-ktc-n01",
                "address": 2,
                "label": {"zh": "空调", "en": "Air conditioner"},
            },
            {
                "name": "locks",
                "link": "bus",
                "driver": "lockboard",
                "label": {"zh": "柜锁板", "en": "Lock board"},
            },
            *batteries,
        ],
        "cabinet": [
            {
                "name": "cabinet",
                "slots": 12,
                "locks": "locks",
                "batteries": "battery-{slot:02}",
                "label": {"zh": "换电柜", "en": "Swap cabinet"},
            }
        ],
    }
    return Config.model_validate(table | changes)


@dataclass
class Rig:
    """The painted station. `say`, `alarm` and the rest change the picture as the recorder and the uplink do."""

    config: Config = field(default_factory=config)
    clock: FakeClock = field(default_factory=lambda: FakeClock(wall=NOON, monotonic=5000.0))
    picture: Picture = field(default_factory=Picture)
    statistics: dict[str, Statistics] = field(default_factory=dict)
    machine: Machine = field(
        default_factory=lambda: Machine(
            uptime_s=4000.0,
            rss=48_000_000,
            memory_total=512_000_000,
            memory_available=230_000_000,
            disk_total=32_000_000_000,
            disk_free=21_400_000_000,
            cpu_c=51.5,
            throttled=(),
            throttled_before=(),
        )
    )

    @property
    def source(self) -> Source:
        """What the page is given."""
        return Source(
            picture=self.picture,
            clock=self.clock,
            config=self.config,
            statistics=lambda: self.statistics,
            machine=lambda: self.machine,
            version="0.1.0",
            started=1500.0,
            boot=BOOT,
        )

    def change(self, **parts: Any) -> None:
        """Replace parts of the view."""
        self.picture.change(lambda view: replace(view, **parts))

    def say(self, device: str, **values: Value | Reading) -> None:
        """Let a device say something now."""
        readings = {
            name: value if isinstance(value, Reading) else Reading(name, value) for name, value in values.items()
        }
        now = self.clock.monotonic()

        def edit(view: View) -> View:
            before = view.devices.get(device, Device())
            after = with_readings(before, readings, round(self.clock.wall() * 1000), now)
            return replace(view, devices={**view.devices, device: after})

        polls = self.statistics.get(device, Statistics())
        self.statistics[device] = replace(polls, polls=polls.polls + 1, good=polls.good + 1, last_good=now)
        self.picture.change(edit)

    def lose(self, device: str, why: str = "no answer within 1 s") -> None:
        """Let a device fall silent: its values turn bad, the alarm is raised."""
        points = self.picture.view.devices[device].points
        bad = {name: replace(point.reading, quality=Quality.BAD, why=why) for name, point in points.items()}
        last = self.statistics[device]
        self.say(device, **bad)
        self.statistics[device] = replace(last, silent=True, failed=3)
        self.alarm(device, "device_silent", why=why)

    def alarm(
        self,
        device: str,
        code: str,
        severity: Severity = Severity.MAJOR,
        *,
        boot: int = BOOT,
        by: str = "",
        shelved: str = "",
        **detail: str,
    ) -> None:
        """Raise an alarm now."""
        now, wall = self.clock.monotonic(), self.clock.wall()
        since = Stamp(boot, round(now * 1000), round(wall * 1000), self.clock.good())
        kind = CATALOGUE[code]
        shelf = Shelf(shelved, since, 3600.0) if shelved else None
        state = AlarmState(
            code, severity, kind.zh, kind.en, since, stands=True, active=True, by=by, detail=detail, shelf=shelf
        )
        raised = ActiveAlarm(device, state, 1, 1)
        self.change(alarms={**self.picture.view.alarms, (device, code): raised})

    def clear(self) -> None:
        """Clear every alarm."""
        self.change(alarms={})

    def slots(self, states: Mapping[int, tuple[str, float | None]], *, available: int) -> None:
        """Fill the cabinet: slot -> (state, charge); slots not named are empty."""
        for number in range(1, 13):
            state, soc = states.get(number, ("empty", None))
            self.say(
                f"cabinet-{number:02}",
                door="closed",
                state=state,
                battery_present="no" if state == "empty" else "yes",
                soc_pct=Reading("soc_pct", soc),
            )
        self.say("cabinet", state="idle", slots_total=12, batteries_available=available)

    def normal(self) -> None:
        """An ordinary noon at an ordinary station."""
        self.say("inputs", door="closed")
        self.say("front")
        self.say("room", temperature_c=24.6, humidity_pct=52.0)
        self.say("aircon", temperature_c=25.1, humidity_pct=50.0, state="cooling", commanded="cooling", current_a=4.6)
        self.say("locks", **{f"lock_{number:02}": "closed" for number in range(1, 13)})
        states: dict[int, tuple[str, float | None]] = {number: ("full", 97.0 + number % 4) for number in range(1, 7)}
        states |= {7: ("charging", 82.0), 8: ("charging", 41.5), 9: ("charging", 12.0), 10: ("idle", 64.0)}
        for number in range(1, 13):
            soc = states.get(number, ("", None))[1]
            if soc is None:
                self.say(f"battery-{number:02}", present=False)
            else:
                cells = tuple(3.3 + cell / 1000 for cell in range(16))
                self.say(f"battery-{number:02}", present=True, soc_pct=soc, voltage_v=52.8, cells_v=cells)
        self.slots(states, available=6)
        self.change(
            totals=Totals(
                day=self.clock_day(),
                today={"visits": 47, "swaps": 12},
                yesterday={"visits": 133},
                lifetime={"visits": 9001},
            ),
            last_visit_mono=self.clock.monotonic() - 95,
            commits=Commits({"usage": 47}, 12, 0.03),
            uplink=Link(
                online=True,
                since_mono=1600.0,
                broker="127.0.0.1:1883",
                pending={"alarm": 0, "usage": 0, "tele": 3},
                oldest_ms=round(self.clock.wall() * 1000) - 4000,
                connections=1,
            ),
        )

    def clock_day(self) -> date:
        """The business day of the clock."""
        return datetime.fromtimestamp(self.clock.wall(), tz=UTC).astimezone(self.config.station.zone).date()
