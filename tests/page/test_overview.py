"""What the screen says of a painted station: the verdict, the tiles, and how old everything is."""

from dataclasses import replace

from edge_agent.machine import Machine
from edge_agent.page.overview import Overview, overview
from edge_agent.picture import Link, Storage, Totals
from edge_agent.records import Quality, Reading, Severity
from edge_agent.slot import Statistics
from tests.page.rig import BOOT, Rig, config

LISTENERS = frozenset({"inputs", "front"})


def look(rig: Rig) -> Overview:
    """Look at the painted station."""
    return overview(rig.source, LISTENERS)


def normal() -> Rig:
    """An ordinary noon."""
    rig = Rig()
    rig.normal()
    return rig


def states(rig: Rig) -> dict[str, str]:
    """Device -> state in the list."""
    return {row.name: row.state for row in look(rig).devices}


def test_an_ordinary_noon_is_all_normal() -> None:
    """Without an alarm, and with every device heard, the banner says so."""
    verdict = look(normal()).verdict
    assert (verdict.level, verdict.worst, verdict.waiting) == ("ok", None, 0)


def test_before_the_first_answers_nothing_is_called_normal() -> None:
    """Until every device has been heard the banner counts those that are awaited."""
    rig = Rig()
    assert (look(rig).verdict.level, look(rig).verdict.waiting) == ("waiting", 15)
    rig.say("room", temperature_c=20.0)
    assert look(rig).verdict.waiting == 14


def test_old_or_bad_data_is_not_called_normal() -> None:
    """Without any alarm: values that stopped being accepted, or that cannot be true, are counted in the banner."""
    rig = normal()
    implausible = Reading("humidity_pct", None, quality=Quality.BAD, why="120 is outside 0 to 100")
    rig.say("room", humidity_pct=implausible)
    assert (look(rig).verdict.level, look(rig).verdict.doubtful) == ("warning", 1)
    rig = normal()
    rig.clock.advance(60)
    rig.statistics["room"] = replace(rig.statistics["room"], last_good=rig.clock.monotonic())
    assert states(rig)["room"] == "stale"
    assert look(rig).verdict.level == "warning"


def test_what_was_heard_but_never_accepted_is_still_awaited() -> None:
    """A journal that takes nothing must not make the devices look fine."""
    rig = Rig()
    rig.statistics["room"] = Statistics(polls=3, good=3, last_good=rig.clock.monotonic())
    assert states(rig)["room"] == "waiting"


def test_the_banner_is_the_worst_alarm_and_counts_the_others() -> None:
    """Severity decides, then novelty; clearing all returns to normal."""
    rig = normal()
    rig.alarm("cabinet-03", "slot_unreadable", Severity.WARNING)
    rig.clock.advance(10)
    rig.alarm("inputs", "smoke", Severity.CRITICAL)
    rig.clock.advance(10)
    rig.alarm("locks", "lock_fault", Severity.WARNING)
    verdict = look(rig).verdict
    assert verdict.worst is not None
    assert (verdict.level, verdict.worst.code, verdict.more) == ("critical", "smoke", 2)
    assert [one.code for one in look(rig).concerns] == ["smoke", "lock_fault", "slot_unreadable"]
    rig.clear()
    assert look(rig).verdict.level == "ok"


def test_what_people_have_seen_to_steps_back() -> None:
    """Of equal weight what nobody has acknowledged comes first; what is shelved comes last and is no verdict."""
    rig = normal()
    rig.alarm("hall", "water_leak", by="li")
    rig.alarm("room", "device_silent")
    rig.alarm("aircon", "smoke", Severity.CRITICAL, shelved="wang")
    screen = look(rig)
    assert [one.code for one in screen.concerns] == ["device_silent", "water_leak", "smoke"]
    assert [(one.by, one.shelved) for one in screen.concerns] == [("", ""), ("li", ""), ("", "wang")]
    assert screen.verdict.level == "major"
    rig.clear()
    rig.alarm("aircon", "smoke", Severity.CRITICAL, shelved="wang")
    assert look(rig).verdict.level == "ok"
    assert len(look(rig).concerns) == 1


