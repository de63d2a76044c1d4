"""The cabinet assembler against a small world of doors, batteries and a wire that may fail."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.cabinet.cabinet import Cabinet, Moment, Outcome
from edge_agent.cabinet.layout import CabinetLayout, SlotLayout
from edge_agent.records import Json, Quality, Reading

LOCKS = "locks"
BOOT = "boot-1"


def layout(slots: int = 4, *, locks: bool = True, wires: dict[str, str] | None = None) -> CabinetLayout:
    """A cabinet whose slot N has the battery device `bN` and the lock point `lock_0N`."""
    return CabinetLayout(
        "cabinet",
        tuple(
            SlotLayout(index, (LOCKS, f"lock_{index:02d}") if locks else None, f"b{index}")
            for index in range(1, slots + 1)
        ),
        wires=wires or {},
    )


@dataclass
class World:
    """Physics: which battery is where, which door is open, and what of it can be heard."""

    layout: CabinetLayout
    batteries: dict[int, str | None]
    soc: float = 99.0
    open_doors: set[int] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    drops: set[str] = field(default_factory=set)
    """Devices whose next answer is lost."""
    now: float = 1000.0
    boot: str = BOOT
    durable: dict[str, Json] | None = None
    cabinet: Cabinet = field(init=False)
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    alarms: dict[tuple[str, str], bool] = field(default_factory=dict)
    shown: dict[str, dict[str, Reading]] = field(default_factory=dict)
    asked: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """The agent starts with what it stored."""
        self.cabinet = Cabinet(self.layout, self.durable)

    def say(self, device: str, *readings: Reading) -> Outcome:
        """Give readings to the cabinet and do what a Recorder would."""
        self.now += 0.05
        outcome = self.cabinet.update(device, readings, Moment(self.now, 0.0, self.boot))
        for name, event in outcome.events:
            self.events.append((name, event.type, dict(event.data)))
        for name, alarm in outcome.alarms:
            self.alarms[name, alarm.code] = alarm.active
        for name, values in outcome.readings.items():
            self.shown.setdefault(name, {}).update({reading.point: reading for reading in values})
        if outcome.changed:
            self.durable = json.loads(json.dumps(self.cabinet.stored()))
        return outcome

    def ask(self, device: str) -> None:
        """Poll a device, then those that the cabinet wants at once."""
        waiting = [device]
        count = 0
        while waiting:
            waiting += self._ask(waiting.pop(0)).poll_now
            count += 1
            assert count < 60, "the cabinet asks for ever"
        self.asked += count

    def _ask(self, device: str) -> Outcome:
        silent = device in self.deaf or device in self.drops
        self.drops.discard(device)
        if device == LOCKS:
            if silent:
                return Outcome()
            locks = {slot.index: slot.lock[1] for slot in self.layout.slots if slot.lock is not None}
            states = {index: "open" if index in self.open_doors else "closed" for index in locks}
            return self.say(LOCKS, *(Reading(locks[index], state, prompt=True) for index, state in states.items()))
        sn = self.batteries[int(device[1:])]
        if silent or sn is None:
            return self.say(device, Reading("present", value=False))
        return self.say(device, Reading("sn", sn), Reading("soc_pct", self.soc), Reading("present", value=True))

    def round(self, times: int = 1) -> None:
        """Poll everything."""
        for _ in range(times):
            self.now += 5.0
            for device in (LOCKS, *(f"b{index}" for index in self.batteries)):
                self.ask(device)

    def door(self, slot: int, *, opened: bool) -> None:
        """Move a door and let the lock board be polled."""
        (self.open_doors.add if opened else self.open_doors.discard)(slot)
        self.ask(LOCKS)

    def visit(self, slot: int, battery: str | None, rest: Callable[[], None] | None = None) -> None:
        """A person opens a door, takes or puts a battery and shuts it."""
        rest = rest or (lambda: self.round(3))
        self.door(slot, opened=True)
        self.batteries[slot] = battery
        rest()
        self.door(slot, opened=False)
        rest()

    def took(self, kind: str, *, observed: bool | None = None) -> list[dict[str, Any]]:
        """Data of the events of a type."""
        return [
            data
            for _, type_, data in self.events
            if type_ == kind and (observed is None or data["observed"] is observed)
        ]

    def value(self, device: str, point: str) -> object:
        """What is shown of a point."""
        return self.shown[device][point].value


def running(**batteries: str) -> World:
    """A world of four slots after its baseline; `s1="A"` puts battery A in slot 1."""
    world = World(layout(), {index: batteries.get(f"s{index}") for index in range(1, 5)})
    world.round(4)
    assert world.events == []
    return world


def test_first_picture_is_a_baseline() -> None:
    """A cabinet with nothing stored takes what it finds without any event."""
    world = running(s1="A", s2="B")
    assert world.value("cabinet-01", "battery_present") == "yes"
    assert world.value("cabinet-03", "battery_present") == "no"
    assert world.durable is not None
    assert world.durable["slots"] == {"1": {"sn": "A"}, "2": {"sn": "B"}, "3": False, "4": False}


def test_swap_of_a_rider() -> None:
    """A battery brought and another taken are two events and one swap with both serials."""
    world = running(s1="A", s2="B")
    world.visit(3, "EMPTY")
    world.visit(1, None)
    assert world.took("battery_in") == [{"slot": 3, "sn": "EMPTY", "soc_pct": 99.0, "observed": True}]
    assert world.took("battery_out") == [{"slot": 1, "sn": "A", "soc_pct": 99.0, "observed": True}]
    assert world.took("swap") == [{"slots": [3, 1], "observed": True, "returned_sn": "EMPTY", "taken_sn": "A"}]
    assert world.events[-1][0] == "cabinet"


def test_taken_first_is_a_swap_too() -> None:
    """The order of the two halves does not matter: silence is seen later than an answer."""
    world = running(s1="A", s2="B")
    world.visit(1, None)
    world.visit(3, "EMPTY")
    assert len(world.took("swap")) == 1


def test_each_half_is_used_once() -> None:
    """Two batteries taken for one brought are one swap and a battery taken."""
    world = running(s1="A", s2="B")
    world.visit(3, "C")
    world.visit(1, None)
    world.visit(2, None)
    assert len(world.took("battery_out")) == 2
    assert len(world.took("swap")) == 1


def test_open_door_after_a_restart_witnesses_nothing_before_it() -> None:
    """A door seen open only after the restart does not make a witness of what may have happened before."""
    world = running(s1="A", s2="B")
    world.batteries |= {1: "X", 3: "C"}
    world.start()
    world.open_doors = {1, 3}
    world.round(2)
    assert [data["observed"] for data in world.took("battery_in") + world.took("battery_out")] == [False] * 3


def test_window_ends_a_half_swap() -> None:
    """A battery taken long after another was brought is no swap."""
    world = running(s1="A", s2="B")
    world.visit(3, "C")
    world.now += 121.0
    world.visit(1, None)
    assert len(world.took("battery_in")) == len(world.took("battery_out")) == 1
    assert world.took("swap") == []


def test_battery_put_back_is_no_swap() -> None:
    """Taking a battery out and putting it back cancels; the next rider's swap still counts once."""
    world = running(s1="A", s2="B")
    world.visit(1, None)
    world.visit(1, "A")
    world.visit(3, "C")
    assert world.took("swap") == []
    world.visit(1, None)
    assert [(swap["returned_sn"], swap["taken_sn"]) for swap in world.took("swap")] == [("C", "A")]


