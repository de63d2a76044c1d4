"""Seconds of service: each is told once, with its state and cause, whatever ends the agent, whatever clocks do."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.abilities import Ability
from edge_agent.config.condition import parse
from edge_agent.ledger import Calendar, counts
from edge_agent.records import Event, Quality, Reading, Record, Stamp, Value
from edge_agent.rules.abilities import DEVICE, KEPT, STATION, STOPPED, UPLINK, Abilities, Settings
from edge_agent.rules.comfort import Comfort
from edge_agent.rules.rule import Moment

SHANGHAI = Calendar(ZoneInfo("Asia/Shanghai"), time(0))
NOON = 1_780_027_200_000
"""2026-05-29 12:00 in Shanghai, Unix milliseconds."""
COOLNESS = Ability(name="coolness", room="room", aircon="aircon", outside="roof").rule
HOT_FOOD = Ability(name="hot_food", power="oven", used="oven", used_within="1h").rule


@dataclass
class Life:
    """A station through several lives of its agent; `told` is every event with its stamp."""

    calendar: Calendar = SHANGHAI
    patience: dict[str, int] = field(default_factory=dict)
    mains: str | None = None
    now_ms: int = NOON
    boot: int = 1
    booted_ms: int = NOON - 100_000
    good: bool = True
    dated_boots: dict[int, int] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    told: list[tuple[Stamp, str, Event]] = field(default_factory=list)
    points: dict[str, Value | None] = field(default_factory=dict)
    marked_ms: int = 0

    def __post_init__(self) -> None:
        self.start()

    @property
    def moment(self) -> Moment:
        """Now."""
        mono = self.now_ms - self.booted_ms
        wall = self.now_ms if self.good else mono
        if self.good:
            self.dated_boots[self.boot] = self.booted_ms
        return Moment(Stamp(self.boot, mono, wall, self.good), self.dated)

    def dated(self, stamp: Stamp) -> int | None:
        """As the recorder does: a good stamp, or one of a boot whose clock became good."""
        if stamp.good:
            return stamp.wall_ms
        booted = self.dated_boots.get(stamp.boot)
        return None if booted is None else booted + stamp.mono_ms

    def start(self) -> None:
        """Begin a new agent with what was stored."""
        comfort = Comfort(("room", "temperature_c"), dict.fromkeys(range(1, 13), (18.0, 26.0)), self.calendar.zone)
        settings = Settings(
            self.calendar,
            {"coolness": COOLNESS, "hot_food": HOT_FOOD},
            None if self.mains is None else parse(self.mains),
            self.patience,
            frozenset({"roof"}),
        )
        self.rule = Abilities(settings, comfort, self.stored)
        self.tick()

    def tick(self) -> None:
        """Let the rule look at the time, if it wants to."""
        if self.rule.due <= self.moment.mono:
            self._take(self.rule.tick(self.moment))
            assert self.rule.due > self.moment.mono

    def say(self, device: str, *records: Record) -> None:
        """Let a device speak now."""
        self.tick()
        for record in records:
            self._take(self.rule.take(device, record, self.moment))

    def room(self, temperature: float | None, aircon: str = "stopped", roof: float = 35.0) -> None:
        """Say what coolness is judged by."""
        quality = Quality.BAD if temperature is None else Quality.GOOD
        self.say("room", Reading("temperature_c", temperature, quality=quality))
        self.say("aircon", Reading("state", aircon))
        self.say("roof", Reading("temperature_c", roof))

    def live(self, seconds: float) -> None:
        """Let time pass; the rule is called when it is due."""
        until = self.now_ms + round(seconds * 1000)
        while (due := self.booted_ms + round(self.rule.due * 1000)) <= until:
            self.now_ms = max(self.now_ms, due)
            self.tick()
        self.now_ms = until
        self.tick()

    def stop(self) -> None:
        """Stop in good order."""
        self.say(STATION, Event(STOPPED))

    def restart(self, away: float = 0.0, *, reboot: bool = False, good: bool = True) -> None:
        """Begin a new agent after `away` seconds: what was not stored is gone."""
        self.now_ms += round(away * 1000)
        self.good = good
        if reboot:
            self.boot += 1
            self.booted_ms = self.now_ms - 20_000
        self.start()

    def _take(self, said: Iterable[tuple[str, Record]]) -> None:
        for device, record in list(said):
            if isinstance(record, Event):
                at = self.moment.stamp
                if record.at is not None:
                    back = at.mono_ms - round(record.at * 1000)
                    at = Stamp(at.boot, at.mono_ms - back, at.wall_ms - back, at.good)
                self.told.append((at, device, record))
            elif device == DEVICE and isinstance(record, Reading):
                self.points[record.point] = record.value
        kept = self.rule.kept()
        if kept.state:
            self.stored |= {key: text for key, text in kept.state.items() if text is not None}
            self.marked_ms = self.now_ms

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the events of a type."""
        return [dict(event.data) for _, _, event in self.told if event.type == kind]

    def seconds(self, subject: str) -> dict[str, int]:
        """All seconds told of a subject, by state."""
        total: Counter[str] = Counter()
        for body in self.of("service"):
            total.update(body["seconds"].get(subject, {}))
        return dict(total)

    def hours(self, subject: str) -> dict[str, int]:
        """Seconds told of a subject by the local hour to which its event belongs."""
        found: Counter[str] = Counter()
        for stamp, _, event in self.told:
            at = self.dated(stamp)
            if event.type == "service" and at is not None:
                day, hour = self.calendar.hour(at)
                states: Any = event.data["seconds"]
                found[f"{day} {hour:02}"] += sum(states.get(subject, {}).values())
        return dict(found)


