"""The verbs as their user sees them: output, exit codes, and kind refusals."""

import csv
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.cli import VERBS, main, tail
from edge_agent.demo.station import SimulatedStation
from edge_agent.journal.row import Row
from edge_agent.uplink.payloads import Names
from tests.stations import AIRCON, HEAD, READER, ROOM, Centre, centre, mosquitto, running, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="broker")
def _broker() -> Iterator[Centre]:
    with centre() as it:
        yield it


@pytest.fixture(name="ends")
def _ends(tmp_path: Path, broker: Centre) -> Iterator[SimulatedStation]:
    """A station file whose ports lie below /dev, as the verbs want them, with simulators behind."""
    ports = Path(tempfile.mkdtemp(prefix="edge-agent-", dir="/dev/shm"))
    text = (HEAD + READER + ROOM + AIRCON).replace("/dev/serial/by-id", str(ports))
    simulated = SimulatedStation(
        tmp_path, broker=f"127.0.0.1:{broker.thread.port}", page="127.0.0.1:8080", text=text, ports=ports
    )
    simulated.start()
    yield simulated
    simulated.stop()
    shutil.rmtree(ports)


@pytest.fixture(name="used")
def _used(ends: SimulatedStation) -> SimulatedStation:
    """The same after a visit and some polls; the agent has stopped."""
    with running(ends) as station:
        wait_for(lambda: station.picture.view.uplink.online, "online")
        ends.simulators["door-reader"].swipe(9357203)
        wait_for(lambda: station.picture.view.totals.lifetime.get("visits") == 1, "visit")
        wait_for(lambda: station.picture.view.commits.accepted.get("tele", 0) > 0, "telemetry")
    return ends


def test_probe_shows_the_conversation(ends: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """An installer sees the bytes of one conversation and what they mean."""
    assert main(["probe", "room", str(ends.path)]) == 0
    out = capsys.readouterr().out
    assert ">> 01 04 00 01 00 02 20 0b" in out
    assert "<< 01 04 04" in out
    assert "== temperature_c" in out


def test_probe_of_a_silent_device_fails_kindly(ends: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """A device that does not answer is said so, exit code 1."""
    ends.wires["rs485"].hang(hangs=True)
    assert main(["probe", "room", str(ends.path)]) == 1
    assert "no answer" in capsys.readouterr().err


def test_probe_of_a_reader_nobody_uses_says_what_to_do(
    ends: SimulatedStation, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device that speaks by itself is listened to; silence is exit code 1."""
    assert main(["probe", "door-reader", str(ends.path), "--for", "20ms"]) == 1
    assert "nothing came; operate it" in capsys.readouterr().err


def test_probe_of_an_unknown_device_names_those_that_exist(
    ends: SimulatedStation, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong name is answered with the right ones."""
    assert main(["probe", "rom", str(ends.path)]) == 1
    assert "door-reader, room, aircon" in capsys.readouterr().err


def test_probe_while_the_agent_runs_says_who_holds_the_port(
    ends: SimulatedStation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two owners of one wire would destroy each other's answers."""
    with running(ends) as station:
        wait_for(lambda: station.statistics()["room"].good, "room polled")
        assert main(["probe", "room", str(ends.path)]) == 1
    assert "use" in capsys.readouterr().err


def test_tail_shows_what_was_accepted(used: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a record, the newest of each stream."""
    assert main(["tail", str(used.path), "--once", "--stream", "usage"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " usage 1 door-reader visit " in lines[0]
    assert sum(" visit " in line for line in lines) == 1


def test_export_as_ndjson_and_csv(used: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """Both formats carry every record of the journal."""
    assert main(["export", str(used.path)]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    visit = next(record for record in records if record["type"] == "visit")
    assert visit["seq"] == 1
    assert visit["clock"] == "synced"
    assert main(["export", str(used.path), "--format", "csv", "--stream", "usage"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    # Whether a whole second passed, which a `service` would tell, depends on the machine.
    assert [row["type"] for row in rows if row["type"] != "service"] == ["visit", "agent_stopped"]
    assert rows[0]["ts"] == visit["ts"]


def test_export_and_tail_before_the_first_run(ends: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a journal there is a sentence, not a traceback."""
    assert main(["export", str(ends.path)]) == 1
    assert main(["tail", str(ends.path), "--once"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert len(set(said)) == 1
    assert "journal.db does not exist; has the agent run here yet?" in said[0]


@pytest.mark.parametrize(
    ("boot", "good", "time"),
    [
        (1, False, "1970-01-01T00:00:01.000Z?"),
        (2, False, "2026-09-21T14:13:25.000Z"),
        (1, True, "1970-01-01T00:00:01.000Z"),
    ],
)
def test_tail_dates_a_record_as_the_centre_is_told(boot: int, good: bool, time: str) -> None:
    """A boot whose clock became good afterwards is dated by it; where nobody knows, a question mark stands."""
    names = Names("s1", {1: "0123456789abcdef"}, {2: 1_790_000_000_000})
    row = Row("usage", 1, 7, "door", "visit", boot, 5_000, 1_000, good, "{}")
    assert tail.line(row, names) == f"{time} usage 7 door visit {{}}"


def test_drivers_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """The list names every driver, one of them its options."""
    assert main(["drivers"]) == 0
    out = capsys.readouterr().out
    assert {"modbus", "card_uart", "wiegand", "lockboard", "bms", "contacts"} <= {
        line.split()[0] for line in out.splitlines()
    }
    assert main(["drivers", "modbus"]) == 0
    out = capsys.readouterr().out
    assert "profile (required)" in out
    assert main(["drivers", "nonsense"]) == 1
    assert "there is no driver 'nonsense'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works for each verb and exits 0."""
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    assert "usage: edge-agent" in capsys.readouterr().out


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """The overview names every verb with a word on it."""
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(verb in out for verb in VERBS)


def test_wrong_station_file_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Configuration errors are told apart from failures at run time."""
    path = tmp_path / "station.toml"
    path.write_text("[station]\nid = 7\n")
    assert main(["tail", str(path)]) == 2
    assert "station.toml:2" in capsys.readouterr().err


def test_demo_ends_by_itself_with_a_summary() -> None:
    """`demo --for 4s --json`: everything accepted was acknowledged and arrived, nothing twice."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "--for", "4s", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["accepted"] == summary["arrived"]
    assert sum(summary["accepted"].values()) == summary["acknowledged"]
    assert summary["duplicates"] == 0
    assert summary["visits"] == summary["swiped"] > 0
    assert summary["devices"]["room"]["good"] > 0
    assert summary["alarms"] == []


def test_demo_says_which_port_is_taken(broker: Centre) -> None:
    """A taken page port is said aloud and the next one used."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "--for", "1s", "--page", f"127.0.0.1:{broker.thread.port}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"port {broker.thread.port} is taken" in done.stdout
    assert "status page   http://127.0.0.1:" in done.stdout
    assert "Ctrl-C" in done.stdout


@pytest.mark.needs("mosquitto")
def test_demo_with_a_real_broker(tmp_path: Path) -> None:
    """`--broker` uses mosquitto instead of the embedded one."""
    with mosquitto(tmp_path) as port:
        done = subprocess.run(
            [sys.executable, "-m", "edge_agent", "demo", "--for", "3s", "--json", "--broker", f"127.0.0.1:{port}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["arrived"] is None