def test_battery_moved_to_another_slot_is_no_swap() -> None:
    """The same serial out of one slot and into another is neither brought nor taken."""
    world = running(s1="A", s2="B")
    world.visit(1, None)
    world.visit(4, "A")
    assert world.took("swap") == []


def test_absence_needs_no_more_than_the_probes_after_the_door() -> None:
    """After its door opened, a silent battery is asked again at once: gone within the same round."""
    world = running(s1="A", s2="B")
    world.door(1, opened=True)
    world.batteries[1] = None
    world.ask("b1")
    assert len(world.took("battery_out")) == 1


def test_door_asks_for_its_battery() -> None:
    """A door that moves names the battery of its slot, and only that."""
    world = running(s1="A", s2="B")
    readings = [Reading(f"lock_0{index}", "open" if index == 2 else "closed") for index in range(1, 5)]
    assert world.say(LOCKS, *readings).poll_now == ("b2",)


def test_dead_bus_is_no_event() -> None:
    """When nothing on the wire answers, no battery has left, however long."""
    world = running(s1="A", s2="B", s3="C")
    world.deaf = {LOCKS, "b1", "b2", "b3", "b4"}
    world.round(30)
    assert world.events == []
    assert world.value("cabinet-01", "battery_present") == "unknown"
    world.deaf = set()
    world.round(2)
    assert world.events == []
    assert world.value("cabinet-01", "battery_present") == "yes"


