"""Peers that share no line of code with us: socat's pseudo-terminals and a slave made with libmodbus."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

PATIENCE = 20.0
_SLAVE = Path(__file__).parent / "drivers" / "modbus_slave.c"


def read_until(stream: IO[str], wanted: str) -> None:
    """Read lines until one contains `wanted`; the test's own timeout guards against silence."""
    for line in stream:
        if wanted in line:
            return
    pytest.fail(f"the process ended before it said {wanted!r}")


def stop(process: subprocess.Popen[str]) -> None:
    """End a process of ours and close its pipes."""
    process.terminate()
    process.communicate(timeout=PATIENCE)


@contextlib.contextmanager
def pty_pair(ours: Path, theirs: Path) -> Iterator[None]:
    """Join two pseudo-terminals, linked from these paths."""
    command = ["socat", "-d", "-d", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}"]
    socat = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert socat.stderr
    read_until(socat.stderr, "starting data transfer loop")
    try:
        yield
    finally:
        stop(socat)


def compile_slave(directory: Path) -> Path:
    """Compile the libmodbus slave; return the program."""
    program = directory / "modbus_slave"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libmodbus"], check=True, capture_output=True, text=True
    ).stdout.split()
    subprocess.run(["cc", "-Wall", "-Werror", "-o", str(program), str(_SLAVE), *flags], check=True)
    return program


@contextlib.contextmanager
def modbus_slave(program: Path, port: Path, unit: int) -> Iterator[IO[str]]:
    """Run the slave; yields what it says it was asked: "function address" lines."""
    slave = subprocess.Popen([str(program), str(port), str(unit)], stdout=subprocess.PIPE, text=True)
    assert slave.stdout
    read_until(slave.stdout, "ready")
    try:
        yield slave.stdout
    finally:
        stop(slave)
