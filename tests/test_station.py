"""The Station: builds, starts and stops in order, and tells systemd the truth about what is stuck."""

import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.commands import Command
from edge_agent.demo.station import SimulatedStation, TrustedClock
from edge_agent.errors import AgentError
from edge_agent.journal.journal import Batch
from edge_agent.records import Event
from edge_agent.sdnotify import Notifier
from edge_agent.station import Station
from tests.stations import HEAD, READER, ROOM, Centre, centre, far_ends, running, wait_for


class ShiftedClock(TrustedClock):
    """The real clock, with a jump ahead that makes every promise given before it overdue."""

    shift = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.shift


class Systemd:
    """The other end of NOTIFY_SOCKET: what the agent has told."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"\0edge-agent-{secrets.token_hex(8)}"
        self._socket.bind(address)
        self._socket.setblocking(False)
        self.notifier = Notifier("@" + address[1:], watchdog=1.0)

    def told(self) -> str:
        """Everything since the last look."""
        lines = []
        while True:
            try:
                lines.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return "\n".join(lines)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(name="systemd")
def _systemd() -> Iterator[Systemd]:
    it = Systemd()
    yield it
    it.close()


@pytest.fixture(name="broker")
def _broker() -> Iterator[Centre]:
    with centre() as it:
        yield it


@pytest.fixture(name="ends")
def _ends(tmp_path: Path, broker: Centre) -> Iterator[SimulatedStation]:
    with far_ends(tmp_path, HEAD + READER + ROOM, broker.thread.port) as it:
        yield it


def test_sign_of_life_stops_with_the_journal(ends: SimulatedStation, systemd: Systemd) -> None:
    """READY once, WATCHDOG and STATUS while all moves; with the journal stuck in a commit no further WATCHDOG."""
    clock = ShiftedClock()
    entered, gate = threading.Event(), threading.Event()
    station = Station(ends.config, clock=clock, make=ends.make, notifier=systemd.notifier)
    station.start()
    try:
        assert systemd.told().count("READY=1") == 1
        clock.shift += 1.0
        station.supervisor.step()
        told = systemd.told()
        assert "WATCHDOG=1" in told
        assert "STATUS=" in told
        write = station.journal.commit

        def stuck(batch: Batch) -> None:
            entered.set()
            gate.wait(30)
            write(batch)

        station.journal.commit = stuck  # type: ignore[method-assign]
        station.recorder.submit("door-reader", [Event("exit_button")])
        assert entered.wait(10)
        clock.shift += 120.0
        wait_for(
            lambda: station.supervisor.check(clock.monotonic()).overdue == ("journal",), "only the journal is late"
        )
        systemd.told()
        clock.shift += 1.0
        station.supervisor.step()
        told = systemd.told()
        assert "WATCHDOG=1" not in told
        assert "stuck: journal" in told
        gate.set()
        wait_for(lambda: not station.supervisor.check(clock.monotonic()).overdue, "the journal moves again")
        clock.shift += 1.0
        station.supervisor.step()
        assert "WATCHDOG=1" in systemd.told()
    finally:
        gate.set()
        station.stop()


def test_stuck_worker_is_replaced_and_said(ends: SimulatedStation, broker: Centre) -> None:
    """A worker caught in a call that never returns gets a successor; `worker_stuck` is raised once and cleared once."""
    clock = ShiftedClock()
    entered, gate = threading.Event(), threading.Event()
    with Station(ends.config, clock=clock, make=ends.make) as station:
        wait_for(lambda: station.picture.view.uplink.online, "online")
        wait_for(lambda: station.statistics()["room"].good, "room polled")
        worker = station.workers.by_link["rs485"]

        def stuck() -> None:
            entered.set()
            gate.wait(30)

        worker._poll_due = stuck  # type: ignore[method-assign]
        assert entered.wait(10)
        clock.shift += 120.0
        wait_for(lambda: station.supervisor.check(clock.monotonic()).overdue == ("rs485",), "the worker is late")
        station.supervisor.step()
        assert station.workers.by_link["rs485"] is not worker
        wait_for(lambda: ("rs485", "worker_stuck") in station.picture.view.alarms, "alarm")
        # The port is still held by the thread that hangs; once that ends, the successor has it.
        gate.set()
        wait_for(lambda: station.statistics()["room"].good > 2, "room polled again")
        station.supervisor.step()
        wait_for(lambda: ("rs485", "worker_stuck") not in station.picture.view.alarms, "alarm cleared")
        # The successor found the port held until then: that is an alarm of the link, told apart by its text.
        wait_for(lambda: _told(broker, "stuck") == ["raised", "cleared"], "told to the centre")


def _told(broker: Centre, word: str) -> list[str]:
    """States of the alarm records whose English text has `word`, in order."""
    return [body["state"] for body in broker.sink.of("alarm").values() if word in body["text"]["en"]]


def test_dead_thread_is_noticed_at_once(ends: SimulatedStation) -> None:
    """An exception that ends the uplink's thread is logged and the supervisor starts another without waiting."""
    with running(ends) as station:
        wait_for(lambda: station.picture.view.uplink.online, "online")
        before = station.picture.view.uplink.connections
        uplink = station._threads._held["uplink"]
        uplink_object = uplink.stop.__self__  # type: ignore[attr-defined]
        uplink_object.step = lambda: 1 / 0
        wait_for(lambda: "uplink" in station.supervisor.check(station.clock.monotonic() + 0.1).overdue, "noticed")
        station.supervisor.step()
        wait_for(lambda: station.picture.view.uplink.online and before, "online again")
        assert station._threads._held["uplink"] is not uplink


