"""The serial port on real pseudo-terminals: whole bytes, an adapter pulled out, the lock, and errors that help."""

import errno
import os
import re
import select
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock
from edge_agent.driver import LinkError, LinkTimeout, ReplyShape
from edge_agent.links import serial
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.serial import SerialPort, SerialSettings, open_serial, timing_for

SOON = 5.0
"""Deadline (s) of waits that normally end at once."""


@dataclass
class Adapter:
    """The far end of a pseudo-terminal with a stable name at its near end, as below /dev/serial/by-path."""

    link: Path
    master: int = -1
    slave: int = -1
    settings: SerialSettings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = SerialSettings(str(self.link))
        self.plug()

    def plug(self) -> None:
        """Create the pair and point the stable name at it."""
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self.slave))

    def unplug(self) -> None:
        """Take both of our ends away: the port sees end of file or EIO, as with a pulled USB plug."""
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1

    def say(self, data: bytes) -> None:
        """Send bytes to the port."""
        os.write(self.master, data)

    def hear(self, count: int) -> bytes:
        """Return `count` bytes that the port sent."""
        data = b""
        while len(data) < count:
            ready, _, _ = select.select([self.master], [], [], SOON)
            assert ready, f"only {len(data)} of {count} bytes came"
            data += os.read(self.master, count - len(data))
        return data


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[Adapter]:
    """A plugged-in adapter under a stable name."""
    made = Adapter(tmp_path / "pci-0000-usb-0:1:1.0-port0")
    yield made
    made.unplug()


@pytest.fixture
def port(adapter: Adapter) -> Iterator[SerialPort]:
    """The adapter's port, open."""
    opened = open_serial(adapter.settings)
    yield opened
    opened.close()


def open_descriptors() -> int:
    """Count the descriptors this process holds."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def until_gone(port: SerialPort) -> LinkError:
    """Read until the port says that it is lost."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        try:
            port.read(0.1)
        except LinkError as error:
            return error
    raise AssertionError("the port never noticed")


def test_bytes_of_every_value_pass_both_ways(port: SerialPort, adapter: Adapter) -> None:
    """The line is raw: no byte is translated, swallowed or echoed."""
    everything = bytes(range(256))
    port.write(everything)
    assert adapter.hear(256) == everything
    adapter.say(everything)
    received = b""
    while len(received) < 256:
        received += port.read(SOON) or pytest.fail("bytes were lost")
    assert received == everything


def test_read_returns_with_the_first_bytes(port: SerialPort, adapter: Adapter) -> None:
    """A read does not wait for more than has arrived."""
    adapter.say(b"\x02")
    begun = time.monotonic()
    assert port.read(SOON) == b"\x02"
    assert time.monotonic() - begun < SOON / 2


def test_read_of_a_silent_line_ends_in_time(port: SerialPort) -> None:
    """Nothing within the time asked for is b"", not an error."""
    begun = time.monotonic()
    assert port.read(0.02) == b""
    assert 0.02 <= time.monotonic() - begun < SOON


def test_wake_ends_a_wait_from_another_thread(port: SerialPort) -> None:
    """A waiting read returns at once when another thread wakes it."""
    waker = threading.Thread(target=port.wake)
    begun = time.monotonic()
    waker.start()
    assert port.read(60.0) == b""
    waker.join(SOON)
    assert time.monotonic() - begun < SOON


def test_a_look_without_waiting_keeps_the_wake(port: SerialPort) -> None:
    """A wake that arrives between two looks still ends the next wait."""
    port.wake()
    assert port.read(0.0) == b""
    begun = time.monotonic()
    assert port.read(60.0) == b""
    assert time.monotonic() - begun < SOON


def test_wake_after_close_is_harmless(port: SerialPort) -> None:
    """Waking a closed port neither raises nor writes into a descriptor that belongs to somebody else by now."""
    port.close()
    reused = [os.dup(0) for _ in range(8)]
    try:
        port.wake()
        port.close()
    finally:
        for fd in reused:
            os.close(fd)


def test_an_unplugged_adapter_is_gone_and_let_go(port: SerialPort, adapter: Adapter) -> None:
    """Once the far end vanishes the port is gone, its descriptor closed, and every further use says so."""
    before = open_descriptors()
    adapter.unplug()
    assert until_gone(port).gone
    assert open_descriptors() <= before - 5  # both ends of the pty, the port, the wake pair
    for use in (lambda: port.read(0.0), lambda: port.write(b"x")):
        with pytest.raises(LinkError, match="closed") as caught:
            use()
        assert caught.value.gone


def test_bytes_sent_before_the_plug_was_pulled_are_still_read_or_gone(port: SerialPort, adapter: Adapter) -> None:
    """Last bytes are either delivered whole or lost with the port; never an error of another kind."""
    adapter.say(b"last words")
    assert port.read(SOON) == b"last words"
    adapter.unplug()
    assert "lost" in str(until_gone(port))


def test_writing_to_an_unplugged_adapter_is_gone(port: SerialPort, adapter: Adapter) -> None:
    """A write that meets a lost port raises the same error as a read."""
    adapter.unplug()
    with pytest.raises(LinkError) as caught:
        port.write(b"hello")
    assert caught.value.gone


