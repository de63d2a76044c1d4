"""The whole agent as a process under the shim: `python agent.py STATION.toml`; prints its picture at each change."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from edge_agent import logs
from edge_agent.config.file import load
from edge_agent.demo.station import TrustedClock
from edge_agent.station import Station
from edge_agent.supervisor import stop_on_signals

_LOOK_S = 0.02


def picture(station: Station) -> dict[str, Any]:
    """Return what the tests look at."""
    view = station.picture.view
    return {
        "trouble": view.storage.trouble,
        "accepted": dict(view.commits.accepted),
        "visits": view.totals.lifetime.get("visits", 0),
        "online": view.uplink.online,
        "alarms": sorted(f"{device}/{code}" for device, code in view.alarms),
        "stuck": list(station.supervisor.check(station.clock.monotonic()).overdue),
    }


def main() -> None:
    """Run until SIGTERM."""
    logs.setup(sys.stderr, {})
    stop = stop_on_signals()
    with Station(load(Path(sys.argv[1])).config, clock=TrustedClock()) as station:
        threading.Thread(target=station.run, args=(stop,), name="supervisor", daemon=True).start()
        shown: dict[str, Any] = {}
        while not stop.wait(_LOOK_S):
            now = picture(station)
            if now != shown:
                shown = now
                sys.stdout.write(json.dumps(now) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