def test_an_hour_of_service() -> None:
    """One event for each local hour, in that hour, with the seconds of each state and cause."""
    it = Life()
    it.room(25.0)
    assert it.points["coolness"] == "available"
    it.live(600)
    it.room(28.0)
    assert (it.points["coolness"], it.points["coolness_cause"]) == ("degraded", "device")
    it.live(600)
    it.room(31.0)
    assert it.points["coolness"] == "unavailable"
    it.live(300)
    it.room(31.0, aircon="cooling")
    it.live(300)
    it.room(None)
    assert (it.points["coolness"], it.points["coolness_cause"]) == ("unknown", "device")
    it.live(900)
    it.room(None, roof=20.0)
    assert (it.points["coolness"], it.points["coolness_cause"]) == ("available", None)
    it.live(900)
    ((stamp, device, event),) = it.told
    assert (device, event.type) == (STATION, "service")
    assert SHANGHAI.hour(it.dated(stamp) or 0)[1] == 12
    assert it.seconds("coolness") == {
        "available": 600 + 300 + 900,
        "degraded_device": 600,
        "unavailable_device": 300,
        "unknown_device": 900,
    }
    assert it.seconds("agent") == {"up": 3600}
    assert it.seconds("hot_food") == {"unknown_agent": 60, "unknown_device": 3540}
    assert counts(event) == {
        "agent_up_s": 3600,
        "uplink_offline_s": 3600,
        "coolness_available_s": 1800,
        "coolness_degraded_s": 600,
        "coolness_unavailable_s": 300,
        "coolness_unknown_s": 900,
        "hot_food_unknown_s": 3600,
    }


def test_a_value_that_is_too_old_is_unknown() -> None:
    """From the second at which its device should have been heard again, and not before; behind a network it says so."""
    it = Life(patience={"roof": 45_000, "room": 45_000})
    it.room(30.0)
    it.live(44)
    assert it.points["coolness"] == "unavailable"
    it.say("room", Reading("temperature_c", 30.0))
    it.live(1)
    assert (it.points["coolness"], it.points["coolness_cause"]) == ("unknown", "network")
    it.live(43)
    assert it.points["coolness_cause"] == "network"
    it.live(1)
    assert it.points["coolness_cause"] == "device"
    it.room(20.0)
    assert it.points["coolness"] == "available"


