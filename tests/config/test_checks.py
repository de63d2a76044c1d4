"""What no table can know alone: references, clashes, and what works today but will hurt later."""

from pathlib import Path

import pytest

from tests.station_files import GOOD, problems

CABINET = """\

[[device]]
name = "locks"
link = "rs485"
driver = "meter"
address = 9

[[device]]
name = "battery-{n:02}"
repeat = 2
link = "rs485"
driver = "meter"
address = "{n+16}"
may_be_absent = true

[[cabinet]]
name = "cabinet"
slots = 2
locks = "locks"
batteries = "battery-{slot:02}"
"""
SECOND = """
[[device]]
name = "second"
link = "rs485"
driver = "meter"
address = 1
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(text: str) -> list[str]:
    """Return the problems of `text` without the file's name."""
    return [line.removeprefix("station.toml:") for line in problems(text)]


def test_an_unknown_link_is_named() -> None:
    """A device on a link that is not there is told which there are, even if the device is wrong otherwise too."""
    text = GOOD.replace('link = "rs485"', 'link = "rs48"')
    assert said(text) == ["25: device \"climate\": there is no link 'rs48' – did you mean 'rs485'?"]
    assert len(said(text.replace("address", "addres"))) == 2


def test_a_driver_needs_its_kind_of_link() -> None:
    """A serial device on the GPIO header is refused."""
    assert said(GOOD.replace('link = "rs485"', 'link = "header"')) == [
        (
            "25: device \"climate\": driver 'meter' needs a link of kind 'serial' or 'tcp', 'header' is 'gpio' – "
            "connect it to another link"
        ),
    ]


def test_names_are_taken_once() -> None:
    """Two links or devices of one name are told with the place of the first."""
    assert said(GOOD + SECOND.replace("second", "climate").replace("= 1", "= 2")) == [
        '37: device "climate": name is taken already by the device at station.toml:23 – take another one'
    ]


def test_addresses_are_taken_once() -> None:
    """Two devices of one driver on one link need two addresses; a default address counts too."""
    clash = "same address 1 on link 'rs485' as device 'climate' – give each its own"
    assert said(GOOD + SECOND) == [f'40: device "second": {clash}']
    assert said(GOOD + SECOND.replace("address = 1\n", "")) == [f'36: device "second": {clash}']
    assert said(GOOD + SECOND.replace("= 1", "= 2")) == []


def test_devices_without_addresses_need_a_port_each() -> None:
    """Two devices that cannot be told apart on a wire are refused, whatever they are."""
    reader = '\n[[device]]\nname = "door-{n}"\nrepeat = 2\nlink = "rs485"\ndriver = "talker"\n'
    assert said(GOOD + reader) == [
        "36: device \"door-2\": without an address it cannot share link 'rs485' with device 'door-1' – use another port"
    ]


def test_a_reader_needs_the_wire_for_itself() -> None:
    """Bytes that come unasked cannot be told from another device's answers."""
    text = GOOD + '[cards]\nkey_file = "/k"\n[[device]]\nname = "door"\nlink = "rs485"\ndriver = "reader"\n'
    assert said(text) == [
        "39: device \"door\": driver 'reader' speaks unasked and needs link 'rs485' for itself – use another port"
    ]


def test_ports_are_taken_once(tmp_path: Path) -> None:
    """Two links of one port are found even through two names of it."""
    link = '\n[[link]]\nname = "two"\nkind = "serial"\nport = "/dev/serial/by-path/one"\n'
    assert (
        "39: link \"two\": port is that of link 'rs485' too – one link serves all devices on a pair of wires"
        in said(GOOD + link)
    )


def test_addresses_on_the_network_are_taken_once() -> None:
    """Two links to one controller would count everything twice."""
    links = "".join(f'\n[[link]]\nname = "net-{n}"\nkind = "udp"\nhost = "192.168.1.100"\n' for n in (1, 2))
    assert (
        "44: link \"net-2\": 192.168.1.100 port 60000 is that of link 'net-1' too – everything there would be counted"
        " twice" in said(GOOD + links)
    )


def test_gpio_lines_are_taken_once() -> None:
    """One GPIO line serves one input, across devices and within one."""
    text = GOOD + '\n[[device]]\nname = "more"\nlink = "header"\ndriver = "inputs"\ncontacts = { x = { line = 17 } }\n'
    assert said(text) == ["36: device \"more\": GPIO 17 is used by device 'inputs' already – one line serves one thing"]
    assert said(GOOD.replace("line = 27", "line = 17")) == [
        "30: device \"inputs\": GPIO 17 is used by device 'inputs' already – one line serves one thing"
    ]


def test_slots_of_two_cabinets_do_not_meet() -> None:
    """A cabinet named like another one's slot would share its topic."""
    second = '\n[[cabinet]]\nname = "cabinet-02"\nslots = 1\npresence = "inputs.slot_{slot}"\n'
    assert said(GOOD + CABINET + second) == [
        "57: cabinet \"cabinet-02\": 'cabinet-02' is also a slot of 'cabinet' – rename one"
    ]


