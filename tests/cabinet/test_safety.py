"""Danger in a slot: heat that rises, smoke, a lock that does not do as told. Each alarm once, and over when it is."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cabinet.cabinet import Cabinet, Moment
from edge_agent.cabinet.layout import CabinetLayout, SlotLayout, SlotLimits
from edge_agent.cabinet.safety import Rise
from edge_agent.records import Json, Quality, Reading

LIMITS = SlotLimits(rise_c_min=3.0, rise_window_s=60.0, opens_within_s=5.0, open_longest_s=600.0)


class Box:
    """A cabinet of two slots: lock board, batteries, smoke detectors on an input board; its alarms in order."""

    def __init__(self, limits: SlotLimits = LIMITS) -> None:
        slots = tuple(
            SlotLayout(n, ("locks", f"lock_{n:02d}"), f"b{n}", smoke=("inputs", f"smoke_{n:02d}")) for n in (1, 2)
        )
        self.layout = CabinetLayout("box", slots, limits=limits)
        self.cabinet = Cabinet(self.layout, None)
        self.stored = "null"
        self.now = 1000.0
        self.alarms: list[tuple[str, str, bool]] = []
        self.details: dict[tuple[str, str], dict[str, Json]] = {}
        self.shown: dict[str, dict[str, object]] = {}

    def restart(self) -> None:
        """Build the cabinet anew from what it gave out for storing last."""
        self.cabinet = Cabinet(self.layout, json.loads(self.stored))

    def state(self, slot: int = 1) -> object:
        """What the slot is shown as."""
        return self.shown[f"box-{slot:02d}"]["state"]

    def say(self, device: str, *readings: Reading) -> None:
        outcome = self.cabinet.update(device, readings, Moment(self.now, 0.0, "boot"))
        if outcome.changed:
            self.stored = json.dumps(self.cabinet.stored())
        for name, alarm in outcome.alarms:
            self.alarms.append((name, alarm.code, alarm.active))
            self.details[name, alarm.code] = dict(alarm.detail)
        for name, values in outcome.readings.items():
            self.shown.setdefault(name, {}).update({reading.point: reading.value for reading in values})

    def battery(self, slot: int, *temps: float, seconds: float = 10.0, sn: str = "A") -> None:
        """Its board answers after so many seconds."""
        self.now += seconds
        self.say(f"b{slot}", Reading("sn", f"{sn}{slot}"), Reading("soc_pct", 99), Reading("temps_c", temps))

    def doors(self, first: str, second: str = "closed", *, seconds: float = 1.0) -> None:
        """The lock board answers after so many seconds."""
        self.now += seconds
        self.say("locks", Reading("lock_01", first), Reading("lock_02", second))

    def order(self, command: str = "open", **args: Json) -> None:
        """The lock board was told to do something."""
        self.cabinet.ordered("locks", {"command": command, "args": args, "ok": True}, Moment(self.now, 0.0, "boot"))

    def said(self, code: str, slot: int = 1) -> list[bool]:
        """Every raise and clear of an alarm of a slot, repetitions dropped as the recorder drops them."""
        said = [active for name, what, active in self.alarms if (name, what) == (f"box-{slot:02d}", code)]
        return [active for before, active in pairwise([False, *said]) if before != active]


# ---- heat


def warm(box: Box, rate_c_min: float, seconds: float, start: float = 25.0) -> float:
    """Let the battery of slot 1 warm up, asked every ten seconds; returns where it ends."""
    celsius = start
    for _ in range(int(seconds / 10)):
        celsius += rate_c_min / 6
        box.battery(1, 25.0, round(celsius, 1))
    return celsius


def test_a_charger_warms_its_transistors_without_alarm() -> None:
    """What is no cell and no air of the slot may rise as fast as it likes."""
    box = Box()
    for number in range(30):
        box.now += 10
        box.say("b1", Reading("sn", "A"), Reading("temps_c", (25.0,)), Reading("temp_mos_c", 25.0 + 2 * number))
    assert box.said("slot_temp_rise") == []


def test_charging_warms_a_battery_without_alarm() -> None:
    """A degree a minute is what charging does."""
    box = Box()
    warm(box, 1.0, 1800)
    assert box.said("slot_temp_rise") == []


def test_a_fast_rise_is_an_alarm_within_two_minutes_and_over_when_it_rises_no_more() -> None:
    """The hottest cell counts; the slot is a fault and none to be sent to; steady heat is no rise."""
    box = Box()
    warm(box, 0.5, 300)
    began = box.now
    hot = warm(box, 6.0, 120)
    assert box.said("slot_temp_rise") == [True]
    detail = box.details["box-01", "slot_temp_rise"]
    assert detail["sensor"] == "temps_c"
    assert detail["slot"] == 1
    assert isinstance(detail["rate_c_min"], float)
    assert detail["rate_c_min"] >= 3
    assert box.now - began <= 120
    assert box.state() == "fault"
    assert box.said("slot_temp_rise", 2) == []
    warm(box, 2.0, 120, start=hot)
    assert box.said("slot_temp_rise") == [True]
    warm(box, 0.0, 200, start=hot)
    assert box.said("slot_temp_rise") == [True, False]
    assert box.state() == "full"


def test_one_wrong_reading_is_no_fire() -> None:
    """A single value far off neither raises nor clears."""
    box = Box()
    warm(box, 0.0, 120)
    box.battery(1, 80.0)
    warm(box, 0.0, 120)
    assert box.said("slot_temp_rise") == []


def test_a_board_that_falls_silent_in_the_heat_keeps_its_alarm() -> None:
    """What burns may stop answering: silence behind a closed door is no all-clear."""
    box = Box()
    box.doors("closed")
    warm(box, 6.0, 180)
    for _ in range(20):
        box.now += 10
        box.say("b1", Reading("present", value=False))
        box.doors("closed")
    assert box.said("slot_temp_rise") == [True]


def test_another_battery_begins_anew() -> None:
    """A cold battery out and a warm one in is no rise, and what was hot left with its battery."""
    box = Box()
    box.doors("closed")
    hot = warm(box, 6.0, 180)
    box.doors("open")
    box.battery(1, 10.0, sn="B")
    assert box.said("slot_temp_rise") == [True, False]
    box.battery(1, hot, sn="C")
    box.battery(1, hot, sn="C", seconds=60)
    assert box.said("slot_temp_rise") == [True, False]


def test_a_device_that_is_asked_rarely_is_judged_too() -> None:
    """With two minutes between answers a rise still shows; after a long gap nothing is concluded from it."""
    box = Box()
    for celsius in (25.0, 35.0, 45.0):
        box.battery(1, celsius, seconds=120)
    assert box.said("slot_temp_rise") == [True]
    other = Box()
    for celsius in (25.0, 60.0, 60.0):
        other.battery(1, celsius, seconds=3600)
    assert other.said("slot_temp_rise") == []


def test_nobody_who_wants_none_has_it() -> None:
    """With a limit of 0 temperatures are not judged."""
    box = Box(SlotLimits(rise_c_min=0))
    warm(box, 20.0, 300)
    assert box.said("slot_temp_rise") == []


@given(st.lists(st.tuples(st.floats(0.01, 1000), st.floats(-60, 200)), max_size=60))
def test_a_rise_is_told_only_after_two_that_agree(readings: list[tuple[float, float]]) -> None:
    """Whatever comes, it never turns at two readings in a row, and its memory is one window."""
    rise = Rise(LIMITS)
    now, turned, before = 0.0, -2, rise.active
    for number, (pause, celsius) in enumerate(readings):
        now += pause
        rise.take(celsius, now)
        if before is not None and rise.active != before:
            assert number - turned >= 2
            turned = number
        before = rise.active
    assert rise.active in {None, True, False}


# ---- smoke


def test_smoke_is_told_for_the_slot() -> None:
    """The slot's detector raises its own alarm; a detector that cannot be read leaves it as it is."""
    box = Box()
    box.say("inputs", Reading("smoke_01", value=False), Reading("smoke_02", value=False))
    box.say("inputs", Reading("smoke_01", value=True), Reading("smoke_02", value=False))
    assert (box.said("smoke", 1), box.said("smoke", 2)) == ([True], [])
    assert box.state() == "fault"
    box.say("inputs", Reading("smoke_01", None, quality=Quality.BAD), Reading("smoke_02", value=False))
    assert box.said("smoke", 1) == [True]
    box.say("inputs", Reading("smoke_01", value=False), Reading("smoke_02", value=False))
    assert box.said("smoke", 1) == [True, False]


