"""`edge-agent check-profile` as the installer sees it."""

from pathlib import Path

import pytest

from edge_agent.cli import main
from tests.drivers.vectors import DRIVERS

GOOD = """\
title = "Dryer"
evidence = "manual"
tier = "sketch"

[[point]]
name = "outlet_c"
at = "holding:3"

[[point]]
name = "mode"
at = "holding:20"
states = { 0 = "off", 0x10 = "on" }

[command.stop]
write = "holding:20"
value = 0
commanded = "off"
"""


def checked(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    """Run the verb on a file of this text: exit code, complaints without the file's name, result."""
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    code = main(["check-profile", str(file)])
    out, err = capsys.readouterr()
    return code, [line.removeprefix(f"{file}:") for line in err.splitlines()], out.removeprefix(f"{file}: ")


def test_a_usable_profile_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A profile without mistakes says what it makes of the device, and exits with 0."""
    result = "usable: Dryer: 2 points in 2 reads, commands stop\n"
    assert checked(tmp_path, GOOD, capsys) == (0, [], result)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"holding:3"', '"register:3"', '7: point "outlet_c": at = "register:3": \'register:3\' is not a place like'),
        (
            'at = "holding:3"',
            'at = "holding:3"\nscalle = 2',
            "8: point \"outlet_c\": unknown key 'scalle' – did",
        ),
        ('name = "outlet_c"\n', "", "5: point number 1: 'name' is missing – add it"),
        ('at = "holding:3"', 'at = "holding:3"\nslots = 4', '5: point "outlet_c": all slots would read one place'),
        ("value = 0", "value = 0\nvalues = [1, 2]", "14: [command.stop]: give exactly one of value, values, argument"),
        (
            "value = 0",
            "value = 70000",
            "16: [command.stop]: value = 70000: Input should be less than or equal to 65535",
        ),
        ('tier = "sketch"', 'tier = "certain"', "3: tier = \"certain\": Input should be 'sketch'"),
        ('title = "Dryer"\n', "", "1: 'title' is missing – add it"),
        ('title = "Dryer"', "title = Dryer", "1: "),
        ('"mode"', '"outlet_c"', "10: point \"outlet_c\": the point name 'outlet_c' is taken"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str
) -> None:
    """Each mistake stands with file and line, what is wrong and what to write; the exit code is 2."""
    assert old in GOOD
    code, complaints, result = checked(tmp_path, GOOD.replace(old, new, 1), capsys)
    assert code == 2
    assert result == "1 error\n"
    assert complaints[0].startswith(complaint)


def test_every_mistake_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two mistakes are two lines, in the order of the file."""
    text = GOOD.replace('"holding:3"', '"x"').replace("value = 0", "value = -1")
    _, complaints, result = checked(tmp_path, text, capsys)
    assert [line.partition(":")[0] for line in complaints] == ["7", "16"]
    assert result == "2 errors\n"


@pytest.mark.parametrize("file", sorted((DRIVERS / "modbus" / "profiles").glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_profiles_are_usable(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every profile that comes with the driver passes its own check."""
    assert main(["check-profile", str(file)]) == 0
    assert ": usable: " in capsys.readouterr().out


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path is a sentence, not a traceback."""
    assert main(["check-profile", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err


def test_a_driver_without_profiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asking for a driver that has no profiles says so."""
    assert main(["check-profile", str(tmp_path / "x.toml"), "--driver", "wiegand"]) == 1
    assert "driver 'wiegand' has no profiles" in capsys.readouterr().err
