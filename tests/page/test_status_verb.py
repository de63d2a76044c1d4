"""`edge-agent status`: what it says, and what it says when there is nobody to ask."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.page.app import create_app
from edge_agent.page.server import PageServer
from edge_agent.records import Severity
from tests.page.rig import Rig

FILE = """
[station]
id = "365-001"
name = { zh = "驿站", en = "Station" }
region = "north"
district = "d1"
[uplink]
broker = "mqtt://127.0.0.1:1883"
[page]
listen = "LISTEN"
enabled = ENABLED
"""


@pytest.fixture(name="rig")
def _rig() -> Rig:
    rig = Rig()
    rig.normal()
    return rig


@pytest.fixture(name="url")
def _url(rig: Rig) -> Iterator[str]:
    server = PageServer(create_app(rig.source), "127.0.0.1", 0)
    server.start()
    yield server.url
    server.stop()


def station_file(directory: Path, listen: str, *, enabled: bool = True) -> str:
    """Write a station file whose page is at `listen`."""
    path = directory / "station.toml"
    path.write_text(FILE.replace("LISTEN", listen).replace("ENABLED", str(enabled).lower()), encoding="utf-8")
    return str(path)


def test_it_asks_where_the_station_file_says(
    rig: Rig, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alarms first, then the station at a glance, then every device; also for a page that listens everywhere."""
    rig.lose("aircon")
    rig.alarm("inputs", "smoke", Severity.CRITICAL)
    rig.clock.advance(120)
    port = url.rstrip("/").rpartition(":")[2]
    assert main(["status", station_file(tmp_path, f"0.0.0.0:{port}")]) == 0
    text = capsys.readouterr().out
    for words in (
        "365-001  Jiefang Road station",
        "!! critical: Smoke detected (inputs, for 2 min)",
        "!! major: Device does not answer (aircon, for 2 min): no answer within 1 s",
        "visits   47 today",
        "swaps    6 of 12 batteries ready in cabinet",
        "uplink   online",
        "3 records waiting",
        "journal  fine",
        "battery-12",
    ):
        assert words in text
    assert text.index("Smoke") < text.index("visits")


def test_it_prints_everything_as_json(rig: Rig, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts: exactly what the page answered."""
    assert main(["status", "--json", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "ok"
    assert main(["status", "--url", url]) == 0
    assert "ok all normal" in capsys.readouterr().out
    rig.clock.advance(60)
    assert main(["status", "--url", url]) == 0
    assert "!  15 devices with old or bad data" in capsys.readouterr().out


def test_a_station_that_has_just_started_is_described_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing known is said as such."""
    rig = Rig()
    rig.clock.set_wall(0.0, good=False)
    server = PageServer(create_app(rig.source), "127.0.0.1", 0)
    server.start()
    try:
        assert main(["status", "--url", server.url.removeprefix("http://")]) == 0
    finally:
        server.stop()
    text = capsys.readouterr().out
    for words in (".. 15 devices have not answered yet", "clock not set", "room     no data", "? of 12", "offline"):
        assert words in text


def test_an_agent_that_does_not_run_is_named_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with the address and what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["status", station_file(tmp_path, f"127.0.0.1:{port}")]) == 1
    error = capsys.readouterr().err
    assert f"nobody answers at http://127.0.0.1:{port}/ – is the agent running?" in error


def test_a_page_that_is_switched_off_cannot_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file itself says why."""
    assert main(["status", station_file(tmp_path, "127.0.0.1:8080", enabled=False)]) == 1
    assert "the page is switched off" in capsys.readouterr().err


def test_somebody_else_at_the_address_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no HTTP, or no address, gives one clear sentence."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(5)
        address = f"127.0.0.1:{other.getsockname()[1]}"

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 smtp ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["status", "--url", address]) == 1
        thread.join(5)
    assert "gave no usable answer" in capsys.readouterr().err
    assert main(["status", "--url", "http://:x"]) == 1
    assert "is not an address" in capsys.readouterr().err
