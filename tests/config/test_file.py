"""One file from several, one table for many devices, and where each value comes from."""

import tomllib
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError
from tests.station_files import GOOD, problems, read

FAMILY = """
[[device]]
name = "meter-{n:02}"
repeat = 3
link = "rs485"
driver = "meter"
address = "{n+16}"
label = { zh = "电表{n}", en = "Meter {n}" }
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fleet_type(text: str) -> None:
    """Write `text` as the included file of these tests."""
    Path("types").mkdir(exist_ok=True)
    Path("types/kiosk.toml").write_text(text, encoding="utf-8")


def test_repeat_makes_a_family() -> None:
    """Numbers are filled in with their width and shift; text that is nothing but a number becomes one."""
    devices = read(GOOD + FAMILY).config.device[2:]
    assert [device.name for device in devices] == ["meter-01", "meter-02", "meter-03"]
    assert [device.options.model_dump()["address"] for device in devices] == [17, 18, 19]
    assert devices[2].label is not None
    assert devices[2].label.zh == "电表3"


def test_numbers_are_filled_in_everywhere() -> None:
    """Lists and tables inside a repeated table have their numbers filled in too."""
    text = GOOD + (
        '\n[[device]]\nname = "side-{n}"\nrepeat = 2\nlink = "header"\ndriver = "inputs"\n'
        'contacts = { x = { line = "{n+3}", tags = ["{n}", "of 2: {n}"] } }\n'
    )
    options = [device.options.model_dump()["contacts"]["x"] for device in read(text).config.device[2:]]
    assert [(contact["line"], contact["tags"]) for contact in options] == [(4, ("1", "of 2: 1")), (5, ("2", "of 2: 2"))]


def test_a_family_reports_a_mistake_once() -> None:
    """The line of a repeated table is wrong once, not twelve times."""
    assert problems(GOOD + FAMILY.replace("address", "addres")) == [
        "station.toml:41: device \"meter-01\": unknown key 'addres' – did you mean 'address'?"
    ]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("repeat = 3", "repeat = 0", "38: repeat is not a number from 1 to 99 – write repeat = 12"),
        ("repeat = 3", "repeat = true", "38: repeat is not a number from 1 to 99 – write repeat = 12"),
        ("meter-{n:02}", "meter", '38: repeat needs {n} in the name – write name = "battery-{n:02}"'),
    ],
)
def test_a_wrong_repeat_is_named(was: str, now: str, said: str) -> None:
    """A family without a number or without a place for it is refused."""
    assert problems(GOOD + FAMILY.replace(was, now)) == [f"station.toml:{said}"]


def test_an_included_type_is_the_base() -> None:
    """The station file wins key by key; lists of tables meet by name; other lists are replaced."""
    fleet_type(GOOD.replace("365-001", "000-000") + FAMILY)
    loaded = read(
        'include = ["types/kiosk.toml"]\n[station]\nid = "365-007"\nname.en = "Seven"\n'
        '[[device]]\nname = "meter-02"\naddress = 99\n[[device]]\nname = "last"\nlink = "rs485"\n'
        'driver = "meter"\naddress = 50\n'
    )
    assert loaded.config.station.id == "365-007"
    assert (loaded.config.station.name.zh, loaded.config.station.name.en) == ("建国路站", "Seven")
    names = [device.name for device in loaded.config.device]
    assert names == ["climate", "inputs", "meter-01", "meter-02", "meter-03", "last"]
    assert loaded.origin["station", "id"] == "station.toml:3"
    assert loaded.origin["station", "region"] == "types/kiosk.toml:4"
    assert loaded.origin["station", "name", "zh"] == "types/kiosk.toml:3"
    assert loaded.origin["device", 3, "address"] == "station.toml:7"
    assert loaded.origin["device", 3, "link"] == "types/kiosk.toml:39"
    assert loaded.origin["device", 3, "every"] == "default"


def test_mistakes_in_an_included_file_are_named_there() -> None:
    """A message points into the file where the wrong line stands."""
    fleet_type(GOOD.replace("baud", "bauds"))
    assert problems('include = ["types/kiosk.toml"]\n[station]\nregion = 7\n') == [
        "station.toml:3: [station]: region = 7 is not text – put it in quotes",
        "types/kiosk.toml:17: link \"rs485\": unknown key 'bauds' – did you mean 'baud'?",
    ]


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ('"types/kiosk.toml"', "station.toml:1: include is not a list of files – write include = [...]"),
        ('["nowhere.toml"]', "station.toml:1: include 'nowhere.toml' does not exist – paths begin in the folder of"),
        ('["types/kiosk.toml"]', "types/kiosk.toml:1: an included file cannot include another"),
    ],
)
def test_a_wrong_include_is_named(include: str, said: str) -> None:
    """Only a list of files that are there, and that include nothing themselves, is followed."""
    fleet_type('include = ["more.toml"]\n')
    assert problems(f"include = {include}\n" + GOOD)[0].startswith(said.replace("[...]", '["types/kiosk-a.toml"]'))


def test_two_devices_of_one_name_are_not_merged_into_one() -> None:
    """Merging by name happens between files; within one file a name given twice stays a mistake."""
    fleet_type(GOOD)
    twice = '[[device]]\nname = "climate"\naddress = 3\n' * 2
    assert any("name is taken already" in line for line in problems('include = ["types/kiosk.toml"]\n' + twice))


def test_the_explanation_is_a_station_file_itself() -> None:
    """What `--explain` prints is the whole configuration: read again it means the same."""
    loaded = read(GOOD + FAMILY)
    explained = loaded.explain()
    assert 'timezone = "Asia/Shanghai"' in explained
    assert tomllib.loads(explained)["uplink"]["reconnect"] == {"first": "1m", "ceiling": "5m"}
    again = read(explained)
    assert again.config == loaded.config
    assert again.config.hash == loaded.config.hash


def test_every_value_has_its_origin() -> None:
    """Each line of the explanation ends with the file and line, or says that it is the default."""
    lines = {line.partition(" = ")[0]: line.rpartition("# ")[2] for line in read(GOOD).explain().splitlines()}
    assert lines["district"] == "station.toml:5"
    assert lines["pace"] == "default"
    assert lines["contacts"] == "station.toml:34, default"


def test_credentials_of_systemd_fill_the_gaps(tmp_path: Path) -> None:
    """What the service was handed is used where the file is silent; empty files and unneeded ones are not."""
    for name, content in (("card-key", "k" * 32), ("mqtt-password", "p"), ("tls_ca.pem", ""), ("tls_key.pem", "key")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(ConfigError, match="cert_file and key_file belong together"):
        read(GOOD, environ=environ)
    (tmp_path / "tls_key.pem").unlink()
    loaded = read(GOOD, environ=environ)
    assert loaded.config.cards.key_file == tmp_path / "card-key"
    assert loaded.origin["cards", "key_file"] == str(tmp_path / "card-key")
    assert loaded.config.uplink.password_file is None
    assert loaded.config.uplink.ca_file is None
    with_user = read(GOOD.replace("keepalive", 'username = "365-001"\nkeepalive'), environ=environ)
    assert with_user.config.uplink.password_file == tmp_path / "mqtt-password"
    named = read(GOOD.replace("[uplink]", '[cards]\nkey_file = "/k"\n[uplink]'), environ=environ)
    assert named.config.cards.key_file == Path("/k")