def test_the_same_name_opens_the_new_adapter(port: SerialPort, adapter: Adapter) -> None:
    """After unplug and re-plug under the same stable name the port opens again and works."""
    adapter.unplug()
    until_gone(port)
    adapter.plug()
    again = open_serial(adapter.settings)
    adapter.say(b"back")
    assert again.read(SOON) == b"back"
    again.close()


def test_bytes_from_before_opening_are_gone(adapter: Adapter) -> None:
    """What arrived while nobody listened is thrown away at opening."""
    adapter.say(b"old")
    opened = open_serial(adapter.settings)
    assert opened.read(0.02) == b""
    adapter.say(b"new")
    assert opened.read(SOON) == b"new"
    opened.close()


def test_a_second_opening_is_refused_and_names_the_holder(port: SerialPort, adapter: Adapter) -> None:
    """The port is held exclusively, and the error says by whom."""
    with pytest.raises(LinkError, match="in use") as caught:
        open_serial(adapter.settings)
    assert caught.value.gone
    assert "this agent itself" in str(caught.value) or "fuser" in str(caught.value)
    port.close()
    open_serial(adapter.settings).close()


def test_a_stalled_far_end_does_not_block_for_ever(adapter: Adapter) -> None:
    """A write that nobody takes ends in an error instead of holding the worker."""
    opened = open_serial(SerialSettings(str(adapter.link), baud=4_000_000))
    with pytest.raises(LinkError, match="takes no more bytes") as caught:
        opened.write(b"\x55" * 262_144)
    assert caught.value.gone


def test_a_missing_port_says_so(tmp_path: Path) -> None:
    """A name that does not exist is reported with what is there instead."""
    with pytest.raises(LinkError, match=r"does not exist.*by-path|does not exist.*Present now") as caught:
        open_serial(SerialSettings(str(tmp_path / "ttyUSB0")))
    assert caught.value.gone


def test_a_port_without_a_parity_bit_says_so(adapter: Adapter) -> None:
    """A pseudo-terminal has none, like the mini UART of a Pi; opened all the same it would only hear noise."""
    with pytest.raises(LinkError, match="no parity bit") as caught:
        open_serial(SerialSettings(str(adapter.link), parity="E"))
    assert caught.value.gone


def test_a_file_is_not_a_port(tmp_path: Path) -> None:
    """A regular file under the port's name is refused in words."""
    path = tmp_path / "port"
    path.write_bytes(b"")
    with pytest.raises(LinkError, match="cannot be opened as a serial port"):
        open_serial(SerialSettings(str(path)))


def test_a_forbidden_port_names_the_group(adapter: Adapter) -> None:
    """Permission denied comes with the group to join (asked directly: root, as in a container, may open anything)."""
    cure = serial._cure(str(adapter.link), PermissionError(errno.EACCES, "Permission denied"))
    assert re.search(r"permission denied.*in group \w+ \(sudo usermod -aG \w+ edge-agent", cure)


@pytest.mark.parametrize(
    ("settings", "guard"),
    [
        (SerialSettings("p", 9600), 3.5 * 10 / 9600),
        (SerialSettings("p", 2400, "E"), 3.5 * 11 / 2400),
        (SerialSettings("p", 9600, "N", 2), 3.5 * 11 / 9600),
        (SerialSettings("p", 115200), 0.00175),
    ],
)
def test_guard_is_three_and_a_half_characters(settings: SerialSettings, guard: float) -> None:
    """The pause between frames follows from baud, parity and stop bits, and never falls under 1.75 ms."""
    assert timing_for(settings).guard == pytest.approx(guard)


def test_a_given_guard_wins() -> None:
    """The installer's own guard time is taken as it is."""
    timing = timing_for(SerialSettings("p"), guard=0.01, max_reply_delay=0.5, echo="yes")
    assert (timing.guard, timing.max_reply_delay, timing.echo) == (0.01, 0.5, "yes")


def test_a_byte_link_asks_and_recovers_over_the_port(adapter: Adapter) -> None:
    """Question and answer, a time-out, an unplugged adapter and its return pass through a ByteLink as intended."""
    link = ByteLink("rs485", lambda: open_serial(adapter.settings), SystemClock(), timing_for(adapter.settings))
    shape = ReplyShape(key="pong", find=lambda data: b"pong" if b"pong" in data else None)

    def answer() -> None:
        adapter.hear(4)
        adapter.say(b"\x00pong")

    link.open()
    peer = threading.Thread(target=answer)
    peer.start()
    assert link.ask(b"ping", reply=shape, within=SOON) == b"pong"
    peer.join(SOON)
    with pytest.raises(LinkTimeout):
        link.ask(b"ping", reply=ReplyShape(key="other", find=shape.find), within=0.02)
    adapter.unplug()
    with pytest.raises(LinkError) as caught:
        link.ask(b"ping", reply=shape, within=SOON)
    assert caught.value.gone
    link.close()
    adapter.plug()
    link.open()
    adapter.say(b"unasked")
    link.wait(SOON)
    assert [chunk.data for chunk in iter(link.take, None)] == [b"\x00", b"unasked"]
    link.close()
