"""What a driver may import, beyond what .importlinter can say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
MODULES = sorted((CHECKOUT / "drivers").glob("*/*.py"))
FORBIDDEN = {"logging", "threading", "time", "asyncio", "socket", "serial", "gpiozero", "gpiod"}
"""A driver has no thread, clock, log or wire of its own; its simulator is a device and may have."""


def imported(path: Path) -> Iterator[str]:
    """Every module that the source names in an import; a relative import is shown with its dots."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_there_are_drivers() -> None:
    """The checks below have something to look at."""
    assert len(MODULES) > 5


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_driver_imports_the_contract_and_codecs(path: Path) -> None:
    """Of the agent only `edge_agent.driver`, of another driver only a codec; nothing that runs, waits or logs."""
    for name in imported(path):
        package, _, rest = name.partition(".")
        assert package not in FORBIDDEN or path.stem == "simulator", name
        assert not name.startswith("."), name
        if package == "edge_agent":
            assert rest == "driver", name
        if package == "drivers":
            driver, _, module = rest.partition(".")
            assert driver == path.parent.name or module.startswith("codec"), name


def test_the_agent_names_no_driver() -> None:
    """No source of the agent imports `drivers` or one of them, not even inside a function."""
    for path in (CHECKOUT / "edge_agent").rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] == "drivers"], path