def test_a_controller_tells_smoke_and_heat_of_its_slots() -> None:
    """Points `slot_01_smoke` and `slot_01_slot_temp_c` of a whole cabinet's controller count likewise."""
    slots = (SlotLayout(1, ("board", "slot_01_door"), "board", prefix="slot_01_"),)
    box = Box()
    box.cabinet = Cabinet(CabinetLayout("box", slots, limits=LIMITS), None)
    for number in range(20):
        box.now += 10
        inside = Reading("slot_01_battery_present", value=True)
        box.say(
            "board", inside, Reading("slot_01_smoke", value=number > 15), Reading("slot_01_slot_temp_c", 20.0 + number)
        )
    assert box.said("smoke") == [True]
    assert box.said("slot_temp_rise") == [True]
    assert box.shown["box-01"]["smoke"] is True


# ---- locks


def test_a_lock_that_does_not_open_is_a_fault() -> None:
    """Told to open and still closed after the time allowed; over as soon as the door is seen open."""
    box = Box()
    box.doors("closed")
    box.order(lock=1)
    for _ in range(4):
        box.doors("closed")
    assert box.said("lock_fault") == []
    box.doors("closed")
    assert box.said("lock_fault") == [True]
    assert box.details["box-01", "lock_fault"] == {"slot": 1, "why": "told to open and still closed"}
    assert box.state() == "fault"
    assert box.said("lock_fault", 2) == []
    box.doors("open")
    assert box.said("lock_fault") == [True, False]


