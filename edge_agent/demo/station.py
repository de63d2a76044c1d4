"""The simulated station: simulators behind every link of its station file.

Only the far ends are simulated. Serial links are real pseudo-terminals, contacts are gpiozero's mock pins, Wiegand
edges enter where the kernel's would; everything on the near side is the code that runs on a station.
"""

import secrets
import threading
from importlib import resources
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory

from edge_agent.clock import Clock, SystemClock
from edge_agent.config.file import load
from edge_agent.config.links import GpiodLink, GpioLink, HostLink, I2cLink, ModbusTcpLink, SerialLink, TcpLink, UdpLink
from edge_agent.config.links import Link as LinkConfig
from edge_agent.config.model import Config
from edge_agent.demo.wire import PtyWire
from edge_agent.driver import Site, load_driver
from edge_agent.links.asked import SimulatedLink
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.edges import EdgeLink, SimulatedLines
from edge_agent.links.gpio import GpioLink as ContactsLink
from edge_agent.links.owned import OwnedLink
from edge_agent.links.serial import SerialSettings, open_serial, timing_for

_PLAY_EVERY = 0.01


def demo_file() -> str:
    """Return the station file of the demo, with words in capitals where `filled` puts what is local."""
    return resources.files("edge_agent.demo").joinpath("station.toml").read_text(encoding="utf-8")


def filled(text: str, directory: Path, broker: str, page: str) -> str:
    """Return a station file with `directory` for what it writes, and the addresses of broker and page."""
    host = broker.rpartition(":")[0]
    insecure = "false" if host in {"127.0.0.1", "localhost", "[::1]"} else "true"
    for name, value in (("DIRECTORY", str(directory)), ("BROKER", broker), ("INSECURE", insecure), ("PAGE", page)):
        text = text.replace(name, value)
    return text


class TrustedClock(SystemClock):
    """The host's clock taken as good: a laptop's is, though its kernel may not know it."""

    def good(self) -> bool:
        """Always True; the demo says so."""
        return True


class SimulatedStation:
    """The configuration and the far ends of its wires, below `directory` (the ports below `ports`)."""

    def __init__(
        self, directory: Path, *, broker: str, page: str, text: str | None = None, ports: Path | None = None
    ) -> None:
        self.directory = directory
        self._ports = ports or directory
        directory.mkdir(parents=True, exist_ok=True)
        key = directory / "card-key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(secrets.token_hex(32), encoding="ascii")
        text = filled(text or demo_file(), directory, broker, page)
        path = directory / "station.toml"
        path.write_text(text, encoding="utf-8")
        self.path = path
        self.config: Config = load(path).config
        self.simulators: dict[str, Any] = {}
        self.wires: dict[str, PtyWire] = {}
        self._pins = MockFactory()
        self._lines: dict[str, SimulatedLines] = {}
        self._stopping = threading.Event()
        self._player = threading.Thread(target=self._play, name="simulated-inputs", daemon=True)
        self._build()

    def _build(self) -> None:
        for device in self.config.device:
            self.simulators[device.name] = load_driver(device.driver).Simulator(device.options, Site())
        for link in self.config.link:
            if isinstance(link, GpiodLink):
                self._lines[link.name] = SimulatedLines(SystemClock())
            elif isinstance(link, SerialLink):
                self.wires[link.name] = PtyWire(self._ports / link.name, self._at(link))

    def make(self, link: LinkConfig, clock: Clock) -> OwnedLink:
        """Build the near end of a link as a station does, with the simulated far end in place of the wire."""
        if isinstance(link, GpioLink):
            return ContactsLink(link.name, clock, self._pins)
        if isinstance(link, GpiodLink):
            return EdgeLink(link.name, self._lines[link.name], clock)
        if isinstance(link, HostLink | I2cLink | UdpLink | TcpLink | ModbusTcpLink):
            return SimulatedLink(link.name, self._at(link), clock)
        settings = SerialSettings(str(self.wires[link.name].path), link.baud, link.parity, link.stop_bits)
        timing = timing_for(settings, guard=link.guard, max_reply_delay=link.max_reply_delay, echo=link.echo)
        return ByteLink(link.name, lambda: open_serial(settings), clock, timing)

    def start(self) -> None:
        """Switch the far ends on."""
        for wire in self.wires.values():
            wire.start()
        # The contacts rest at their levels before anybody opens the link: a door does not open at start.
        self._carry()
        self._player.start()

    def stop(self) -> None:
        """Switch everything off."""
        self._stopping.set()
        self._player.join(5.0)
        for wire in self.wires.values():
            wire.stop()
        self._pins.close()

    def of(self, driver: str) -> list[Any]:
        """Return the simulators of all devices with this driver, in the order of the file."""
        return [self.simulators[device.name] for device in self.config.device if device.driver == driver]

    def _play(self) -> None:
        while not self._stopping.wait(_PLAY_EVERY):
            self._carry()

    def _carry(self) -> None:
        """Carry what simulators of GPIO devices have done onto the pins."""
        for _, simulator in self._on(GpioLink):
            for chunk in simulator.play():
                for edge in chunk.edges:
                    pin = self._pins.pin(edge.line)
                    if pin.pull == "floating":
                        # gpiozero's mock drives a pin when its bias is set; a real contact does not care.
                        pin.pull = "up"
                    (pin.drive_high if edge.high else pin.drive_low)()
        for link, simulator in self._on(GpiodLink):
            self._lines[link].play(simulator)

    def _at(self, link: LinkConfig) -> list[Any]:
        """Return the simulators at the far end of a link."""
        return [self.simulators[device.name] for device in self.config.device if device.link == link.name]

    def _on(self, kind: type) -> list[tuple[str, Any]]:
        links = {link.name for link in self.config.link if isinstance(link, kind)}
        return [(d.link, self.simulators[d.name]) for d in self.config.device if d.link in links]