def test_what_cannot_be_an_alarm_is_a_concern_too() -> None:
    """A journal that cannot be written, a lasting absence of the centre, low voltage and a full disk are shown."""
    rig = normal()
    rig.machine = Machine(disk_free=100_000_000, throttled=("under_voltage",))
    rig.change(
        storage=Storage(trouble="disk is full"), uplink=Link(since_mono=rig.clock.monotonic() - 301, why="no route")
    )
    found = {one.code: one for one in look(rig).concerns}
    assert set(found) == {"journal", "offline", "under_voltage", "disk_low"}
    assert look(rig).verdict.level == "critical"
    assert found["offline"].why == "no route"


def test_a_short_absence_of_the_centre_is_no_concern() -> None:
    """Reconnecting takes minutes and is not worth a banner."""
    rig = normal()
    rig.change(uplink=Link(since_mono=rig.clock.monotonic() - 200, why="lost"))
    assert look(rig).verdict.level == "ok"


def test_an_alarm_of_this_boot_is_dated_without_a_good_clock() -> None:
    """The monotonic clock knows how long ago it was, though nobody knows when."""
    rig = normal()
    rig.clock.set_wall(500.0, good=False)
    rig.alarm("inputs", "water_leak")
    rig.clock.advance(90)
    since = look(rig).concerns[0].since
    assert since.wall_ms is None
    assert since.at == rig.clock.monotonic() - 90


def test_an_alarm_of_an_earlier_boot_is_dated_by_good_clocks_only() -> None:
    """Monotonic times of two boots do not compare."""
    rig = normal()
    rig.alarm("inputs", "water_leak", boot=BOOT - 1)
    rig.clock.advance(3600)
    rig.clock.reboot("another", monotonic=5.0)
    since = look(rig).concerns[0].since
    assert since.at == 5.0 - 3600
    rig.clock.set_wall(0.0, good=False)
    since = look(rig).concerns[0].since
    assert since.at is None
    assert since.wall_ms is not None


def test_names_for_people_reach_the_alarm() -> None:
    """A slot is named by its cabinet and number, a link by its own name."""
    rig = normal()
    rig.alarm("cabinet-03", "slot_unreadable", Severity.WARNING)
    assert look(rig).concerns[0].label.zh == "换电柜 3 号仓"
    rig.clear()
    rig.alarm("battery-05", "battery_protection")
    assert look(rig).concerns[0].label.zh == "5 号电池"
    unnamed = tuple(device.model_copy(update={"label": None}) for device in rig.config.device)
    rig.config = rig.config.model_copy(update={"device": unnamed})
    assert look(rig).concerns[0].label.en == "Swap cabinet, slot 5"
    rig.clear()
    rig.alarm("bus", "link_lost")
    assert look(rig).concerns[0].label.en == "bus"
    rig.clear()
    rig.alarm("station", "journal_damaged")
    assert look(rig).concerns[0].label.zh == "本站"


def test_visits_of_today_need_a_good_clock() -> None:
    """Without one the count is shown as undated; with one both are."""
    rig = normal()
    assert look(rig).visits.today == 47
    rig.change(totals=Totals(undated={"visits": 5}))
    visits = look(rig).visits
    assert (visits.today, visits.undated, visits.yesterday) == (None, 5, None)


def test_a_polled_value_turns_stale_with_age() -> None:
    """Three missed polls and some slack; the room is asked every 5 s."""
    rig = normal()
    rig.clock.advance(44)
    assert not look(rig).climate.stale
    assert states(rig)["room"] == "ok"
    rig.clock.advance(2)
    assert look(rig).climate.stale
    assert states(rig)["room"] == "stale"


def test_a_door_that_does_not_move_is_not_stale() -> None:
    """A contact speaks only when it changes; only its lost wire makes it doubtful."""
    rig = normal()
    rig.clock.advance(86_400)
    assert (look(rig).door.state, look(rig).door.stale) == ("closed", False)
    rig.lose("inputs", "link lost")
    assert look(rig).door.stale
    assert states(rig)["inputs"] == "bad"


def test_the_room_is_measured_by_the_sensor_and_not_by_the_air_conditioner() -> None:
    """A good value comes first, then the device that does nothing but measure."""
    rig = normal()
    climate = look(rig).climate
    assert (climate.temperature, climate.humidity, climate.observed, climate.commanded) == (
        24.6, 52.0, "cooling", "cooling",
    )  # fmt: skip
    rig.lose("room")
    rig.clear()
    assert look(rig).climate.temperature == 25.1