def test_half_dead_bus_is_no_event() -> None:
    """Batteries that all fall silent behind closed doors are unreadable, not taken."""
    world = running(s1="A", s2="B", s3="C")
    world.deaf = {"b1", "b2", "b3"}
    world.round(30)
    assert world.events == []
    assert world.value("cabinet-02", "state") == "fault"
    assert world.alarms["cabinet-02", "slot_unreadable"] is True
    assert world.value("cabinet", "slots_fault") == 3
    world.deaf = set()
    world.round()
    assert world.events == []
    assert world.alarms["cabinet-02", "slot_unreadable"] is False


def test_unreadable_survives_a_restart() -> None:
    """A battery asleep before and after a restart is still no battery that left."""
    world = running(s1="A", s2="B")
    world.deaf = {"b1"}
    world.round(10)
    world.start()
    world.round(10)
    assert world.events == []
    assert world.value("cabinet-01", "state") == "fault"


def test_unreadable_outlives_its_lock_board() -> None:
    """A battery asleep behind a closed door does not leave because the lock board fails later."""
    world = running(s1="A", s2="B")
    world.deaf = {"b1"}
    world.round(10)
    world.deaf = {"b1", LOCKS}
    world.round(20)
    assert world.events == []


def test_stale_values_are_marked() -> None:
    """A battery that does not answer keeps its last values, marked stale."""
    world = running(s1="A", s2="B")
    world.deaf = {"b1"}
    world.round(3)
    soc = world.shown["cabinet-01"]["soc_pct"]
    assert (soc.value, soc.quality) == (99.0, Quality.STALE)
    assert world.shown["cabinet-02"]["soc_pct"].quality is Quality.GOOD


def test_battery_gone_leaves_no_values() -> None:
    """An empty slot shows no battery values at all, and what ailed the battery is cleared."""
    world = running(s1="A", s2="B")
    world.visit(1, None)
    assert world.value("cabinet-01", "soc_pct") is None
    assert world.value("cabinet-01", "sn") is None
    assert world.alarms["b1", "battery_over_temp"] is False


def test_serial_changed_behind_closed_door() -> None:
    """Another serial without an open door is an alarm, also after a restart, and events that nobody saw; no swap."""
    world = running(s1="A", s2="B")
    world.batteries[1] = "X"
    world.round()
    assert [data["observed"] for data in world.took("battery_out") + world.took("battery_in")] == [False, False]
    assert world.alarms["cabinet-01", "sn_mismatch"] is True
    assert world.value("cabinet-01", "state") == "fault"
    world.visit(3, "C")
    assert world.took("swap") == []
    world.start()
    world.round(2)
    assert world.alarms["cabinet-01", "sn_mismatch"] is True
    world.door(1, opened=True)
    assert world.alarms["cabinet-01", "sn_mismatch"] is False


