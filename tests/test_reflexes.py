"""What the station does at once by itself: before anything is stored, as long as it must, and not a second longer."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.cabinet.layout import CabinetLayout, SlotLayout, SlotLimits
from edge_agent.clock import FakeClock
from edge_agent.commands import CommandRefused
from edge_agent.config.condition import parse
from edge_agent.config.reflexes import Reflex
from edge_agent.early import Early
from edge_agent.picture import ActiveAlarm, View
from edge_agent.records import Alarm, AlarmState, Event, Quality, Reading, Record, Severity
from edge_agent.reflexes import Reflexes
from edge_agent.rules.conditions import Conditions
from edge_agent.rules.judges import Limit, When
from edge_agent.rules.rule import Rules
from edge_agent.rules.watch import Spec
from edge_agent.verbs import Command
from tests.rules.moments import stamp

UP, OVER = Alarm("sos", active=True), Alarm("sos", active=False)
SIREN = {"name": "siren", "device": "relay", "on": "on_siren", "off": "off_siren", "lasts": "60s", "again": "20s"}
BOX = CabinetLayout("box", (SlotLayout(1, None, "b1"),), limits=SlotLimits(3.0, 60.0, 5.0, 600.0))
HEAT = [
    Spec("hot", "b1", "battery_over_temp", Limit(("b1", "temp_c"), 60.0, 5.0), after=30.0),
    Spec("both", "b2", "battery_over_temp", When(parse("b2.warm and hood.still"))),
]


@dataclass
class Site:
    """A siren, a recorder that only listens, and time that passes when told."""

    reflexes: list[Reflex] = field(default_factory=lambda: [Reflex.model_validate(SIREN)])
    clock: FakeClock = field(default_factory=FakeClock)
    view: View = field(default_factory=View)
    broken: str = ""
    on: bool | None = None
    told: list[str] = field(default_factory=list)
    stored: list[tuple[str, Record]] = field(default_factory=list)

    def __post_init__(self) -> None:
        early = Early([Cabinet(BOX, None)], Rules([Conditions(HEAT, {})]), 1, self.clock)
        self.it = Reflexes(self.reflexes, early, tell=self.tell, sink=self, view=lambda: self.view, clock=self.clock)

    def tell(self, device: str, command: Command, within: float) -> None:
        """Be the relay."""
        assert (device, within) == ("relay", 5.0)
        if self.broken:
            raise CommandRefused(self.broken)
        self.told.append(command.name)
        self.on = command.name == "on_siren"

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """Be the recorder."""
        del at
        self.stored += [(device, record) for record in records]

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        """Be the recorder of a device that does not answer."""
        del why
        self.submit(device, records)

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Be the recorder of what must be durable."""
        del state, within
        self.submit(device, records)
        return True

    def say(self, *records: Record, device: str = "hall") -> None:
        """Let a Worker hand over what it heard."""
        self.it.submit(device, records, self.clock.monotonic())

    def say_durably(self, *records: Record) -> None:
        """Let a Worker hand over what it must know to be stored."""
        assert self.it.submit_durably("hall", records, {}, 1.0)

    def run(self, seconds: float = 0.0) -> None:
        """Let the reflexes work for so long."""
        end = self.clock.monotonic() + seconds
        for _ in range(1000):
            rest = min(arm.step() for arm in self.it.arms)
            now = self.clock.monotonic()
            if now + rest > end or rest == 0.0 == seconds:
                break
            self.clock.advance(max(rest, 0.001))
        self.clock.advance(max(0.0, end - self.clock.monotonic()))

    def events(self) -> list[dict[str, Any]]:
        """Return what is said of the reflex."""
        return [dict(record.data) for _, record in self.stored if isinstance(record, Event)]

    def failed(self) -> list[bool]:
        """Return the alarms about it."""
        return [record.active for _, record in self.stored if isinstance(record, Alarm) and record.code != "sos"]


@pytest.fixture
def site() -> Site:
    """Give a station that has just started."""
    made = Site()
    made.run()
    return made


