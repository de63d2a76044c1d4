"""What every test may use: the `needs` marker, which leaves a test out aloud where a system program is missing.

What a test sets up for the whole process is put back after it: no test depends on the one before.
"""

import importlib.util
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

PACKAGES = {
    "mosquitto": "mosquitto",
    "mosquitto_sub": "mosquitto-clients",
    "mosquitto_pub": "mosquitto-clients",
    "socat": "socat",
    "mbpoll": "mbpoll",
    "cc": "gcc",
    "libmodbus": "libmodbus-dev pkg-config",
    "chromium": "chromium fonts-noto-cjk",
    "systemd-analyze": "systemd",
    "openssl": "openssl",
}
"""Program -> Debian packages that bring it."""

HEADERS = {"libmodbus": Path("/usr/include/modbus/modbus.h")}
"""Libraries for C programs are no programs themselves: their header tells."""

MODULES = {"libosdp": "osdp_sys"}
"""Optional Python packages -> module; they come with an extra of the agent instead of a Debian package."""

_left_out: set[str] = set()


def _present(program: str) -> bool:
    if program in HEADERS:
        return HEADERS[program].exists()
    if program in MODULES:
        return importlib.util.find_spec(MODULES[program]) is not None
    return bool(shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin"))


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Let a verb that sets up its own logging have it no longer than its test."""
    root, own = logging.getLogger(), logging.getLogger("edge_agent")
    handlers, level, own_level = root.handlers, root.level, own.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    own.setLevel(own_level)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test whose program is missing; with REQUIRE_ALL=1 that is a failure."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if _present(program):
                continue
            if program in MODULES:
                message = f"{program} is missing: uv pip install {program}"
            else:
                _left_out.add(PACKAGES[program])
                message = f"{program} is missing: sudo apt install {PACKAGES[program]}"
            if os.environ.get("REQUIRE_ALL") == "1":
                pytest.fail(message, pytrace=False)
            pytest.skip(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out and the one line that brings it in."""
    if _left_out:
        packages = " ".join(sorted(" ".join(_left_out).split()))
        terminalreporter.write_line(f"left out for want of system packages: sudo apt install {packages}")
