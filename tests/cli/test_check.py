"""`edge-agent check` as the installer sees it."""

import argparse
from pathlib import Path

import pytest

from edge_agent.cli import check

FILE = """\
[station]
id = "365-001"
name = { zh = "建国路站", en = "Jianguo Road" }
region = "chaoyang"
district = "jianwai"

[uplink]
broker = "mqtt://127.0.0.1:1883"

[[link]]
name = "rs485"
kind = "serial"
port = "/dev/ttyUSB0"

[[device]]
name = "climate"
link = "rs485"
driver = "modbus"
profile = "xy-md02"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(text: str, *options: str) -> int:
    """Run the verb on a file of this text."""
    Path("station.toml").write_text(text, encoding="utf-8")
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(["station.toml", *options]))


def test_a_usable_file_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, the count of what is configured, and the warnings apart from it."""
    assert checked(FILE) == 0
    shown = capsys.readouterr()
    assert shown.out == "station.toml: usable: 1 link, 1 device, 0 cabinets, 1 warning\n"
    assert shown.err.startswith('station.toml:13: link "rs485": port /dev/ttyUSB0 changes its name at reboot')


def test_mistakes_end_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """All mistakes are shown, then how many there are."""
    assert checked(FILE.replace("region", "regoin").replace("profile", "profil")) == 2
    shown = capsys.readouterr()
    assert shown.out == "station.toml: 4 errors\n"
    assert [line.split(":")[1] for line in shown.err.splitlines()] == ["1", "4", "15", "19"]


def test_the_explanation_is_on_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings stay out of it, so that it can be written to a file and checked again."""
    assert checked(FILE, "--explain") == 0
    assert checked(capsys.readouterr().out) == 0
