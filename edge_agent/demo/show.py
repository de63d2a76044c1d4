"""The demo itself: broker, simulated station, agent, and a view of what happens."""

import json
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent import logs
from edge_agent.demo.broker import Broker, Message
from edge_agent.demo.broker_thread import BrokerThread
from edge_agent.demo.people import People
from edge_agent.demo.sink import Sink
from edge_agent.demo.station import SimulatedStation, TrustedClock
from edge_agent.errors import AgentError
from edge_agent.parts.settings import topics_of
from edge_agent.station import Station
from edge_agent.supervisor import stop_on_signals

_DRAIN_S = 15.0
_LOOK_S = 0.1
_LINE_EVERY_S = 2.0
_PORTS_TRIED = 20


def show(seconds: float | None, *, as_json: bool, broker: str | None, page: str, seed: int) -> int:
    """See `edge-agent demo --help`."""
    logs.setup(sys.stderr, os.environ, level=logging.ERROR if as_json else logging.WARNING)
    say = (lambda _text: None) if as_json else _say
    stop = stop_on_signals()
    sink = Sink()
    own = None if broker else _start_broker(sink, say)
    try:
        with tempfile.TemporaryDirectory(prefix="edge-agent-demo-") as directory:
            address = broker or f"127.0.0.1:{own.port if own else 0}"
            simulated = SimulatedStation(Path(directory), broker=address, page=_free(page, say))
            summary = _run(simulated, People(simulated, seed=seed), sink if own else None, seconds, _Control(stop, say))
    finally:
        if own is not None:
            own.stop()
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        _say(_verdict(summary))
    return 0 if summary["ok"] else 1


@dataclass(frozen=True, slots=True)
class _Control:
    """How the demo is ended and where its lines go."""

    stop: threading.Event
    say: Callable[[str], None]


def _run(
    simulated: SimulatedStation, people: People, sink: Sink | None, seconds: float | None, control: _Control
) -> dict[str, Any]:
    clock = TrustedClock()
    simulated.start()
    try:
        station = Station(simulated.config, clock=clock, make=simulated.make)
        with station:
            for line in _introduction(station):
                control.say(line)
            people.start()
            _watch(station, seconds, control)
            people.stop()
            _drain(station)
            return _summary(station, sink, people)
    finally:
        people.stop()
        simulated.stop()


def _watch(station: Station, seconds: float | None, control: _Control) -> None:
    """Supervise as `run` does, and show a line now and then."""
    clock = station.clock
    end = None if seconds is None else clock.monotonic() + seconds
    line_at = clock.monotonic() + 1.0
    while not control.stop.wait(min(station.supervisor.step(), _LOOK_S)):
        now = clock.monotonic()
        if now >= line_at:
            line_at = now + _LINE_EVERY_S
            control.say(_line(station))
        if end is not None and now >= end:
            return


def _drain(station: Station) -> None:
    """Nothing new comes; give what is accepted the time to be acknowledged."""
    station.stop_workers()
    deadline = station.clock.monotonic() + _DRAIN_S
    pause = threading.Event()
    while station.clock.monotonic() < deadline:
        station.supervisor.step()
        view = station.picture.view
        if view.storage.waiting == 0 and sum(view.commits.accepted.values()) == view.uplink.acknowledged:
            return
        pause.wait(_LOOK_S)


def _summary(station: Station, sink: Sink | None, people: People) -> dict[str, Any]:
    view = station.picture.view
    accepted = dict(view.commits.accepted)
    totals = view.totals.lifetime
    arrived = None if sink is None else {stream: len(sink.of(stream)) for stream in accepted}
    complete = sum(accepted.values()) == view.uplink.acknowledged and (arrived is None or arrived == accepted)
    return {
        "ok": complete and sum(accepted.values()) > 0,
        "accepted": accepted,
        "published": view.uplink.published,
        "acknowledged": view.uplink.acknowledged,
        "arrived": arrived,
        "duplicates": None if sink is None else sink.duplicates,
        "devices": {
            name: {"polls": stats.polls, "good": stats.good, "failed": stats.failed}
            for name, stats in station.statistics().items()
        },
        "visits": totals.get("visits", 0),
        "swiped": people.visits,
        "swaps": totals.get("swaps", 0),
        "swapped": people.swaps,
        "alarms": sorted(f"{device}/{code}" for device, code in view.alarms),
        "commits": view.commits.count,
        "uplink": "online" if view.uplink.online else view.uplink.why,
    }


def _introduction(station: Station) -> list[str]:
    topics = topics_of(station.config)
    uplink = station.config.uplink
    page = station.page.url if station.page is not None else "off"
    return [
        f"status page   {page}",
        f"watch MQTT    mosquitto_sub -V mqttv5 -h {uplink.host} -p {uplink.port} -v -t '{topics.base}/#'",
        f"from here     edge-agent status|tail|export {station.config.journal.dir.parent / 'station.toml'}",
        "this machine's clock is taken as good; Ctrl-C ends the demo",
        "",
    ]


def _line(station: Station) -> str:
    view = station.picture.view
    totals = view.totals.lifetime
    room = view.devices.get("room")
    cabinet = view.devices.get("cabinet")
    temperature = room.points["temperature_c"].reading.value if room and "temperature_c" in room.points else "?"
    free = cabinet.points.get("batteries_available") if cabinet else None
    accepted = sum(view.commits.accepted.values())
    return (
        f"visits {totals.get('visits', 0):3}  swaps {totals.get('swaps', 0):2}  room {temperature} °C  "
        f"charged {free.reading.value if free else '?'}  queue {sum(view.uplink.pending.values()):3}  "
        f"accepted {accepted:4}  acknowledged {view.uplink.acknowledged:4}  "
        f"{'online' if view.uplink.online else 'OFFLINE'}  alarms {len(view.alarms)}"
    )


def _verdict(summary: dict[str, Any]) -> str:
    accepted = sum(summary["accepted"].values())
    text = (
        f"\n{summary['swiped']} swipes, {summary['visits']} visits counted; {accepted} records accepted, "
        f"{summary['acknowledged']} acknowledged, {summary['duplicates'] or 0} sent twice"
    )
    if summary["ok"]:
        return text
    return f"{text}\nNOT everything accepted was acknowledged; uplink: {summary['uplink']}"


def _start_broker(sink: Sink, say: Callable[[str], None]) -> BrokerThread:
    def take(message: Message) -> None:
        sink.take(message.topic, message.payload)

    for port in (1883, 0):
        broker = BrokerThread(Broker("127.0.0.1", port, on_publish=take))
        try:
            broker.start()
        except OSError:
            say(f"port {port} is taken, the embedded broker uses another")
            continue
        return broker
    raise AgentError("no port for the embedded broker; is the loopback interface up?")


def _free(page: str, say: Callable[[str], None]) -> str:
    """Return `page` or, if its port is taken, the next free one."""
    host, _, first = page.rpartition(":")
    if not first.isdigit():
        raise AgentError(f"--page {page}: not HOST:PORT")
    for port in range(int(first), int(first) + _PORTS_TRIED):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
            except OSError:
                say(f"port {port} is taken, the status page uses the next one")
                continue
        return f"{host}:{port}"
    raise AgentError(f"--page {page}: this port and the {_PORTS_TRIED - 1} behind it are taken; name another")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
