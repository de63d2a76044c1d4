"""The unit and its companions, checked by systemd's own tools without a running systemd."""

import os
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "systemd"
UNIT = (FOLDER / "edge-agent.service").read_text()


def settings(name: str) -> list[str]:
    """Every value that the unit gives `name`."""
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT)


@pytest.fixture(name="unit")
def _unit(tmp_path: Path) -> Path:
    """The unit as installed: its program, which a checkout does not have, is another that exists."""
    unit = tmp_path / "edge-agent.service"
    unit.write_text(UNIT.replace("ExecStart=/opt/edge-agent/bin/edge-agent ", "ExecStart=/bin/true "))
    return unit


def run(*command: str | Path) -> tuple[int, str]:
    """Run a program to its end: exit code and everything it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    """`systemd-analyze verify` has nothing to say, not even a warning."""
    assert run("systemd-analyze", "verify", "--man=no", unit) == (0, "")


@pytest.mark.needs("systemd-analyze")
def test_exposure_is_low(unit: Path) -> None:
    """`systemd-analyze security` rates the exposure 2.0 or lower."""
    code, text = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert code == 0, text


@pytest.mark.needs("systemd-analyze")
def test_no_allowed_system_call_is_unknown(unit: Path) -> None:
    """Asking whether the clock is synchronised stays allowed: the clock filter and ProtectClock would refuse it."""
    code, text = run("systemd-analyze", "syscall-filter", "@clock")
    assert code == 0
    assert {"adjtimex", "clock_adjtime"} <= set(text.split())
    assert settings("SystemCallFilter")[-1].split()[:2] == ["adjtimex", "clock_adjtime"]
    assert settings("ProtectClock") == []


@pytest.mark.needs("systemd-analyze")
def test_user_groups_and_folders_are_made(tmp_path: Path) -> None:
    """In an empty root the sysusers and tmpfiles fragments make what the unit names, secrets for root's eyes only."""
    passwd, group = tmp_path / "etc/passwd", tmp_path / "etc/group"
    passwd.parent.mkdir()
    passwd.write_text("root:x:0:0::/root:/bin/sh\n")
    group.write_text("root:x:0:\n")
    sysusers, tmpfiles = FOLDER / "edge-agent.sysusers.conf", FOLDER / "edge-agent.tmpfiles.conf"
    assert run("systemd-sysusers", f"--root={tmp_path}", sysusers)[0] == 0
    users, groups = ({line.split(":")[0] for line in path.read_text().splitlines()} for path in (passwd, group))
    assert set(settings("User")) <= users
    assert {*settings("Group"), *settings("SupplementaryGroups")[0].split()} <= groups
    code, text = run("systemd-tmpfiles", f"--root={tmp_path}", "--create", tmpfiles)
    assert code == 0 or os.getuid() != 0, text  # others make the same files but cannot give them to root
    sources = [tmp_path / value.split(":")[1].lstrip("/") for value in settings("LoadCredential") if value]
    assert len(sources) == 4
    assert all(source.exists() for source in sources)
    assert (tmp_path / "etc/edge-agent/secrets").stat().st_mode & 0o077 == 0


def test_the_watchdog_leaves_time_for_two_signs_of_life() -> None:
    """The agent signs at least every 10 s; systemd waits three times as long and starts it again for ever."""
    assert settings("Type") == ["notify"]
    assert int(settings("WatchdogSec")[0]) >= 30
    assert settings("StartLimitIntervalSec") == ["0"]
    assert settings("Restart") == ["always"]


def test_proc_stays_readable_and_lgpio_has_a_place() -> None:
    """What is known to break the agent is not set: /proc/uptime stays, lgpio's FIFOs go to the runtime directory."""
    assert settings("ProcSubset") == []
    assert "LG_WD=%t/edge-agent" in settings("Environment")
    assert settings("RuntimeDirectory") == ["edge-agent"]


def test_udev_rules_are_well_formed() -> None:
    """Each rule is a list of KEY OP "value"; GPIO goes to its group, serial adapters get a name by their socket."""
    lines = (FOLDER / "60-edge-agent.rules").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    part = r'[A-Z_]+(\{\w+\})?(==|!=|=|\+=)"[^"]*"'
    for rule in rules:
        assert re.fullmatch(rf"{part}(, {part})*", rule), rule
    assert 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"' in rules
    assert any('SYMLINK+="station/$env{ID_PATH}"' in rule for rule in rules)
