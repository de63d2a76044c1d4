"""The Supervisor on a fake clock, and its words on a real notify socket."""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from edge_agent.clock import FakeClock
from edge_agent.sdnotify import Notifier
from edge_agent.supervisor import Promise, Supervisor, Verdict


class Systemd:
    """The receiving end of a notify socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self._messages: list[str] = []

    def listen(self) -> None:
        """Take every datagram that has arrived; the kernel keeps only a few."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._messages.append(self.socket.recv(4096).decode())

    def heard(self) -> list[str]:
        """What was said since the last question."""
        self.listen()
        messages, self._messages = self._messages, []
        return messages


@pytest.fixture(name="systemd")
def _systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(str(tmp_path / "notify"))
    yield systemd
    systemd.socket.close()


@dataclass
class Rig:
    """A supervisor of a station whose systemd expects a sign of life every 30 s."""

    systemd: Systemd
    clock: FakeClock = field(default_factory=FakeClock)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    status: str = "3 visits"

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(
            self.clock,
            Notifier(self.systemd.address, watchdog=30.0),
            status=lambda: self.status,
            on_stuck=lambda name, since: self.calls.append(("stuck", name, since)),
            on_recovered=lambda name: self.calls.append(("recovered", name)),
        )

    def register(self, name: str, *, restartable: bool = False, critical: bool = True) -> Promise:
        """Register a party; its restarts are noted in `calls`."""
        restart = (lambda: self.calls.append(("restart", name))) if restartable else None
        return self.supervisor.register(name, restart, critical=critical)

    def live(self, seconds: float, *keepers: Promise) -> None:
        """Let station time pass while `keepers` keep their promises."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            for keeper in keepers:
                keeper.by(self.clock.monotonic() + 5)
            self.clock.advance(self.supervisor.step())
            self.systemd.listen()

    def restarts(self) -> int:
        """How many restarts there were."""
        return sum(call[0] == "restart" for call in self.calls)

    def signs(self) -> int:
        """How many signs of life systemd has heard since the last question."""
        return sum("WATCHDOG=1" in message.split("\n") for message in self.systemd.heard())


@pytest.fixture(name="rig")
def _rig(systemd: Systemd) -> Rig:
    return Rig(systemd)


def test_systemd_hears_ready_signs_of_life_and_status(rig: Rig) -> None:
    """READY once when told, then WATCHDOG with STATUS at least three times in WatchdogSec while promises are kept."""
    journal = rig.register("journal")
    rig.supervisor.ready()
    rig.live(30, journal)
    heard = rig.systemd.heard()
    assert heard[0] == "READY=1"
    assert set(heard[1:]) == {"WATCHDOG=1\nSTATUS=3 visits"}
    assert len(heard[1:]) == 3
    assert rig.calls == []


def test_the_sign_of_life_stops_with_the_journal(rig: Rig) -> None:
    """With a critical promise overdue systemd hears who is stuck, and no WATCHDOG; it resumes when things move."""
    journal, uplink = rig.register("journal"), rig.register("uplink")
    rig.live(20, journal, uplink)
    rig.live(6, uplink)
    rig.systemd.heard()
    since = rig.clock.monotonic() - 2
    rig.live(30, uplink)
    heard = rig.systemd.heard()
    assert heard
    assert set(heard) == {"STATUS=stuck: journal; 3 visits"}
    rig.live(20, journal, uplink)
    assert rig.signs() >= 1
    [(_, name, broken), recovered] = rig.calls
    assert (name, recovered) == ("journal", ("recovered", "journal"))
    assert broken == pytest.approx(since, abs=1)


def test_a_stuck_worker_is_not_the_end_of_the_agent(rig: Rig) -> None:
    """A party that is not critical is reported once and never silences the sign of life."""
    journal = rig.register("journal")
    rig.register("worker bus", critical=False)
    rig.live(600, journal)
    assert rig.signs() == pytest.approx(60, abs=1)
    assert [call[:2] for call in rig.calls] == [("stuck", "worker bus")]
    assert rig.supervisor.check(rig.clock.monotonic()) == Verdict(("worker bus",), healthy=True)


def test_restarts_grow_rare_and_end(rig: Rig) -> None:
    """Something that stays stuck is restarted three times at 0, 10 and 30 s; 40 s later it counts as hopeless."""
    rig.register("uplink", restartable=True)
    begin = rig.clock.monotonic() + 30
    at: list[float] = []
    for _ in range(300):
        before = rig.restarts()
        rest = rig.supervisor.step()
        at += [rig.clock.monotonic() - begin] * (rig.restarts() - before)
        if not rig.supervisor.check(rig.clock.monotonic()).healthy:
            break
        rig.clock.advance(rest)
        rig.systemd.listen()
    assert at == pytest.approx([0, 10, 30], abs=4)
    assert rig.clock.monotonic() - begin == pytest.approx(70, abs=5)
    rig.systemd.heard()
    rig.live(60)
    assert rig.signs() == 0
    assert rig.restarts() == 3


def test_a_restart_that_helps_clears_once_its_promise_is_kept(rig: Rig) -> None:
    """The first promise after a restart proves nothing, the second shows that the first was kept."""
    uplink = rig.register("uplink", restartable=True)
    rig.live(32)
    assert [call[0] for call in rig.calls] == ["stuck", "restart"]
    uplink.by(rig.clock.monotonic() + 5)
    rig.live(2)
    assert rig.calls[-1] == ("restart", "uplink")
    uplink.by(rig.clock.monotonic() + 5)
    rig.live(2)
    assert rig.calls[-1] == ("recovered", "uplink")


def test_one_that_sticks_again_and_again_raises_its_alarm_once(rig: Rig) -> None:
    """Promising after each restart and never keeping it is one fault, with its restarts counted together."""
    uplink = rig.register("uplink", restartable=True)
    for _ in range(6):
        rig.live(45)
        uplink.by(rig.clock.monotonic() + 5)
    assert [call[0] for call in rig.calls] == ["stuck", "restart", "restart", "restart"]


def test_restarts_come_back_after_a_steady_time(rig: Rig) -> None:
    """Ten minutes of kept promises make all restarts available again."""
    uplink = rig.register("uplink", restartable=True)
    rig.live(120)
    assert rig.restarts() == 3
    rig.live(700, uplink)
    rig.live(120)
    assert rig.restarts() == 6


def test_an_orderly_end_breaks_no_promise(rig: Rig) -> None:
    """What is done owes nothing, and one that ends while stuck is no longer reported."""
    promise, stuck = rig.register("page"), rig.register("uplink")
    promise.by(rig.clock.monotonic() + 5)
    promise.done()
    rig.live(60)
    stuck.done()
    rig.live(60)
    assert [call[:2] for call in rig.calls] == [("stuck", "uplink"), ("recovered", "uplink")]


def test_a_name_is_registered_once(rig: Rig) -> None:
    """Two parties of one name could cover for each other, so the second is refused."""
    rig.register("journal")
    with pytest.raises(ValueError, match="'journal' is registered already"):
        rig.register("journal")


def test_faulty_callbacks_do_not_fell_the_supervisor(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    """A restart, a hook or a status text that raises is logged, and the signs of life go on."""
    clock = FakeClock()

    def fail(*_: object) -> NoReturn:
        raise RuntimeError("broken callback")

    supervisor = Supervisor(clock, Notifier(systemd.address), status=fail, on_stuck=fail, on_recovered=fail)
    promise = supervisor.register("worker", fail, critical=True)
    clock.advance(31)
    supervisor.step()
    promise.by(clock.monotonic() + 5)
    promise.by(clock.monotonic() + 5)
    supervisor.step()
    assert systemd.heard() == ["WATCHDOG=1\nSTATUS=stuck: worker"]
    assert sum(record.exc_info is not None for record in caplog.records) == 4


def test_what_is_stuck_is_logged_when_it_changes(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """One line when it sticks, one for each restart, one when it moves again, however long it lasts."""
    caplog.set_level(logging.INFO)
    uplink = rig.register("uplink", restartable=True)
    rig.live(300)
    rig.live(60, uplink)
    assert [record.getMessage().split(" name=")[0] for record in caplog.records] == [
        "stuck",
        "restart",
        "restart",
        "restart",
        "moves again",
    ]


def test_run_supervises_until_told_to_stop(systemd: Systemd) -> None:
    """The main thread signs at once, and STOPPING is its last word."""
    stop = threading.Event()
    supervisor = Supervisor(FakeClock(), Notifier(systemd.address))
    thread = threading.Thread(target=supervisor.run, args=(stop,), daemon=True)
    thread.start()
    systemd.socket.settimeout(5)
    assert systemd.socket.recv(4096) == b"WATCHDOG=1\nSTATUS="
    systemd.socket.setblocking(False)
    stop.set()
    thread.join(5)
    assert systemd.heard() == ["STOPPING=1\nSTATUS=stopping"]


def test_signs_come_twice_as_often_as_a_short_watchdog_asks() -> None:
    """The period is half of WATCHDOG_USEC, at most 10 s, and 10 s where nobody watches."""
    periods = {"10000000": 5.0, "120000000": 10.0, "": 10.0, "0": 10.0, "soon": 10.0}
    for usec, period in periods.items():
        assert Supervisor(FakeClock(), Notifier.from_environment({"WATCHDOG_USEC": usec})).period == period


def test_a_watchdog_meant_for_another_process_is_none_of_ours() -> None:
    """WATCHDOG_PID decides whom systemd watches."""
    environ = {"WATCHDOG_USEC": "10000000"}
    assert Notifier.from_environment(environ | {"WATCHDOG_PID": str(os.getpid())}).watchdog == 10.0
    assert Notifier.from_environment(environ | {"WATCHDOG_PID": "1"}).watchdog is None


def test_an_abstract_socket_is_reached(tmp_path: Path) -> None:
    """An address that begins with @ is a name without a file."""
    systemd = Systemd(f"@edge-agent{tmp_path}")
    Notifier.from_environment({"NOTIFY_SOCKET": systemd.address}).send("READY=1", "STATUS=two\nlines")
    assert systemd.heard() == ["READY=1\nSTATUS=two lines"]
    systemd.socket.close()


def test_without_systemd_nothing_is_sent() -> None:
    """Without NOTIFY_SOCKET a message goes nowhere, quietly."""
    Notifier.from_environment({}).send("READY=1")


def test_a_lost_notify_socket_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A socket that is not there raises nothing and is logged when it goes and when it comes."""
    caplog.set_level(logging.INFO)
    address = str(tmp_path / "notify")
    notifier = Notifier(address)
    notifier.send("WATCHDOG=1")
    notifier.send("WATCHDOG=1")
    systemd = Systemd(address)
    notifier.send("WATCHDOG=1")
    systemd.socket.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
