"""What works today and will hurt later: unstable port names, readable secrets, open doors to the network."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_agent.card_list import load_list
from edge_agent.config.device import RESERVED
from edge_agent.config.links import SerialLink
from edge_agent.config.messages import problem_at, suggest
from edge_agent.config.model import Config
from edge_agent.config.positions import Path as KeyPath
from edge_agent.config.tree import Tree
from edge_agent.driver import Actor, DriverClass, Site
from edge_agent.errors import AgentError, Problem

_UNSTABLE = ("/dev/ttyUSB", "/dev/ttyACM")
_EVERYONE = {"0.0.0.0", "::"}  # noqa: S104  (to warn about it)
_READABLE_BY_ALL = 0o004


def warnings(config: Config, tree: Tree, drivers: Mapping[str, DriverClass]) -> Iterator[Problem]:
    """Yield what is worth a second look in a usable configuration."""
    for path, text in (*_findings(config), *_idle_commands(config, drivers)):
        yield problem_at(path, text, tree, warning=True)


def secrets(config: Config, tree: Tree, drivers: Mapping[str, DriverClass], *, warning: bool) -> Iterator[Problem]:
    """Yield what is missing of the secret files: errors for an agent about to run, warnings anywhere else."""
    for path, file in _secret_files(config):
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            text = f"{path[-1]}: {file} cannot be read ({error.strerror}) – create it, readable for the agent alone"
            yield problem_at(path, text, tree, warning=warning)
    readers = [device.name for device in config.device if drivers[device.driver].sensitive]
    if readers and config.cards.key_file is None:
        text = f"key_file is missing, {readers[0]!r} reads cards – set it, or hand over the systemd credential card-key"
        yield problem_at(("cards", "key_file"), text, tree, warning=warning)


def lists(config: Config, tree: Tree, *, warning: bool) -> Iterator[Problem]:
    """Yield what is wrong with the lists of cards: errors for an agent about to run, warnings anywhere else."""
    files: dict[KeyPath, Path] = {("visits", "groups", name): file for name, file in config.visits.groups.items()}
    if config.visits.staff is not None:
        files["visits", "staff"] = config.visits.staff
    for path, file in files.items():
        try:
            cards = load_list(file)
        except AgentError as error:
            yield problem_at(path, f"{path[-1]}: {error}", tree, warning=warning)
            continue
        if old := sorted({card.key_id for card in cards} - {config.cards.key_id}):
            text = (
                f"{path[-1]}: {file} names cards under the key {old[0]!r}, which is not key_id – they count as others"
            )
            yield problem_at(path, text, tree, warning=True)


def _findings(config: Config) -> Iterator[tuple[KeyPath, str]]:
    used = {device.link for device in config.device}
    for index, link in enumerate(config.link):
        if isinstance(link, SerialLink) and link.port.startswith(_UNSTABLE):
            text = f"port {link.port} changes its name at reboot – use /dev/serial/by-id/… or /dev/serial/by-path/…"
            yield ("link", index, "port"), text
        if link.name not in used:
            yield ("link", index, "name"), "has no device – add one or take the link out"
    if not config.uplink.tls and not config.uplink.loopback:
        text = "the connection to the broker is not encrypted – use mqtts:// as soon as the broker can"
        yield ("uplink", "broker"), text
    if config.page.enabled and config.page.host in _EVERYONE:
        text = f"listen = {config.page.listen} shows the page to every network of this machine – name one address"
        yield ("page", "listen"), text
    for path, file in _secret_files(config):
        if _mode(file) & _READABLE_BY_ALL:
            yield path, f"{path[-1]}: every user of this machine can read {file} – sudo chmod 600 {file}"


def _idle_commands(config: Config, drivers: Mapping[str, DriverClass]) -> Iterator[tuple[KeyPath, str]]:
    """Find what is allowed and nobody can do; what is refused for a slip is found only when it is needed."""
    devices = {device.name: device for device in config.device}
    for allowed in config.commands.allow:
        name, _, verb = allowed.partition("/")
        if name in RESERVED:
            continue
        if name not in devices:
            yield (
                ("commands", "allow"),
                f"{allowed} has no effect, there is no device {name!r}{suggest(name, set(devices))}",
            )
            continue
        device = devices[name]
        driver = drivers[device.driver](device.options, Site())
        verbs = driver.verbs() if isinstance(driver, Actor) else {}
        if not verbs or verb not in {"*", *verbs}:
            can = f"it knows {', '.join(verbs)}" if verbs else "it can be told nothing"
            yield ("commands", "allow"), f"{allowed} has no effect – {can}"


def _secret_files(config: Config) -> Iterator[tuple[KeyPath, Path]]:
    candidates: tuple[tuple[KeyPath, Path | None], ...] = (
        (("cards", "key_file"), config.cards.key_file),
        (("uplink", "password_file"), config.uplink.password_file),
        (("uplink", "key_file"), config.uplink.key_file),
        (("page", "pin_file"), config.page.pin_file),
    )
    for path, file in candidates:
        if file is not None:
            yield path, file


def _mode(file: Path) -> int:
    """Return the permissions, 0 where they cannot be seen."""
    try:
        return os.stat(file).st_mode  # noqa: PTH116
    except OSError:
        return 0
