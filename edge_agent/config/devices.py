"""Writes docs/devices.md from the drivers: `python -m edge_agent.config.devices > docs/devices.md`.

What a driver claims of itself stands in its folder: the title and the evidence tier in its README, the models in its
profiles, the protocols in its decoders.
"""

import importlib
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from edge_agent.config.checks import link_kinds
from edge_agent.driver import DriverClass, Options

_HEAD = """\
# Supported devices

<!-- Generated from the drivers: python -m edge_agent.config.devices > docs/devices.md -->

How far each is proved: *sketch* = from a document alone; *simulated* = against frames of others and a simulator;
*witnessed* = frames captured from the device; *soaked* = 30 days in a station. Which frames, and from where, is in each
driver's README.

| driver | what it reads | kind of link | protocols that `edge-agent decode` explains | that `scan` looks for | proved |
|---|---|---|---|---|---|"""
_CHOOSING = ("family", "framing", "dialect", "variant", "formats", "edition")
_PROFILES = """
## Profiles

A device profile is a table of registers; one of your own is checked by `edge-agent check-profile FILE`.

| driver | profile | device | factory setting | proved |
|---|---|---|---|---|"""


def render() -> str:
    """Return the whole page as Markdown."""
    return "\n".join(_page(list(_folders()))) + "\n"


def _folders() -> Iterator[tuple[str, Path]]:
    spec = importlib.util.find_spec("drivers")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for folder in sorted(Path(place).iterdir()):
            if (folder / "__init__.py").exists():
                yield folder.name, folder


def _page(folders: list[tuple[str, Path]]) -> Iterator[str]:
    yield _HEAD
    for name, folder in folders:
        module = importlib.import_module(f"drivers.{name}")
        readme = (folder / "README.md").read_text(encoding="utf-8")
        driver: DriverClass = module.DRIVER
        what = "; ".join((_title(readme, module), *_choices(driver)))
        known, sought = (_listed(sorted(getattr(module, offer, ()))) for offer in ("DECODERS", "SCANS"))
        tier = _found(r"^Tier: \*\*(\w+)\*\*", readme)
        yield f"| [{name}](../drivers/{name}/README.md) | {what} | {_links(driver)} | {known} | {sought} | {tier} |"
    yield _PROFILES
    for name, folder in folders:
        for file in sorted((folder / "profiles").glob("*.toml")):
            profile = tomllib.loads(file.read_text(encoding="utf-8"))
            line = profile.get("line", "9600 8N1")
            yield f"| {name} | `{file.stem}` | {profile['title']} | {line} | {profile['tier']} |"


def _links(driver: DriverClass) -> str:
    """Name the kinds of link: for some keys only, if the driver decides by its keys."""
    return ", ".join(link_kinds(driver.wire, modbus=driver.Options.modbus is not Options.modbus))


def _choices(driver: DriverClass) -> Iterator[str]:
    """Yield what its keys that choose a make or a variant may be."""
    for key in _CHOOSING:
        field = driver.Options.model_fields.get(key)
        # Literal["a", "b"], perhaps within Optional or tuple.
        values = re.findall(r"'(\w+)'", str(field.annotation)) if field else ()
        if values:
            yield f"{key} {_listed(values)}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words) or "–"


def _title(readme: str, module: ModuleType) -> str:
    title = _found(r"^# \w+: (.+)$", readme)
    return title or (module.__doc__ or "").splitlines()[0].rstrip(".")


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""


if __name__ == "__main__":
    sys.stdout.write(render())