def test_commands_that_end_their_thread_do_not_end_publishing(ends: SimulatedStation, broker: Centre) -> None:
    """A fault in carrying out one command costs its answer; the thread is replaced, the connection stays."""
    with running(ends) as station:
        wait_for(lambda: broker.last("status").get("state") == "online", "online")
        clerk, uplink = station._threads._held["commands"], station._threads._held["uplink"]
        station.gate.register("journal/fail", Command, lambda _command: {"never": 1 // 0})
        broker.command("journal/fail", "c1")
        wait_for(lambda: "commands" in station.supervisor.check(station.clock.monotonic() + 0.1).overdue, "noticed")
        station.supervisor.step()
        assert station._threads._held["commands"] is not clerk
        broker.command("journal/none", "c2")
        assert wait_for(lambda: broker.last("reply/c2"), "the answer to the next")["reason"] == "unknown here"
        assert broker.last("reply/c1") == {}
        assert station._threads._held["uplink"] is uplink
        assert station.picture.view.uplink.connections == 1


def test_taken_page_port_is_a_clear_error(tmp_path: Path, broker: Centre) -> None:
    """The station does not start half: the port is named, everything begun is stopped, the journal is free again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = HEAD.replace("enabled = false", "enabled = true").replace("PAGE", f"127.0.0.1:{port}") + READER
        with (
            far_ends(tmp_path, text, broker.thread.port) as ends,
            pytest.raises(AgentError, match=str(port)),
            running(ends),
        ):
            pass
    with far_ends(tmp_path / "again", HEAD + READER, broker.thread.port) as ends, running(ends):
        pass


def test_card_reader_without_a_key_is_refused(ends: SimulatedStation) -> None:
    """Without the key there is no reference, and without a reference no card may be read."""
    cards = ends.config.cards.model_copy(update={"key_file": None})
    config = ends.config.model_copy(update={"cards": cards})
    with pytest.raises(AgentError, match="key_file"):
        Station(config, make=ends.make)


def test_info_says_who_and_what(ends: SimulatedStation, broker: Centre) -> None:
    """The retained `info` names the station, its devices, the versions and the hash of its configuration."""
    with running(ends) as station:
        info = wait_for(lambda: broker.last("info"), "info")
        assert info["station"] == "test-001"
        assert info["name"] == {"zh": "测试驿站", "en": "Test station"}
        assert {device["device"] for device in info["devices"]} == {"door-reader", "room"}
        assert info["config"] == station.config.hash
        assert station.supervisor.check(station.clock.monotonic()).healthy