def test_hot_food_is_proved_by_use() -> None:
    """A live circuit alone is degraded; a use or self-test proves it for its time, also over a restart."""
    it = Life()
    it.say("oven", Reading("voltage_v", 230.0), Reading("running", value=False))
    assert (it.points["hot_food"], it.points["hot_food_cause"]) == ("unknown", "agent")
    it.live(3700)
    assert it.points["hot_food"] == "degraded"
    it.say("oven", Reading("running", value=True))
    assert it.points["hot_food"] == "available"
    it.live(120)
    it.say("oven", Reading("running", value=False))
    it.live(1800)
    it.restart(600, reboot=True)
    it.say("oven", Reading("voltage_v", 230.0), Reading("running", value=False))
    assert it.points["hot_food"] == "available"
    it.live(1300)
    assert it.points["hot_food"] == "degraded"
    it.say("oven", Reading("voltage_v", 3.0))
    assert it.points["hot_food"] == "unavailable"


@pytest.mark.parametrize(
    ("stop", "reboot", "cause", "state"),
    [
        (False, False, "agent", "unknown"),
        (True, False, "maintenance", "unknown"),
        (False, True, "power", "unavailable"),
        (True, True, "reboot", "unknown"),
    ],
)
def test_an_outage_is_declared_and_explained(stop: bool, reboot: bool, cause: str, state: str) -> None:
    """From the last sign of life to the start, by how it ended and whether the machine was booted since."""
    it = Life()
    it.room(20.0)
    it.live(130)
    if stop:
        it.stop()
    last = it.marked_ms
    it.restart(7200, reboot=reboot)
    it.room(20.0)
    it.stop()
    (outage,) = it.of("outage")
    lost = 0 if stop else 10
    assert (outage["cause"], outage["seconds"]) == (cause, 7200 + lost)
    assert (it.dated(Stamp(*outage["from"])), it.dated(Stamp(*outage["to"]))) == (last, it.now_ms)
    assert it.seconds("agent") == {"up": 130 - lost, f"down_{cause}": 7200 + lost}
    assert it.seconds("coolness") == {"available": 130 - lost, f"{state}_{cause}": 7200 + lost}
    assert it.hours("agent") == {"2026-05-29 12": 3600, "2026-05-29 13": 3600, "2026-05-29 14": 130}


def test_an_outage_over_days_is_counted_where_it_was() -> None:
    """Each hour of it has its own 3600 seconds, months later too."""
    it = Life()
    it.restart(40 * 86_400, reboot=True)
    it.stop()
    hours = it.hours("coolness")
    assert len(hours) == 40 * 24
    assert set(hours.values()) == {3600}


def test_nothing_is_counted_twice_after_a_kill() -> None:
    """An hour's event and the mark that begins the next hour are stored together."""
    it = Life()
    it.room(20.0)
    it.live(3600)
    assert it.seconds("agent") == {"up": 3600}
    it.restart()
    it.live(3600)
    assert it.seconds("agent") == {"up": 7200}
    assert [body["seconds"] for body in it.of("outage")] == [0]


def test_without_a_clock_hours_are_undated() -> None:
    """They are told each hour of running, with no time; when the clock is good the rest falls into its hours."""
    it = Life(good=False)
    it.room(20.0)
    it.live(4000)
    assert [it.dated(stamp) for stamp, _, _ in it.told] == [None]
    it.good = True
    it.live(100)
    it.live(3600)
    assert it.seconds("agent") == {"up": 3600 + 400 + 3200}
    assert it.hours("agent") == {"2026-05-29 12": 3600, "2026-05-29 13": 3600}


def test_an_outage_is_counted_when_its_length_can_be_told() -> None:
    """A boot without a clock declares it at once, without seconds; those follow when the time is known."""
    it = Life()
    it.room(20.0)
    it.live(60)
    it.restart(7000, reboot=True, good=False)
    (outage,) = it.of("outage")
    assert "seconds" not in outage
    it.live(100)
    assert it.seconds("agent") == {}
    it.good = True
    it.live(60)
    it.stop()
    assert it.seconds("agent") == {"up": 60 + 160, "down_power": 7000}
    assert it.hours("agent") == {"2026-05-29 12": 3600, "2026-05-29 13": 3600, "2026-05-29 14": 20}


