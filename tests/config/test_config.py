"""Each mistake an installer makes is named with its line and what to do about it."""

import tomllib
from pathlib import Path

import pytest

from edge_agent.cabinet.layout import SlotLayout, SlotLimits
from edge_agent.config.cabinet import Cabinet
from edge_agent.config.device import InstalledDrivers
from edge_agent.config.file import load
from edge_agent.errors import ConfigError
from tests.station_files import GOOD, problems, read

MISTAKES = tomllib.loads((Path(__file__).parent / "mistakes.toml").read_text(encoding="utf-8"))["mistake"]
_BROKER = 'broker = "mqtts://broker.example.org"'
_KEEPALIVE = 'keepalive = "60s"'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_right_file_has_nothing_to_tell() -> None:
    """The file that the other tests spoil is usable without a warning."""
    assert problems(GOOD) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake["said"][:40] for mistake in MISTAKES])
def test_one_mistake_is_named(mistake: dict[str, str]) -> None:
    """One mistake gives exactly one message with its line and what to do."""
    assert mistake["was"] in GOOD
    assert problems(GOOD.replace(mistake["was"], mistake["now"], 1)) == [f"station.toml:{mistake['said']}"]


def test_all_mistakes_come_at_once() -> None:
    """Mistakes of different kinds are told together, in the order of the file."""
    text = GOOD.replace("distr", "dist").replace("baud", "bauds").replace('driver = "inputs"', 'driver = "imputs"')
    assert [line.split(":")[1] for line in problems(text)] == ["1", "5", "17", "33"]


def test_a_table_of_the_wrong_name_is_missing_and_unknown() -> None:
    """A misspelt table is reported under both of its names."""
    assert problems(GOOD.replace("[station]", "[sttion]")) == [
        "station.toml:1: [station] is missing – add it: Who and where this station is",
        "station.toml:1: unknown table [sttion] – did you mean 'station'?",
    ]


def test_single_brackets_are_explained() -> None:
    """`[device]` instead of `[[device]]` is the commonest mistake in TOML."""
    text = GOOD[: GOOD.rindex("[[device]]")].replace("[[device]]", "[device]")
    assert problems(text) == ["station.toml:23: [device] is one of several – write [[device]] with double brackets"]


def test_lists_of_something_else_are_refused() -> None:
    """Elements that are no tables are named by their number."""
    assert problems("device = [1]\n" + GOOD[: GOOD.index("[[device]]")])[0].startswith(
        "station.toml:1: device number 1: is not a table – write { "
    )


def test_installed_drivers_are_known_by_name() -> None:
    """The drivers of this product are there; a name that is none is no key."""
    drivers = InstalledDrivers()
    assert "modbus" in drivers
    assert "__pycache__" not in drivers
    assert len(drivers) == len(list(drivers))


def test_passwords_reach_no_message() -> None:
    """Whatever key a password was typed into, no message repeats it."""
    for key in ("password", "password_file", "broker", "key_file", "secret", "passwrd"):
        text = GOOD.replace(_KEEPALIVE, f'{key} = "hunter2 is wrong"').replace(f"{_BROKER}\n", "")
        assert problems(text)
        assert not any("hunter2" in line for line in problems(text))


def test_a_file_that_is_not_there_is_named() -> None:
    """A missing file, a folder and bytes that are no UTF-8 are each told as such."""
    Path("station.toml").write_bytes(b'[station]\nid = "\xff"\n')

    with pytest.raises(ConfigError, match=r"station.toml:2: is not UTF-8 – save the file again"):
        load(Path("station.toml"))
    with pytest.raises(ConfigError, match=r"other.toml: cannot be read \(No such file or directory\)"):
        load(Path("other.toml"))


def test_windows_files_are_read() -> None:
    """A byte-order mark and CRLF, as Windows editors leave them, change neither meaning nor lines."""
    assert read("\ufeff" + GOOD.replace("\n", "\r\n")).config == read(GOOD).config


def test_derived_values() -> None:
    """Host, port and encryption come from the broker's URL; times and zones are typed."""
    config = read(GOOD).config
    assert (config.uplink.host, config.uplink.port, config.uplink.tls) == ("broker.example.org", 8883, True)
    local = read(GOOD.replace("mqtts://broker.example.org", "mqtt://[::1]")).config.uplink
    assert (local.host, local.port, local.tls, local.loopback) == ("::1", 1883, False, True)
    assert (config.page.host, config.page.port) == ("127.0.0.1", 8080)
    assert config.station.zone.key == "Asia/Shanghai"
    assert config.station.day_starts.hour == 4


def test_equal_meaning_has_an_equal_hash() -> None:
    """The hash follows what the file means, not how it is written."""
    config = read(GOOD).config
    assert read(GOOD.replace('"60s"', '"1m"') + "# a comment\n").config.hash == config.hash
    assert read(GOOD.replace('"60s"', '"61s"')).config.hash != config.hash
    assert len(config.hash) == 64


def test_a_cabinet_says_what_is_wired_to_each_slot() -> None:
    """Lock boards count on from their first slot; door contacts take precedence; patterns carry the slot's number."""
    cabinet = Cabinet.model_validate(
        {
            "name": "cabinet",
            "slots": 3,
            "locks": [{"device": "locks-a"}, {"device": "locks-b", "first_slot": 3}],
            "batteries": "battery-{slot}",
            "presence": "inputs.slot_{slot:02}",
        }
    )
    assert cabinet.pictures == ("cabinet", "cabinet-01", "cabinet-02", "cabinet-03")
    assert cabinet.wiring[1:] == (
        SlotLayout(2, ("locks-a", "lock_02"), "battery-2", ("inputs", "slot_02")),
        SlotLayout(3, ("locks-b", "lock_01"), "battery-3", ("inputs", "slot_03")),
    )
    contacts = Cabinet.model_validate(
        {"name": "plain", "slots": 1, "presence": "in.slot_{slot}", "doors": "in.door_{slot}"}
    )
    assert contacts.wiring == (SlotLayout(1, ("in", "door_1"), None, ("in", "slot_1")),)
    assert Cabinet.model_validate({"name": "bare", "slots": 1, "batteries": "b{slot}"}).wiring[0].lock is None


def test_what_is_dangerous_in_a_slot_is_set_for_the_cabinet() -> None:
    """Smoke detectors are named by slot, beside a controller too; limits go to every slot."""
    cabinet = Cabinet.model_validate(
        {"name": "box", "slots": 2, "controller": "board", "smoke": "inputs.smoke_{slot:02}", "temp_rise": 5}
    )
    layout = cabinet.layout({"board": "pair"})
    assert [slot.smoke for slot in layout.slots] == [("inputs", "smoke_01"), ("inputs", "smoke_02")]
    assert layout.limits == SlotLimits(rise_c_min=5.0)
    assert layout.wires == {"board": "pair"}
