"""The driver built in docs/write-a-driver.md is a driver: the contract test of all drivers takes it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.driver import crc16

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "write-a-driver.md"
_FILE = re.compile(r"^`(drivers/tank/[^`]+)`\n\n(`{3,})\w+\n(.*?)^\2$", re.DOTALL | re.MULTILINE)
FILES = {name: text for name, _, text in _FILE.findall(PAGE.read_text(encoding="utf-8"))}


@pytest.fixture(name="checkout", scope="module")
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of this checkout as the contract test needs, with the page's files put in."""
    checkout = tmp_path_factory.mktemp("checkout")
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "drivers", checkout / "drivers", ignore=leave_out)
    shutil.copytree(ROOT / "tests" / "drivers", checkout / "tests" / "drivers", ignore=leave_out)
    shutil.copy(ROOT / "tests" / "conftest.py", checkout / "tests")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    (checkout / "edge_agent").symlink_to(ROOT / "edge_agent")
    for name, text in FILES.items():
        file = checkout / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return checkout


def _run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_page_shows_every_file_of_a_driver_folder() -> None:
    """Whoever copies the page has a whole driver."""
    names = ("__init__.py", "codec.py", "driver.py", "simulator.py", "README.md", "vectors/tank.jsonl")
    assert set(FILES) == {f"drivers/tank/{name}" for name in names}


def test_the_example_passes_the_contract_test(checkout: Path) -> None:
    """The page's driver, simulator, README and vectors are accepted like those of any driver."""
    command = ("pytest", "-q", "-p", "no:cacheprovider", "tests/drivers/test_every_driver.py", "-k", "tank")
    done = _run(checkout, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 20


def test_the_example_is_clean(checkout: Path) -> None:
    """The page's code is what this repository's own linter wants."""
    for command in (("check", "--no-cache"), ("format", "--check", "--no-cache")):
        done = _run(checkout, "ruff", *command, "drivers/tank")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_vectors_are_true() -> None:
    """A frame shown as valid has the CRC it needs, one shown as invalid has not."""
    lines = re.findall(r'"frame_hex": "(\w+)", "valid": (\w+)', FILES["drivers/tank/vectors/tank.jsonl"])
    assert [(crc16(bytes.fromhex(frame)) == 0) for frame, _ in lines] == [valid == "true" for _, valid in lines]
    assert len(lines) == 3
