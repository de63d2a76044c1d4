"""A station file that was broken by an edit, under systemd, which starts the agent again and again."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.stations import HEAD, READER, ROOT, Agent, centre, far_ends, wait_for

STARTS = 3


def content(directory: Path) -> dict[str, str]:
    """Digest of every file below `directory`."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_a_crash_loop_touches_nothing_and_ends_with_the_mistake(tmp_path: Path, memory: Path) -> None:
    """Each start says file and line and ends; the journal stays as it was, and the mended file goes on counting."""
    with centre() as broker, far_ends(tmp_path, HEAD + READER, broker.thread.port, memory) as simulated:
        reader = simulated.simulators["door-reader"]
        with Agent(simulated.path, tmp_path / "log") as agent:
            reader.swipe(1, stay=0)
            wait_for(lambda: broker.last("usage").get("lifetime", {}).get("visits") == 1, "a visit")
            agent.stop()
        good = simulated.path.read_text()
        simulated.path.write_text(good.replace('driver = "card_uart"', 'driver = "card_urat"'))
        line = 1 + good[: good.index('driver = "card_uart"')].count("\n")
        before = content(tmp_path / "journal")
        for _ in range(STARTS):
            command = [sys.executable, "-m", "edge_agent", "run", str(simulated.path)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 2
            assert f"{simulated.path}:{line}" in done.stderr
            assert "card_uart" in done.stderr
            assert "Traceback" not in done.stderr
        assert content(tmp_path / "journal") == before
        simulated.path.write_text(good)
        with Agent(simulated.path, tmp_path / "log") as agent:
            reader.swipe(2, stay=0)
            wait_for(lambda: broker.last("usage")["lifetime"].get("visits") == 2, "the next visit")
            agent.stop()
