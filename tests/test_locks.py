"""The lock files: complete, hashed, free of addresses, and one inside the other."""

import re
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pins(lock: str) -> dict[str, str]:
    """Package -> its whole entry (version, marker, hashes)."""
    text = (CHECKOUT / lock).read_text()
    entries = re.split(r"(?m)^(?=[a-z0-9])", re.sub(r"(?m)^ *#.*\n", "", text))
    return {re.split(r"==", entry)[0]: entry.strip() for entry in entries if entry.strip()}


def wanted(requirements: list[str]) -> set[str]:
    """Normalised names (PEP 503) of the packages that requirement lines ask for."""
    names = (re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    """Each entry names one exact version and at least one SHA-256, and no address or index."""
    for name, entry in pins(lock).items():
        assert re.match(r"[a-z0-9-]+==[^ ;\\]+( ; [^\\]+)? \\\n", entry), name
        assert "--hash=sha256:" in entry, name
    text = (CHECKOUT / lock).read_text()
    assert "://" not in text
    assert "-url" not in text


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Every dependency of pyproject.toml is locked, those for development in the development lock."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    runtime = wanted(project["project"]["dependencies"])
    assert runtime <= set(pins("requirements.lock"))
    assert runtime | wanted(project["dependency-groups"]["dev"]) <= set(pins("requirements-dev.lock"))


def test_the_development_lock_contains_the_other() -> None:
    """`run` takes an environment made for the tests as good for every verb, so equal versions must be in both."""
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()