def test_boots_that_never_knew_the_time_lie_within_the_outage() -> None:
    """What they counted themselves is told without a time, the rest of the stretch is the outage."""
    it = Life()
    it.live(60)
    for _ in range(2):
        it.restart(1000, reboot=True, good=False)
        it.live(500)
        it.restart(10, good=False)
        it.live(490)
    it.restart(1000, reboot=True)
    it.stop()
    assert [body.get("seconds") for body in it.of("outage")] == [None, 30, None, 30, None]
    assert sum(it.seconds("agent").values()) == 60 + 2 * (1000 + 1000) + 1000
    assert it.hours("coolness") != {}


def test_the_uplinks_outages() -> None:
    """Told when the connection is back, if they were worth it; also if the agent was started meanwhile."""
    it = Life()
    it.say(STATION, Event(UPLINK, {"online": True}))
    it.live(1000)
    it.say(STATION, Event(UPLINK, {"online": False}))
    it.live(59)
    it.say(STATION, Event(UPLINK, {"online": True}))
    it.live(41)
    it.say(STATION, Event(UPLINK, {"online": False}))
    it.live(300)
    it.stop()
    it.restart(20)
    it.live(80)
    it.say(STATION, Event(UPLINK, {"online": True}))
    it.live(10)
    it.stop()
    (outage,) = it.of("uplink_outage")
    assert (outage["seconds"], outage["cause"]) == (400, "network")
    assert it.seconds("uplink") == {"online": 1000 + 41 + 10, "offline": 59 + 300 + 80}
    assert it.of(UPLINK) == []


def test_mains_lost_with_the_agent_alive() -> None:
    """Where something tells, whatever is not available meanwhile is laid to the power, and the time is told."""
    it = Life(mains="ups.mains")
    it.say("ups", Reading("mains", value=True))
    it.room(30.0)
    it.live(100)
    it.say("ups", Reading("mains", value=False))
    assert it.points["coolness_cause"] == "power"
    it.live(50)
    it.say("ups", Reading("mains", value=True))
    assert it.points["coolness_cause"] == "device"
    it.stop()
    (outage,) = it.of("mains_outage")
    assert (outage["seconds"], outage["cause"]) == (50, "power")
    assert it.seconds("coolness") == {"unavailable_device": 100, "unavailable_power": 50}


def test_comfort_is_counted_while_people_are_in() -> None:
    """By the estimate of people inside where there is one; a room that is not known is unknown."""
    it = Life()
    it.room(25.0)
    it.live(60)
    it.say(STATION, Reading("people_inside", 2))
    it.live(100)
    it.room(27.0)
    it.live(50)
    it.room(None)
    it.live(25)
    it.say(STATION, Reading("people_inside", 0))
    it.live(60)
    it.stop()
    assert it.seconds("comfort") == {"in": 100, "out": 50, "unknown": 25}


def test_maintenance_explains_what_is_not_available() -> None:
    """As long as somebody is there for it, and for an end of the agent meanwhile, however sudden."""
    it = Life()
    it.room(31.0)
    it.say(STATION, Reading("staff", "wang"))
    assert it.points["coolness_cause"] == "maintenance"
    it.live(70)
    it.restart(600, reboot=True)
    it.say(STATION, Reading("staff", None))
    it.room(31.0)
    assert it.points["coolness_cause"] == "device"
    assert [body["cause"] for body in it.of("outage")] == ["maintenance"]