def test_batteries_without_serials_swap_too() -> None:
    """A battery that does not tell its serial still comes, goes and is swapped; unknown is left out."""
    world = running(s1="A", s2="B")
    closed = [Reading(f"lock_0{index}", "closed") for index in range(1, 5)]
    for slot, present in ((3, True), (1, False)):
        world.say(LOCKS, *closed[: slot - 1], Reading(f"lock_0{slot}", "open"), *closed[slot:])
        for _ in range(2):
            world.say(f"b{slot}", Reading("present", value=present))
            world.say(LOCKS, *closed)
    world.say("b4", Reading("present", value=False))
    assert world.took("battery_in") == [{"slot": 3, "observed": True}]
    assert world.took("swap") == [{"slots": [3, 1], "observed": True, "taken_sn": "A"}]
    nameless = running(s1="A", s2="B")
    nameless.say("b1", Reading("soc_pct", 50), Reading("sn", None))
    nameless.visit(3, "C")
    nameless.visit(1, None)
    assert [swap["taken_sn"] for swap in nameless.took("swap")] == ["A"]


def test_serial_learnt_later_is_no_event() -> None:
    """A serial read only at a later poll names the battery that is already there."""
    world = running(s2="B")
    world.door(1, opened=True)
    world.say("b1", Reading("present", value=True))
    world.say("b1", Reading("sn", "A"))
    assert len(world.events) == 1
    assert world.durable is not None
    assert world.durable["slots"] == {"1": {"sn": "A"}, "2": {"sn": "B"}, "3": False, "4": False}


def test_devices_and_states_of_the_whole() -> None:
    """The cabinet names the devices it listens to, and is a fault when no slot can be used."""
    world = World(layout(2), {1: "A", 2: "B"})
    assert world.cabinet.devices == {LOCKS, "b1", "b2"}
    world.ask(LOCKS)
    assert world.value("cabinet", "state") == "unknown"
    for slot in (1, 2):
        world.say(f"b{slot}", Reading("sn", "A"), Reading("protections", ("short_circuit",)))
    assert world.value("cabinet", "state") == "fault"
    assert world.value("cabinet", "slots_total") == 2
    world.say(LOCKS, Reading("lock_01", 7))
    assert world.value("cabinet-01", "door") == "unknown"


def test_exchange_within_one_slot_is_witnessed() -> None:
    """Another serial after the door was open is a witnessed exchange."""
    world = running(s1="A", s2="B")
    world.visit(1, "X")
    assert len(world.took("battery_out", observed=True)) == len(world.took("battery_in", observed=True)) == 1
    assert not world.alarms.get(("cabinet-01", "sn_mismatch"))


def test_restart_without_changes_is_silent() -> None:
    """After a restart the same batteries are no events."""
    world = running(s1="A", s2="B")
    world.start()
    world.round(10)
    assert world.events == []


def test_restart_tells_differences_as_unobserved() -> None:
    """What changed while the agent was away is told by serial, not witnessed, and makes no swap."""
    world = running(s1="A", s2="B", s3="C")
    world.batteries |= {1: None, 2: "X", 4: "D"}
    world.start()
    world.round(5)
    assert [(data["slot"], data["sn"]) for data in world.took("battery_out", observed=False)] == [(2, "B"), (1, "A")]
    assert [(data["slot"], data["sn"]) for data in world.took("battery_in", observed=False)] == [(2, "X"), (4, "D")]
    assert world.took("swap") == []
    assert len(world.events) == 4
    assert not any(world.alarms.values())


def test_half_swap_survives_a_restart() -> None:
    """A battery brought before a restart and one taken after it are one swap, told as unobserved where it was."""
    world = running(s1="A", s2="B")
    world.visit(3, "C")
    world.start()
    world.round(2)
    world.visit(1, None)
    assert [swap["observed"] for swap in world.took("swap")] == [True]
    other = running(s1="A", s2="B")
    other.visit(3, "C")
    other.batteries[1] = None
    other.start()
    other.round(4)
    assert [swap["observed"] for swap in other.took("swap")] == [False]


def test_half_swap_ends_with_its_boot() -> None:
    """How long a power cut lasted is unknown, so a half swap does not outlive its boot."""
    world = running(s1="A", s2="B")
    world.visit(3, "C")
    world.boot, world.now = "boot-2", 20.0
    world.start()
    world.round(2)
    world.visit(1, None)
    assert world.took("swap") == []
    assert len(world.took("battery_out", observed=True)) == 1


