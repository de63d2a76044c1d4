"""`card-ref` makes references as the readers' drivers do, and shows nobody a number; `batteries` prints histories."""

import io
import json
import sys
from pathlib import Path

import pytest

from edge_agent.card_list import entry, load_list
from edge_agent.cards import CardKey
from edge_agent.cli import main
from edge_agent.cli.card_ref import bits_of
from edge_agent.errors import AgentError
from edge_agent.journal.journal import Batch
from edge_agent.records import CardRef
from edge_agent.rules.batteries import KEY, Battery
from tests.journals import bench

STATION = """
[station]
id = "s1"
name = {{ zh = "站", en = "Station" }}
region = "north"
district = "west"
[uplink]
broker = "mqtt://127.0.0.1:1883"
[journal]
dir = "{directory}/journal"
[cards]
{cards}
"""


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """Give a station file with a card key."""
    (tmp_path / "key").write_bytes(b"0123456789abcdef")
    file = tmp_path / "station.toml"
    file.write_text(STATION.format(directory=tmp_path, cards=f'key_file = "{tmp_path}/key"'), encoding="utf-8")
    return file


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let standard input hold numbers."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_references_are_those_of_the_readers(
    station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three ways to write one card give one line, which a list takes as it is."""
    given(monkeypatch, "018,54919\n\n1234567\n0x12D687\n")
    assert main(["card-ref", str(station)]) == 0
    printed = capsys.readouterr().out
    first, *others = printed.splitlines()
    expected = CardKey("k1", b"0123456789abcdef").reference("w26", f"{1234567:024b}")
    assert [first, *others] == [entry(expected)] * 3
    file = tmp_path / "staff.refs"
    file.write_text(f"# staff\n{first}  # Li\n\n", encoding="utf-8")
    assert load_list(file) == {expected}


@pytest.mark.parametrize(
    ("number", "width"), [("1234567", 8), ("Li 1234567", 24), ("018,54919", 40), ("-1", 24), ("255,99999", 24)]
)
def test_a_number_that_cannot_be_is_not_repeated(number: str, width: int) -> None:
    """The refusal says what to do, without a digit of it."""
    with pytest.raises(AgentError) as refused:
        bits_of(number, width)
    assert number not in str(refused.value)
    assert "54919" not in str(refused.value)


def test_without_a_key_there_are_no_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says where the key belongs."""
    file = tmp_path / "station.toml"
    file.write_text(STATION.format(directory=tmp_path, cards=""), encoding="utf-8")
    assert main(["card-ref", str(file)]) == 1
    assert "[cards] key_file" in capsys.readouterr().err


def test_a_list_with_a_number_in_it_is_refused(tmp_path: Path) -> None:
    """By its line, not by what stands there; so is one that is no text, or not there."""
    file = tmp_path / "staff.refs"
    with pytest.raises(AgentError, match="create it"):
        load_list(file)
    file.write_text(f"{entry(CardRef('a' * 32, 'k1'))}\n0001234567\n", encoding="utf-8")
    with pytest.raises(AgentError, match="line 2 is no reference") as refused:
        load_list(file)
    assert "1234567" not in str(refused.value)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(AgentError, match="not UTF-8"):
        load_list(file)


def test_lists_are_checked_with_the_station_file(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is missing is told with its line; cards under another key are told to count as others."""
    old = tmp_path / "old.refs"
    old.write_text(entry(CardRef("a" * 32, "k0")), encoding="utf-8")
    table = f'[visits]\nexit = ["inner"]\nstaff = "{tmp_path}/none.refs"\ngroups = {{ courier = "{old}" }}\n'
    station.write_text(station.read_text(encoding="utf-8") + table, encoding="utf-8")
    assert main(["check", str(station)]) == 2
    assert "exit: there is no device 'inner'" in capsys.readouterr().err
    station.write_text(station.read_text(encoding="utf-8").replace('exit = ["inner"]\n', ""), encoding="utf-8")
    main(["check", str(station)])
    told = "".join(capsys.readouterr())
    assert "station.toml:14: [visits]: staff: card list" in told
    assert "names cards under the key 'k0'" in told


def test_batteries_are_listed(station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one seen last first, for people and for machines."""
    with bench(tmp_path) as made:
        stored = {
            "SN1": Battery(order=1, last_ms=1_795_320_000_000, times_in=2, times_out=2, faults={"over_temp": 2}),
            "SN2": Battery(order=2, slot="cabinet-03", times_in=1, cycles=120, soh_pct=98),
        }
        made.journal.commit(Batch(state={KEY + sn: battery.stored() for sn, battery in stored.items()}))
        assert main(["batteries", str(station)]) == 0
        head, *lines = capsys.readouterr().out.splitlines()
        assert head.startswith("battery")
        assert [line.split() for line in lines] == [
            ["SN2", "cabinet-03", "1", "0", "120", "98", "%", "unknown"],
            ["SN1", "out", "2", "2", "2026-11-22T04:00:00.000Z", "over_temp", "×2"],
        ]
        assert main(["batteries", "--json", str(station)]) == 0
        first, second = json.loads(capsys.readouterr().out)
        assert (first["sn"], first["slot"], first["cycles"]) == ("SN2", "cabinet-03", 120)
        assert (second["last_seen"], second["faults"]) == ("2026-11-22T04:00:00.000Z", {"over_temp": 2})
        assert "slot" not in second
