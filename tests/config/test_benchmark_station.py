"""The station that the benchmarks poll is one that an agent takes: nobody runs them every day."""

from pathlib import Path

from edge_agent.config.file import load
from tests.benchmarks.steady import DEVICES, station_file


def test_the_polled_station_is_valid(tmp_path: Path) -> None:
    """Eight devices of ten points."""
    text = station_file(tmp_path / "steady", page=True)
    for name, value in (
        ("DIRECTORY", str(tmp_path)),
        ("PORT", "1883"),
        ("BROKER", "127.0.0.1:1883"),
        ("PAGE", "127.0.0.1:8080"),
    ):
        text = text.replace(name, value)
    file = tmp_path / "station.toml"
    file.write_text(text, encoding="utf-8")
    (tmp_path / "card-key").write_text("5a" * 32, encoding="ascii")
    (tmp_path / "card-key").chmod(0o600)
    devices = load(file).config.device
    assert [len(device.options.known_points or ()) for device in devices] == [10] * DEVICES