def test_a_lock_that_is_stuck_is_so_after_a_restart() -> None:
    """Nobody tells it to open again, yet the alarm neither clears nor comes twice; over when the door is seen open."""
    box = Box()
    box.order(lock=1)
    for _ in range(6):
        box.doors("closed")
    box.restart()
    for _ in range(10):
        box.doors("closed")
    assert box.said("lock_fault") == [True]
    assert box.state() == "fault"
    box.doors("open")
    assert box.said("lock_fault") == [True, False]
    box.restart()
    box.doors("closed")
    assert box.said("lock_fault") == [True, False]


def test_a_lock_that_opens_in_time_is_none() -> None:
    """Open within the time, and closed again whenever."""
    box = Box()
    box.doors("closed")
    box.order(lock=1)
    box.doors("closed")
    box.doors("open")
    for _ in range(20):
        box.doors("closed")
    assert box.said("lock_fault") == []


def test_a_board_that_cannot_tell_accuses_no_lock() -> None:
    """Without a door state after the order nothing is known."""
    box = Box()
    box.doors("closed")
    box.order(lock=1)
    for _ in range(10):
        box.now += 5
        box.say("locks", Reading("lock_01", None, quality=Quality.BAD), Reading("lock_02", "closed"))
    assert box.said("lock_fault") == []


@pytest.mark.parametrize(
    ("command", "args"), [("open", {"lock": 2}), ("open", {"slot": 1}), ("open", {}), ("flash", {"lock": 1})]
)
def test_an_order_for_another_lock_is_not_this_ones(command: str, args: dict[str, Json]) -> None:
    """Only the order that opens this very lock starts its time."""
    box = Box()
    box.doors("closed", "open")
    box.order(command, **args)
    for _ in range(10):
        box.doors("closed", "open")
    assert box.said("lock_fault") == []


def test_a_controllers_lock_is_ordered_by_slot() -> None:
    """Where one device speaks for all slots, its command names the slot."""
    slots = (SlotLayout(1, ("locks", "slot_01_door"), "locks", prefix="slot_01_"),)
    box = Box()
    box.cabinet = Cabinet(CabinetLayout("box", slots, limits=LIMITS), None)
    box.order(slot=1)
    for _ in range(2):
        box.now += 5
        box.say("locks", Reading("slot_01_door", "closed"))
    assert box.said("lock_fault") == [True]


def test_a_door_left_open_is_told() -> None:
    """Open for longer than allowed, also if the board could not tell in between; over when it is closed."""
    box = Box()
    box.doors("open")
    box.doors("open", seconds=300)
    box.say("locks", Reading("lock_01", None, quality=Quality.BAD))
    box.doors("open", seconds=299)
    assert box.said("lock_fault") == []
    box.doors("open", seconds=2)
    assert box.said("lock_fault") == [True]
    assert box.details["box-01", "lock_fault"]["why"] == "open for too long"
    assert box.state() != "fault"
    box.doors("closed")
    assert box.said("lock_fault") == [True, False]


def test_a_door_left_open_is_so_after_a_restart() -> None:
    """Open before and after it: the time does not begin anew; over when it is closed, also while nobody looked."""
    box = Box()
    box.doors("open")
    box.doors("open", seconds=601)
    box.restart()
    box.doors("open")
    assert box.said("lock_fault") == [True]
    box.restart()
    box.doors("closed")
    assert box.said("lock_fault") == [True, False]


@pytest.mark.parametrize("locks", ["7", '{"1": 7}', '{"9": "open for too long"}', '{"1": "no such fault"}'])
def test_a_picture_that_makes_no_sense_accuses_no_lock(locks: str) -> None:
    """What another release or damage has left there is no fault."""
    box = Box()
    box.stored = f'{{"locks": {locks}}}'
    box.restart()
    box.doors("closed")
    assert box.said("lock_fault") == []