def test_a_start_with_nothing_wrong(site: Site) -> None:
    """The siren is told to be off, once: the agent may have ended while it sounded."""
    site.run(1000.0)
    assert site.told == ["off_siren"]
    assert site.events() == []


def test_it_sounds_and_ends_by_itself(site: Site) -> None:
    """At once, again every 20 s so that a relay that drops out goes on, and off after its time."""
    site.say(UP)
    assert site.stored[-1] == ("hall", UP)
    site.run(59.9)
    assert site.told == ["off_siren", "on_siren", "on_siren", "on_siren"]
    site.run(1.0)
    assert site.on is False
    assert site.events() == [
        {"reflex": "siren", "on": True, "causes": ["hall/sos"], "ms": 0},
        {"reflex": "siren", "on": False, "why": "time"},
    ]
    site.say(UP)
    site.run(60.0)
    assert site.told.count("on_siren") == 3


def test_a_new_press_begins_it_anew(site: Site) -> None:
    """Also one of another device; what is not over calls for nothing new."""
    site.say(UP)
    site.run(50.0)
    site.say(OVER, UP)
    site.run(50.0)
    assert site.on
    site.say(UP, device="yard")
    site.run(50.0)
    assert site.on
    site.run(20.0)
    assert site.on is False


def test_a_person_ends_it(site: Site) -> None:
    """When all that called for it has been seen to; a new press sounds again."""
    site.say(UP)
    site.say(UP, device="yard")
    site.run()
    site.it.silence("hall", "sos")
    site.run(1.0)
    assert site.on
    site.it.silence("yard", "smoke")
    site.it.silence("yard", "sos")
    site.run(1.0)
    assert site.on is False
    assert site.events()[-1]["why"] == "silenced"
    site.say(OVER, UP)
    site.run()
    assert site.on


def test_an_input_that_is_active_at_the_start() -> None:
    """It sounds, before the first step even, unless somebody had seen to it before the restart, or it is shelved."""
    fresh = Site()
    fresh.say(UP)
    fresh.run()
    assert fresh.told == ["on_siren"]
    state = AlarmState("sos", Severity.CRITICAL, "", "", stamp(0), stands=True, active=True)
    for by, sounds in (("", True), ("li", False)):
        known = Site(view=View(alarms={("hall", "sos"): ActiveAlarm("hall", replace(state, by=by), 1, 1)}))
        known.say(UP)
        known.run()
        assert known.on is sounds
        known.say(OVER, UP)
        known.run()
        assert known.on
    shelved = Site(view=View(shelved=frozenset({("hall", "sos")})))
    shelved.say(UP, OVER, UP)
    shelved.run()
    assert shelved.on is False


def test_a_relay_that_fails(site: Site) -> None:
    """It is tried again until the time is over; that is an alarm, once, which clears with the first success."""
    site.broken = "no answer on rs485"
    site.say(UP)
    site.run(10.0)
    assert site.failed() == [False, True]
    site.broken = ""
    site.run(30.0)
    assert site.on
    assert site.failed() == [False, True, False]
    site.broken = "no answer on rs485"
    site.run(30.0)
    site.broken = ""
    site.run(40.0)
    assert site.on is False
    assert site.failed() == [False, True, False, True, False]


def test_every_way_of_handing_over(site: Site) -> None:
    """What comes with the news of a silence counts as well, and what must be durable."""
    site.it.unreachable("hall", "no answer", [UP])
    site.run()
    assert site.on
    site.it.silence("hall", "sos")
    site.say_durably(OVER, UP)
    site.run()
    assert site.on
    assert [record for _, record in site.stored if record in (UP, OVER)] == [UP, OVER, UP]