def test_empty_new_cabinet_counts_its_first_battery() -> None:
    """Where nothing has ever answered, a battery that comes through its door is brought, not a baseline."""
    world = running()
    assert world.value("cabinet", "slots_empty") == 4
    world.visit(1, "A")
    assert len(world.took("battery_in", observed=True)) == 1


def test_new_cabinet_with_a_loose_plug_takes_a_baseline_later() -> None:
    """Batteries first heard after the plug was pushed in, with all doors shut, were there before."""
    world = World(layout(), {1: "A", 2: "B", 3: None, 4: None}, deaf={"b1", "b2", "b3", "b4"})
    world.round(5)
    world.deaf = set()
    world.round(5)
    assert world.events == []


def test_charged_batteries_available() -> None:
    """Charged, behind a closed door and without a fault: only those are offered."""
    world = running(s1="A", s2="B", s3="C")
    assert world.value("cabinet", "batteries_available") == 3
    world.door(1, opened=True)
    assert world.value("cabinet", "batteries_available") == 2
    assert world.value("cabinet", "state") == "swapping"
    world.say("b2", Reading("sn", "B"), Reading("soc_pct", 99), Reading("over_temp", value=True))
    assert world.value("cabinet", "batteries_available") == 1
    assert world.value("cabinet-02", "state") == "fault"
    world.say("b3", Reading("sn", "C"), Reading("soc_pct", 40), Reading("current_a", 5.0))
    assert world.value("cabinet", "batteries_available") == 0
    assert world.value("cabinet-03", "state") == "charging"


def test_a_controller_that_shows_states_only() -> None:
    """Without a figure of charge the charger's own word tells which batteries are charged; swaps need none."""
    slots = tuple(SlotLayout(n, ("ctl", f"slot_{n:02d}_door"), "ctl", None, f"slot_{n:02d}_") for n in (1, 2, 3))
    cabinet = Cabinet(CabinetLayout("cabinet", slots), None)
    said: list[str] = []
    now = 1000.0

    def show(inside: str, chargers: str, doors: str = "ccc") -> dict[str, object]:
        nonlocal now
        readings: list[Reading] = []
        words = {"f": "full", "c": "charging", "-": "off"}
        for n in (1, 2, 3):
            readings.append(Reading(f"slot_{n:02d}_door", "open" if doors[n - 1] == "o" else "closed"))
            readings.append(Reading(f"slot_{n:02d}_battery_present", inside[n - 1] == "x"))
            readings.append(Reading(f"slot_{n:02d}_charger_state", words[chargers[n - 1]]))
        for _ in range(3):
            now += 2.0
            outcome = cabinet.update("ctl", readings, Moment(now, now, BOOT))
            said.extend(event.type for _, event in outcome.events)
        shown = {reading.point: reading.value for reading in outcome.readings["cabinet"]}
        return {point: shown[point] for point in ("batteries_available", "slots_full", "slots_empty", "slots_unknown")}

    assert list(show("xx.", "fc-").values()) == [1, 1, 1, 0]
    assert said == []
    show("xx.", "fc-", "cco")
    show("xxx", "fcc", "ccc")
    show("xxx", "fcc", "occ")
    assert list(show(".xx", "-cc", "ccc").values()) == [0, 0, 1, 0]
    assert said == ["battery_in", "battery_out", "swap"]


def test_unreachable_lock_board_makes_doors_unknown() -> None:
    """Old readings told again as bad are no answer: doors become unknown and nothing is witnessed by them."""
    world = running(s1="A", s2="B")
    world.say(LOCKS, *(Reading(f"lock_0{n}", "closed", quality=Quality.BAD, why="silent") for n in range(1, 5)))
    assert world.value("cabinet-01", "door") == "unknown"
    world.batteries[1] = None
    world.deaf = {LOCKS}
    world.round(5)
    assert [data["observed"] for data in world.took("battery_out")] == [False]


def test_battery_alone_on_its_wire() -> None:
    """A battery with a link of its own is gone after its door was open and it fell silent."""
    world = World(
        layout(wires={LOCKS: "w0", "b1": "w1", "b2": "w2", "b3": "w3", "b4": "w4"}), {1: "A", 2: "B", 3: None, 4: None}
    )
    world.round(3)
    world.visit(1, None)
    assert len(world.took("battery_out", observed=True)) == 1
    world.deaf = {"b2"}
    world.round(10)
    assert len(world.took("battery_out")) == 1