@pytest.mark.parametrize(
    ("zone", "day_starts", "begin", "hours"),
    [
        # 29 March 2026: 02:00 does not exist. 25 October 2026: 02:00 to 03:00 comes twice.
        ("Europe/Berlin", time(0), datetime(2026, 3, 28, 23, tzinfo=UTC), {0: 3600, 1: 3600, 3: 3600}),
        ("Europe/Berlin", time(0), datetime(2026, 10, 24, 22, tzinfo=UTC), {0: 3600, 1: 3600, 2: 7200}),
        ("Asia/Kathmandu", time(4, 30), datetime(2026, 5, 28, 22, 15, tzinfo=UTC), {4: 3600, 5: 3600, 6: 3600}),
    ],
)
def test_every_hour_is_whole(zone: str, day_starts: time, begin: datetime, hours: dict[int, int]) -> None:
    """Where the clock is put on or back, and where a business day begins within an hour."""
    start = round(begin.timestamp() * 1000)
    it = Life(Calendar(ZoneInfo(zone), day_starts), now_ms=start, booted_ms=start - 12_345)
    it.live(sum(hours.values()) + 1800)
    found: Counter[int] = Counter()
    for hour, seconds in it.hours("agent").items():
        found[int(hour[-2:])] += seconds
    assert {hour: found[hour] for hour in hours} == hours
    days = {hour[:10] for hour in it.hours("agent")}
    assert len(days) == (2 if day_starts.minute else 1)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.integers(1, 9000)),
        st.tuples(st.just("room"), st.sampled_from([20, 27, 31])),
        st.tuples(st.just("dead"), st.just(0)),
        st.tuples(st.just("kill"), st.integers(0, 9000)),
        st.tuples(st.just("stop"), st.integers(0, 9000)),
        st.tuples(st.just("cut"), st.integers(0, 90_000)),
        st.tuples(st.just("people"), st.integers(0, 2)),
    ),
    max_size=25,
)


@given(STEPS, st.integers(0, 3_600_000))
def test_the_seconds_of_all_states_are_the_time_that_passed(steps: list[tuple[str, int]], begin: int) -> None:
    """Exactly, for each subject and in each whole hour, through any history of restarts."""
    it = Life(now_ms=NOON + begin, booted_ms=NOON + begin - 100_000)
    first = it.now_ms
    for what, amount in steps:
        if what == "live":
            it.live(amount)
        elif what == "room":
            it.room(float(amount))
        elif what == "dead":
            it.room(None)
        elif what == "people":
            it.say(STATION, Reading("people_inside", amount))
        else:
            if what == "stop":
                it.stop()
            it.restart(amount, reboot=what == "cut")
    it.stop()
    passed = (it.now_ms - first) // 1000
    for subject in ("agent", "coolness", "hot_food"):
        assert sum(it.seconds(subject).values()) == passed
        whole = list(it.hours(subject).values())[1:-1]
        assert set(whole) <= {3600}
    down = sum(seconds for state, seconds in it.seconds("agent").items() if state != "up")
    outages = [body["seconds"] for body in it.of("outage")]
    assert abs(sum(outages) - down) <= len(outages)


@given(STEPS, st.data())
def test_any_clock_loses_nothing_of_what_was_witnessed(steps: list[tuple[str, int]], data: st.DataObject) -> None:
    """Clocks that are unknown for any stretch cost no second of running, and never make one."""
    it = Life()
    ran = lost = 0
    for what, amount in steps:
        it.good = data.draw(st.booleans())
        if what == "live":
            it.live(amount)
            ran += amount
        elif what in {"kill", "cut"}:
            lost += (it.now_ms - it.marked_ms) // 1000
            it.restart(amount, reboot=what == "cut", good=data.draw(st.booleans()))
    it.good = True
    it.stop()
    assert it.seconds("agent").get("up", 0) == ran - lost


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"stamp": 1}', '{"stamp": {"boot": 1}}'])
def test_a_damaged_mark(text: str) -> None:
    """What makes no sense is forgotten: nothing is declared, counting begins anew."""
    it = Life(stored={KEPT: text})
    it.live(10)
    it.stop()
    assert it.of("outage") == []
    assert it.seconds("agent") == {"up": 10}