def test_a_point_calls_for_it() -> None:
    """A value of a contact that is no alarm; a bad reading calls for nothing; any alarm of its device ends it."""
    reflex = Reflex.model_validate({**SIREN, "point": "hall.panic", "equals": True})
    site = Site([reflex])
    site.say(Reading("panic", value=True, quality=Quality.BAD), UP)
    site.run()
    assert site.on is False
    site.say(Reading("panic", value=True))
    site.run()
    assert site.on
    site.it.silence("hall", "anything")
    site.run()
    assert not site.on


def test_alarms_that_rules_make(site: Site) -> None:
    """They come from the recorder; of those a Worker speaks of, its own word alone counts."""
    site.it.raised("cabinet", "cabinet_smoke", stands=True)
    site.run()
    assert site.on
    site.it.silence("cabinet", "cabinet_smoke")
    site.say(UP, OVER)
    site.it.silence("hall", "sos")
    site.run()
    site.it.raised("hall", "sos", stands=True)
    site.it.raised("hall", "door_held", stands=True)
    site.run()
    assert site.on is False


def test_what_heats_up_sounds_ahead_of_the_recorder(site: Site) -> None:
    """A rise and a limit are judged where they are heard; the recorder's word, which may come late, adds nothing."""
    for degrees in range(25, 34):
        site.say(Reading("sn", "A1"), Reading("temps_c", (25.0, float(degrees))), device="b1")
        site.run(10.0)
    assert site.on
    assert site.events()[-1]["causes"] == ["box-01/slot_temp_rise"]
    site.it.silence("box-01", "slot_temp_rise")
    site.it.raised("box-01", "slot_temp_rise", stands=False)
    site.it.raised("box-01", "slot_temp_rise", stands=True)
    site.run(10.0)
    assert site.on is False
    for _ in range(4):
        site.say(Reading("temp_c", 61.0), device="b1")
        site.run(10.0)
    assert site.on
    assert site.events()[-1]["causes"] == ["b1/battery_over_temp"]


def test_what_does_not_answer_is_not_believed(site: Site) -> None:
    """The siren keeps to what the alarm will: a value of a device that has fallen silent calls for nothing."""
    site.say(Reading("still", value=True), device="hood")
    site.it.unreachable("hood", "no answer")
    site.say(Reading("warm", value=True), device="b2")
    site.run()
    assert site.on is False
    site.say(Reading("still", value=True), device="hood")
    site.run()
    assert site.on


def test_it_ends_with_the_agent(site: Site) -> None:
    """Whoever stops the agent does not leave the siren on."""
    arm = site.it.arms[0]
    site.say(UP)
    heard = threading.Event()

    def tell(device: str, command: Command, within: float) -> None:
        site.tell(device, command, within)
        heard.set()

    arm._tell = tell
    thread = threading.Thread(target=arm.run, args=(lambda _by: None,))
    thread.start()
    assert heard.wait(10.0)
    arm.stop()
    thread.join(10.0)
    assert site.on is False
    assert site.events()[-1]["why"] == "stopped"


ACTS = st.sampled_from(["up", "over", "yard", "yard over", "silence", "break", "mend"])


@given(st.lists(st.tuples(ACTS, st.floats(0.0, 90.0)), max_size=30))
def test_any_history(acts: list[tuple[str, float]]) -> None:
    """A relay that works sounds only after a call, no longer than its time; whatever breaks in between, it ends."""
    site = Site()
    called, sound = -1e9, True
    for act, pause in acts:
        match act:
            case "up" | "yard":
                before = site.it._standing.get((act if act == "yard" else "hall", "sos"))
                site.say(UP, device="yard" if act == "yard" else "hall")
                called = called if before else site.clock.monotonic()
            case "over" | "yard over":
                site.say(OVER, device="hall" if act == "over" else "yard")
            case "silence":
                site.it.silence("hall", "sos")
                site.it.silence("yard", "sos")
            case _:
                site.broken = "broken" if act == "break" else ""
                sound &= act != "break"
        site.run(pause)
        if site.on and sound:
            assert site.clock.monotonic() <= called + 60.0 + pause
    site.broken = ""
    site.run(400.0)
    assert site.on is False