def test_a_whole_cabinet_is_accepted() -> None:
    """Locks and batteries that are there, and may be absent, make a cabinet."""
    assert said(GOOD + CABINET) == []


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (
            'locks = "locks"',
            'locks = "lock"',
            "53: cabinet \"cabinet\": locks: there is no device 'lock' – did you mean",
        ),
        (
            "slots = 2",
            "slots = 3",
            '54: cabinet "cabinet": batteries: there is no device battery-03 – add what each slot needs',
        ),
        (
            "may_be_absent = true",
            "",
            (
                '54: cabinet "cabinet": batteries: battery-01, battery-02 would be an alarm when taken – '
                "set may_be_absent = true there"
            ),
        ),
        (
            'batteries = "battery-{slot:02}"',
            'batteries = "battery"',
            '54: cabinet "cabinet": batteries = "battery" has no slot number in it – write it like "battery-{slot:02}"',
        ),
        (
            'batteries = "battery-{slot:02}"',
            "",
            '50: cabinet "cabinet": nothing tells whether a slot has a battery – add batteries = "battery-{slot:02}"',
        ),
        (
            'locks = "locks"',
            'doors = "inputs.door"',
            '53: cabinet "cabinet": doors = "inputs.door" is not a point of each slot – write it as DEVICE.POINT',
        ),
        (
            'locks = "locks"',
            'doors = "input.door_{slot}"',
            '53: cabinet "cabinet": doors: there is no device input – add what each slot needs, or correct the name',
        ),
        (
            'locks = "locks"',
            'locks = [{ device = "locks", first_slot = 2 }]',
            '50: cabinet "cabinet": locks: no board has first_slot = 1 – slot 1 needs a lock too',
        ),
        (
            'name = "locks"',
            'name = "cabinet-01"',
            "37: device \"cabinet-01\": name is also that of cabinet 'cabinet' or one of its slots – rename the device",
        ),
    ],
)
def test_a_cabinet_of_missing_parts_is_refused(was: str, now: str, expected: str) -> None:
    """Each part that a cabinet speaks of must be there and fit."""
    assert was in CABINET
    assert expected in "\n".join(said(GOOD + CABINET.replace(was, now)))


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (
            "/dev/serial/by-path/one",
            "/dev/ttyUSB0",
            (
                '16: link "rs485": port /dev/ttyUSB0 changes its name at reboot – '
                "use /dev/serial/by-id/… or /dev/serial/by-path/…"
            ),
        ),
        (
            '"mqtts://broker.example.org"',
            '"mqtt://broker.example.org"\ninsecure = true',
            "10: [uplink]: the connection to the broker is not encrypted – use mqtts:// as soon as the broker can",
        ),
        (
            "[uplink]",
            '[page]\nlisten = "0.0.0.0:80"\n[uplink]',
            "10: [page]: listen = 0.0.0.0:80 shows the page to every network of this machine – name one address",
        ),
        (
            'driver = "meter"\naddress = 1',
            'driver = "reader"',
            (
                "1: [cards]: key_file is missing, 'climate' reads cards – "
                "set it, or hand over the systemd credential card-key"
            ),
        ),
        (
            "[uplink]",
            '[cards]\nkey_file = "/nowhere/key"\n[uplink]',
            (
                "10: [cards]: key_file: /nowhere/key cannot be read (No such file or directory) – "
                "create it, readable for the agent alone"
            ),
        ),
    ],
)
def test_a_usable_file_may_be_warned_of(was: str, now: str, expected: str) -> None:
    """Warnings name what will hurt later; the file stays usable."""
    assert was in GOOD
    assert said(GOOD.replace(was, now, 1)) == [f"{expected}   (warning)"]


def test_missing_secrets_stop_an_agent_about_to_run() -> None:
    """What is a warning on the installer's laptop is an error on the station."""
    text = GOOD.replace("[uplink]", '[cards]\nkey_file = "/nowhere/key"\n[uplink]')
    assert problems(text, ready=True) == [
        said_with_file.removesuffix("   (warning)") for said_with_file in problems(text)
    ]


def test_secrets_readable_by_all_are_warned_of(tmp_path: Path) -> None:
    """A secret file that every user can read is told with the command that closes it."""
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    text = GOOD.replace("[uplink]", f'[cards]\nkey_file = "{key}"\n[uplink]')
    warning = f"10: [cards]: key_file: every user of this machine can read {key} – sudo chmod 600 {key}   (warning)"
    assert said(text) == [warning]
    key.chmod(0o600)
    assert said(text) == []


def test_a_link_without_devices_is_warned_of() -> None:
    """A wire that nobody uses is most likely a device forgotten."""
    assert said(GOOD + '\n[[link]]\nname = "door"\nkind = "gpiod"\nchip = "pinctrl-rp1"\n') == [
        '37: link "door": has no device – add one or take the link out   (warning)'
    ]


@pytest.mark.parametrize(
    ("allowed", "complaint"),
    [
        ("climate/on", "climate/on has no effect – it can be told nothing"),
        ("climat/on", "climat/on has no effect, there is no device 'climat' – did you mean 'climate'?"),
        ("lamp/dim", "lamp/dim has no effect – it knows on, off"),
        ("climate/*", "climate/* has no effect – it can be told nothing"),
        ("lamp/off", ""),
        ("lamp/*", ""),
        ("journal/resend", ""),
    ],
)
def test_a_command_nobody_can_carry_out_is_warned_of(allowed: str, complaint: str) -> None:
    """A slip in the allow-list is found here and not when the command is needed."""
    lamp = '\n[[device]]\nname = "lamp"\nlink = "rs485"\ndriver = "lamp"\n'
    text = GOOD.replace("[uplink]", f'[commands]\nallow = ["{allowed}"]\n[uplink]', 1) + lamp
    assert said(text) == ([f"10: [commands]: {complaint}   (warning)"] if complaint else [])