def test_lock_board_on_another_wire_is_no_witness() -> None:
    """Batteries on a dead wire stay, though the lock board on its own wire answers."""
    wires = {LOCKS: "w0", "b1": "w1", "b2": "w1", "b3": "w1", "b4": "w1"}
    world = World(layout(wires=wires), {1: "A", 2: "B", 3: None, 4: None})
    world.round(4)
    world.deaf = {"b1", "b2", "b3", "b4"}
    world.door(1, opened=True)
    world.round(10)
    assert world.events == []


def test_without_locks_silence_decides() -> None:
    """Without door inputs a battery is gone after the configured silences that another battery witnessed."""
    world = World(layout(locks=False), {1: "A", 2: "B", 3: None, 4: None})
    world.round(3)
    world.batteries[1] = None
    world.drops = {"b2"}
    world.round(3)
    assert [data["sn"] for data in world.took("battery_out", observed=True)] == ["A"]


def presence_world() -> World:
    """One slot with a switch, its battery and a lock."""
    slot = SlotLayout(1, (LOCKS, "lock_01"), "b1", ("contacts", "slot_1"))
    other = SlotLayout(2, (LOCKS, "lock_02"), "b2")
    world = World(CabinetLayout("cabinet", (slot, other)), {1: "A", 2: "B"})
    world.say("contacts", Reading("slot_1", value=True))
    world.round(3)
    return world


def test_switch_keeps_a_silent_battery() -> None:
    """While the switch says that something is in the slot, a silent board is unreadable, open door or not."""
    world = presence_world()
    world.deaf = {"b1"}
    world.door(1, opened=True)
    world.round(8)
    assert world.events == []
    assert world.alarms["cabinet-01", "slot_unreadable"] is True


def test_switch_frees_a_slot_at_once() -> None:
    """The switch released and one silence are enough."""
    world = presence_world()
    world.door(1, opened=True)
    world.batteries[1] = None
    assert world.say("contacts", Reading("slot_1", value=False)).poll_now == ("b1",)
    world._ask("b1")
    assert len(world.took("battery_out", observed=True)) == 1


def test_switch_that_contradicts_an_answer_is_ignored() -> None:
    """A broken switch cannot make a battery vanish at its next lost answer."""
    world = presence_world()
    world.say("contacts", Reading("slot_1", value=False))
    world.ask("b1")
    world.drops = {"b1"}
    world.round(3)
    assert world.events == []


def test_switch_reports_a_battery_that_never_speaks() -> None:
    """A battery with a dead board is counted in without a serial."""
    world = presence_world()
    world.visit(1, None, rest=lambda: world.round(0))
    world.say("contacts", Reading("slot_1", value=False))
    world.round(3)
    world.door(1, opened=True)
    world.say("contacts", Reading("slot_1", value=True))
    world.round(8)
    assert [(data["slot"], data.get("sn")) for data in world.took("battery_in")] == [(1, None)]


def test_slot_with_a_switch_only() -> None:
    """A slot whose battery cannot be read lives from its switch."""
    world = World(CabinetLayout("cabinet", (SlotLayout(1, presence=("contacts", "slot_1")),)), {})
    for inside in (True, False, True):
        world.say("contacts", Reading("slot_1", value=inside))
    assert [type_ for _, type_, _ in world.events] == ["battery_out", "battery_in"]


@pytest.mark.parametrize("stored", [{}, {"slots": 3, "halves": "x"}, {"halves": [{"kind": "in"}]}])
def test_unusable_stored_picture_is_a_baseline(stored: dict[str, Json]) -> None:
    """Whatever stands in the journal, the cabinet starts."""
    world = World(layout(), {1: "A", 2: None, 3: None, 4: "D"}, durable=stored)
    world.round(4)
    assert world.events == []