def test_observed_and_commanded_are_kept_apart() -> None:
    """What was ordered says nothing about what the unit does."""
    rig = normal()
    rig.say("aircon", state="stopped", commanded="cooling")
    climate = look(rig).climate
    assert (climate.observed, climate.commanded) == ("stopped", "cooling")


def test_a_station_without_any_device_is_shown_too() -> None:
    """Every tile says that nothing is known."""
    rig = Rig(config(device=[], link=[], cabinet=[]))
    seen = look(rig)
    assert seen.verdict.level == "ok"
    assert (seen.door.state, seen.climate.at, seen.climate.aircon, seen.cabinets) == (None, None, False, ())


def test_the_cabinet_shows_every_slot() -> None:
    """Number, charge, door and fault of each, and how many batteries can be had."""
    rig = normal()
    tile = look(rig).cabinets[0]
    assert (tile.available, tile.total, len(tile.slots), tile.stale) == (6, 12, 12, False)
    assert (tile.slots[6].number, tile.slots[6].state, tile.slots[6].soc) == (7, "charging", 82)
    assert tile.slots[11].soc is None
    rig.alarm("battery-07", "battery_over_temp", Severity.CRITICAL)
    rig.say("cabinet-08", door="open", state="swapping wildly")
    tile = look(rig).cabinets[0]
    assert [slot.number for slot in tile.slots if slot.alarmed] == [7]
    assert (tile.slots[7].door, tile.slots[7].state) == ("open", "unknown")


def test_a_cabinet_of_which_nothing_is_heard_any_more_is_stale() -> None:
    """Its last picture stays, marked as old."""
    rig = normal()
    rig.clock.advance(60)
    tile = look(rig).cabinets[0]
    assert (tile.available, tile.stale, tile.slots[0].stale) == (6, True, True)


def test_a_battery_that_does_not_answer_makes_its_slot_stale() -> None:
    """Its last charge is shown as old."""
    rig = normal()
    rig.say("cabinet-02", soc_pct=Reading("soc_pct", 99.0, quality=Quality.STALE, why="does not answer"))
    assert [slot.number for slot in look(rig).cabinets[0].slots if slot.stale] == [2]


def test_devices_are_listed_with_what_they_are_worth() -> None:
    """Fine, absent, awaited, listening, silent, implausible: each in its word."""
    rig = Rig()
    rig.say("room", temperature_c=Reading("temperature_c", None, quality=Quality.BAD, why="120 is outside -40 to 80"))
    rig.say("aircon", temperature_c=25.0)
    rig.say("locks", lock_01=Reading("lock_01", "closed", quality=Quality.STALE, why="old"))
    rig.say("battery-01", present=False)
    rig.say("battery-02", present=True)
    rig.lose("aircon")
    found = states(rig)
    names = ("room", "aircon", "locks", "battery-01", "battery-02", "battery-03", "front")
    assert [found[name] for name in names] == ["bad", "bad", "stale", "absent", "ok", "waiting", "listening"]
    row = next(row for row in look(rig).devices if row.name == "aircon")
    assert (row.why, row.at) == ("no answer within 1 s", rig.clock.monotonic())


def test_a_lost_link_is_the_fault_of_all_its_devices() -> None:
    """A reader that only listens has no other way to be seen broken."""
    rig = normal()
    rig.alarm("reader", "link_lost", why="unplugged")
    row = next(row for row in look(rig).devices if row.name == "front")
    assert (row.state, row.why) == ("bad", "unplugged")


def test_the_age_of_a_device_is_that_of_its_last_good_answer() -> None:
    """A failure is newer, but it is not what the values are from."""
    rig = normal()
    good = rig.clock.monotonic()
    rig.clock.advance(100)
    rig.statistics["room"] = replace(rig.statistics["room"], failed=2, last_error="garbled")
    assert next(row for row in look(rig).devices if row.name == "room").at == good
    rig.statistics["room"] = Statistics()
    assert next(row for row in look(rig).devices if row.name == "room").at == good


def test_the_queue_has_a_depth_and_an_age() -> None:
    """Waiting records are summed; their age needs a good clock."""
    rig = normal()
    uplink = look(rig).uplink
    assert (uplink.online, uplink.waiting, uplink.oldest_s) == (True, 3, 4.0)
    rig.clock.set_wall(0.0, good=False)
    assert look(rig).uplink.oldest_s is None
    rig.change(uplink=Link())
    assert look(rig).uplink.since is None
