"""A card's number lives for the length of its frame: planted numbers are looked for in all that the agent puts out."""

import base64
import http.client
import logging
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.cards import CardKey
from edge_agent.cli import main
from edge_agent.demo.sink import Sink
from edge_agent.demo.station import SimulatedStation
from edge_agent.driver import Chunk, Edge
from edge_agent.station import Station
from tests.stations import HEAD, READER, centre, far_ends, running, wait_for

SERIAL_CARDS = (0x3B9A7C41E5, 0x0100B0F2C7)
"""40 bits each: the version byte and the 32-bit number that is printed on the card."""
WIEGAND_CARDS = (0xC5A31F, 0x7E09D4)
"""24 bits each: facility and card number."""
SIDE = """
[[link]]
name = "side-door"
kind = "gpiod"
chip = "simulated"

[[device]]
name = "side-reader"
link = "side-door"
driver = "wiegand"
d0 = 23
d1 = 24
reader = "side"
"""


def forms(card: int, bits: int) -> Iterator[bytes]:
    """Yield a number in every form that a person, a reader or a program may write it."""
    for raw in (card.to_bytes(bits // 8), card.to_bytes(bits // 8, "little")):
        number = int.from_bytes(raw)
        texts = [str(number), f"{number:010}", raw.hex(), raw.hex(" "), raw.hex(":"), f"{number:0{bits}b}"]
        yield from (text.encode() for text in texts)
        yield base64.b64encode(raw).rstrip(b"=")
        yield str(list(raw)).encode()
        if bits > 24:
            yield raw
    low = card & 0xFFFFFF
    facility, number = low >> 16, low & 0xFFFF
    for text in (f"{facility}{number:05}", f"{facility:03}{number:05}", f"{facility},{number}", f"{facility}:{number}"):
        yield text.encode()
    yield from (f'"facility":{facility}'.encode(), f'"card":{number}'.encode(), f'"number":{number}'.encode())


def needles() -> set[bytes]:
    """Return everything that must not be found; shorter ones would be found in any random number."""
    found: set[bytes] = set()
    for card in SERIAL_CARDS:
        found |= {*forms(card, 40), *forms(card & 0xFFFFFFFF, 32)}
    for card in WIEGAND_CARDS:
        found |= set(forms(card, 24))
    return {needle for needle in found if len(needle) >= (4 if not needle.isascii() else 7)}


@dataclass(slots=True)
class Output:
    """Everything that left the agent, by where it was found."""

    places: dict[str, bytes] = field(default_factory=dict)

    def add(self, place: str, content: str | bytes) -> None:
        """Collect."""
        data = content.encode() if isinstance(content, str) else content
        self.places[place] = self.places.get(place, b"") + data + b"\n"

    def add_files(self, directory: Path) -> None:
        """Collect every file below a directory."""
        for path in directory.rglob("*"):
            if path.is_file():
                self.add(f"file {path.name}", path.read_bytes())

    def findings(self) -> list[str]:
        """Return where a planted number was found; never the number."""
        pattern = re.compile(b"|".join(re.escape(needle) for needle in sorted(needles())), re.IGNORECASE)
        return [
            f"{place} at {match.start()}" for place, text in self.places.items() for match in pattern.finditer(text)
        ]


@dataclass(slots=True)
class Traffic(Sink):
    """Everything a `Sink` is; collects what comes."""

    output: Output = field(default_factory=Output)

    def take(self, topic: str, payload: bytes) -> None:
        """Collect one message."""
        self.output.add(f"MQTT {topic}", topic.encode() + b" " + payload)
        Sink.take(self, topic, payload)


def use_the_doors(ends: SimulatedStation, station: Station) -> None:
    """Swipe every card at its reader, whole, damaged and cut short."""
    front, side = ends.simulators["door-reader"], ends.simulators["side-reader"]
    for card in SERIAL_CARDS:
        front.swipe(card)
        frame = f"{card:010X}".encode()
        front.noise(b"\x02" + frame + b"00\x03")
        front.noise(b"\x02" + frame + b"\x03")
        front.noise(frame)
    for card in WIEGAND_CARDS:
        side.swipe(card)
        bits = f"{card:024b}"
        for wrong in (f"0{bits}0", f"1{bits}1", bits, bits * 2):
            side.send(wrong)
    cards = len(SERIAL_CARDS) + len(WIEGAND_CARDS)
    wait_for(lambda: station.picture.view.totals.lifetime.get("visits") == cards, "all visits")
    wait_for(lambda: {"door-reader", "side-reader"} <= set(station.picture.view.devices), "rejects told")


def ask_page(port: int) -> Iterator[bytes]:
    """Yield every page there is."""
    for path in ("/", "/?lang=en", "/parts", "/api/status"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        yield answer.read()
        connection.close()


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("publish_card_ref", ["false", "true"])
def test_card_numbers_are_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], publish_card_ref: str
) -> None:
    """No form of a swiped number is in journal, log, MQTT, page, `tail`, `export`, `probe` or an error."""
    caplog.set_level(logging.DEBUG)
    output = Output()
    page = free_port()
    text = (HEAD + READER + SIDE).replace("enabled = false", "enabled = true").replace("PAGE", f"127.0.0.1:{page}")
    text = text.replace("[cards]", f"[cards]\npublish_card_ref = {publish_card_ref}")
    with centre() as broker:
        broker.sink = Traffic(output=output)
        with far_ends(tmp_path, text, broker.thread.port) as ends:
            with running(ends) as station:
                wait_for(lambda: station.picture.view.uplink.online, "online")
                use_the_doors(ends, station)
                wait_for(lambda: len(broker.sink.of("usage")) >= 4, "visits at the sink")
                for body in ask_page(page):
                    output.add("page", body)
                output.add("picture", repr(station.picture.view))
                output.add("statistics", repr(station.statistics()))
                output.add_files(tmp_path / "journal")
            output.add_files(tmp_path / "journal")
            file = str(ends.path)
            for verb in (
                ["tail", file, "--once", "--last", "1000"],
                ["export", file, "--format", "ndjson"],
                ["export", file, "--format", "csv"],
                ["check", file],
            ):
                assert main(verb) == 0, verb
            for device in ("door-reader", "side-reader"):
                assert main(["probe", device, file, "--for", "20ms"]) == 1
    shown = capsys.readouterr()
    output.add("commands", shown.out)
    output.add("errors", shown.err)
    output.add("log", caplog.text)
    assert "personal" in shown.err
    assert shown.out.count("visit") >= 4 * 3
    assert {"page", "picture", "commands", "log"} <= set(output.places)
    assert any(place.startswith("MQTT") and "event" in place for place in output.places)
    assert not output.findings()
    assert (b"card_ref" in output.places["commands"]) == (publish_card_ref == "true")


def test_a_reader_without_a_key_says_so_without_the_number(tmp_path: Path) -> None:
    """Objects that meet a number on its way show neither it nor the key in an error or a trace."""
    key = CardKey("1", bytes(range(32)))
    card = SERIAL_CARDS[0]
    frame = f"{card:010X}".encode()
    chunk = Chunk(at=0.0, data=frame, edges=(Edge(23, high=False, at=0.0),))
    output = Output()
    output.add("objects", repr((key, chunk, key.reference("rdm6300", f"{card:040b}"))))
    assert not output.findings()
    assert key.secret.hex() not in repr(key)


def test_the_search_would_find_them() -> None:
    """A number in any of its usual forms is found by the search that finds none in the agent's output."""
    number, low = SERIAL_CARDS[0] & 0xFFFFFFFF, WIEGAND_CARDS[0]
    facility, card = low >> 16, low & 0xFFFF
    for text in (
        f"{number}",
        f"{number:010}",
        f"{number:x}",
        f"{SERIAL_CARDS[0]:010X}",
        number.to_bytes(4, "little").hex(),
        str(int.from_bytes(number.to_bytes(4, "little"))),
        f"{low}",
        f"{low:024b}",
        f"{facility:03}{card:05}",
        f"{facility},{card:05}",
    ):
        output = Output()
        output.add("somewhere", f'{{"n":"{text}"}}')
        assert output.findings(), text
    output = Output()
    output.add("file", b"\x00" + SERIAL_CARDS[0].to_bytes(5, "little"))
    assert output.findings()