STEPS = st.tuples(
    st.sampled_from(["visit", "visit", "visit", "away", "outage", "sleep", "restart", "wait"]),
    st.integers(1, 3),
    st.sampled_from(["empty", "new", "same", "old"]),
    st.integers(0, 40),
)


class Story:
    """Carries out steps and keeps the truth: every battery that really came or went. Slot 4 is never touched."""

    def __init__(self, batteries: Iterable[str | None]) -> None:
        self.world = World(layout(), dict(enumerate((*batteries, "ZZ"), start=1)))
        self.world.round(4)
        self.truth: Counter[str] = Counter()
        self.away: Counter[str] = Counter()
        self.serial = 0
        self.gone: list[str] = []

    def battery(self, slot: int, what: str) -> str | None:
        """The battery that a person leaves in a slot."""
        if what == "same":
            return self.world.batteries[slot]
        if what == "old" and self.gone:
            return self.gone.pop()
        if what == "empty":
            return None
        self.serial += 1
        return f"N{self.serial}"

    def put(self, slot: int, battery: str | None, counts: Counter[str]) -> None:
        """Write the truth down."""
        before = self.world.batteries[slot]
        if before == battery:
            return
        if before is not None:
            counts["battery_out"] += 1
            self.gone.append(before)
        counts["battery_in"] += battery is not None

    def step(self, what: str, slot: int, battery: str, noise: int) -> None:
        """One thing that happens, ending with a quiet minute; `noise` loses answers and restarts in between."""
        world = self.world

        def rest() -> None:
            for turn in range(3):
                world.drops = {f"b{noise % 4 + 1}"} if (noise >> turn) % 3 == 1 and turn != 1 else set()
                world.round()
            if noise % 7 == 0:
                world.start()
            world.round(3)

        if what == "visit":
            left = self.battery(slot, battery)
            self.put(slot, left, self.truth)
            world.visit(slot, left, rest)
        elif what == "away":
            left = self.battery(slot, battery)
            self.put(slot, left, self.away)
            world.batteries[slot] = left
            world.start()
        elif what == "outage":
            world.deaf = {LOCKS, "b1", "b2", "b3", "b4"}
            world.round(noise % 9)
            world.deaf = set()
        elif what == "sleep":
            world.deaf = {f"b{slot}"}
            world.round(noise % 9)
            world.deaf = set()
        elif what == "restart":
            world.start()
        else:
            world.now += noise * 5
        rest()


@settings(max_examples=40)
@given(st.lists(st.sampled_from([None, "P", "Q"]), min_size=3, max_size=3, unique=True), st.lists(STEPS, max_size=12))
def test_every_story_adds_up(batteries: list[str | None], steps: list[tuple[str, int, str, int]]) -> None:
    """Whatever happens, each battery that came or went is told once, and each is in at most one swap."""
    story = Story(batteries)
    for step in steps:
        story.step(*step)
    world = story.world
    total = Counter(type_ for _, type_, _ in world.events if type_ != "swap")
    assert total == +(story.truth + story.away)
    inferred = Counter(type_ for _, type_, data in world.events if type_ != "swap" and not data["observed"])
    assert all(inferred[kind] >= story.away[kind] for kind in inferred)
    brought = Counter(data["sn"] for data in world.took("battery_in"))
    taken = Counter(data["sn"] for data in world.took("battery_out"))
    assert Counter(swap["returned_sn"] for swap in world.took("swap")) <= brought
    assert Counter(swap["taken_sn"] for swap in world.took("swap")) <= taken
    assert all(swap["returned_sn"] != swap["taken_sn"] for swap in world.took("swap"))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=8))
def test_swaps_without_noise_are_exact(visits: list[tuple[int, bool]]) -> None:
    """Riders one after another, each bringing to one slot and taking from another: as many swaps as riders."""
    story = Story(["P", None, None])
    world = story.world
    full, free = 1, 2
    for number, (_, restart) in enumerate(visits):
        world.visit(free, f"R{number}")
        if restart:
            world.start()
            world.round(2)
        world.visit(full, None)
        full, free = free, full
        world.now += 200.0
    assert len(world.took("swap", observed=True)) == len(visits)
    assert len(world.took("swap")) == len(visits)
