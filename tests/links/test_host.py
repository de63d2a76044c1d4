"""Links that only answer: the machine's own files, an I²C bus, and the way a station file names them."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.clock import FakeClock
from edge_agent.config.links import HostLink as HostConfig
from edge_agent.config.links import I2cLink as I2cConfig
from edge_agent.driver import DeviceError, LinkError, LinkTimeout, ReplyShape
from edge_agent.links.asked import AskedLink
from edge_agent.links.host import HostLink
from edge_agent.links.i2c import DevBus, I2cLink
from edge_agent.links.make import make_link

ANY = ReplyShape("any", lambda data: data)


class FakeBus:
    """One device at 44h that is busy for some reads."""

    def __init__(self, busy: int = 0, failure: int = errno.EREMOTEIO) -> None:
        self.busy = busy
        self.failure = failure
        self.written: list[bytes] = []
        self.closed = False

    def write(self, address: int, data: bytes) -> None:
        if address != 0x44:
            raise OSError(self.failure, "Remote I/O error")
        self.written.append(data)

    def read(self, address: int, size: int) -> bytes:
        self.busy -= 1
        if address != 0x44 or self.busy >= 0:
            raise OSError(self.failure, "Remote I/O error")
        return b"\x5a" * size

    def close(self) -> None:
        self.closed = True


def ask(link: AskedLink, question: bytes, shape: ReplyShape = ANY, within: float = 0.02) -> bytes:
    """Ask on an open link."""
    link.open()
    return link.ask(question, reply=shape, within=within)


def test_the_machine_answers_from_its_files(tmp_path: Path) -> None:
    """A file's content, a directory's names, a file system's room and the clock's state."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("12.5 3\n")
    (tmp_path / "proc/about").write_bytes(b"x" * 70_000)
    link = HostLink("machine", FakeClock(), tmp_path)
    assert ask(link, b"read /proc/uptime") == b"12.5 3\n"
    assert len(ask(link, b"read /proc/about")) == 65_536
    assert ask(link, b"list /proc") == b"about\nuptime\n"
    size, free = map(int, ask(link, b"statfs /proc").split())
    assert size >= free >= 0
    assert ask(link, b"clock") == b"synced"


def test_an_unsynced_clock_is_told() -> None:
    """The clock's trust is the agent's own."""
    assert ask(HostLink("machine", FakeClock(good=False)), b"clock") == b"unsynced"


@pytest.mark.parametrize(
    "question", [b"read /no/such/file", b"list /no/such/dir", b"statfs /no/such/path", b"read /proc"]
)
def test_what_is_not_there_is_a_timeout(question: bytes, tmp_path: Path) -> None:
    """A missing or unreadable file is an absent device, with the path in the words."""
    (tmp_path / "proc").mkdir()
    with pytest.raises(LinkTimeout, match="cannot be read"):
        ask(HostLink("machine", FakeClock(), tmp_path), question)


def test_an_unknown_question_and_a_closed_link_are_errors() -> None:
    """Neither is the device's fault."""
    link = HostLink("machine", FakeClock())
    with pytest.raises(LinkError, match="is not open"):
        link.ask(b"clock", reply=ANY, within=1.0)
    with pytest.raises(LinkError, match="does not know the question 'write'"):
        ask(link, b"write /etc/passwd")


def test_an_answer_must_fit_the_question() -> None:
    """What the reply's shape refuses is the device's nonsense."""
    with pytest.raises(DeviceError, match="no valid answer"):
        ask(HostLink("machine", FakeClock()), b"clock", ReplyShape("none", lambda _: None))


def test_a_tap_sees_the_conversation() -> None:
    """Question and answer are shown, as on a wire."""
    link = HostLink("machine", FakeClock())
    seen: list[tuple[str, bytes]] = []
    link.tap = lambda direction, data: seen.append((direction, data))
    ask(link, b"clock")
    assert seen == [(">", b"clock"), ("<", b"synced")]


def test_waiting_ends_at_a_wake() -> None:
    """Nothing comes unasked, but the owner can be called."""
    clock = FakeClock()
    link = HostLink("machine", clock)
    link.wake()
    link.wait(60.0)
    link.wait(0.0)
    assert link.take() is None
    assert link.monotonic() == clock.monotonic()
    link.open()
    assert link.is_open
    link.close()
    assert not link.is_open


def test_a_busy_device_is_asked_until_it_acknowledges() -> None:
    """The command is written once, the answer read until it is there."""
    bus = FakeBus(busy=3)
    link = I2cLink("i2c", Path("/dev/i2c-1"), FakeClock(), lambda _: bus)
    assert ask(link, b"\x44\x24\x00", ReplyShape("t", lambda data: data, size=6)) == b"\x5a" * 6
    assert bus.written == [b"\x24\x00"]
    link.close()
    assert bus.closed


@pytest.mark.parametrize("question", [b"\x45\x24\x00", b"\x45"])
def test_an_absent_device_is_a_timeout(question: bytes) -> None:
    """Nobody acknowledges."""
    link = I2cLink("i2c", Path("/dev/i2c-1"), FakeClock(), lambda _: FakeBus())
    with pytest.raises(LinkTimeout, match="nothing answers at 45h"):
        ask(link, question)


def test_a_lost_bus_is_gone() -> None:
    """The bus itself is lost: it must be opened again."""
    link = I2cLink("i2c", Path("/dev/i2c-1"), FakeClock(), lambda _: FakeBus(failure=errno.ENODEV))
    with pytest.raises(LinkError, match="is lost") as lost:
        ask(link, b"\x45")
    assert lost.value.gone
    with pytest.raises(LinkError, match="needs an open bus and an address"):
        ask(link, b"")


def denied(_: Path) -> FakeBus:
    """A bus of another group."""
    raise PermissionError(errno.EACCES, "Permission denied")


def broken(_: Path) -> FakeBus:
    """A bus that cannot be had."""
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    ("opener", "cure"),
    [(DevBus, "switch I2C on"), (denied, "must be in group i2c"), (broken, "cannot be opened: Input/output error")],
)
def test_a_bus_that_cannot_be_opened_says_what_to_do(
    opener: Callable[[Path], FakeBus], cure: str, tmp_path: Path
) -> None:
    """Each reason has its cure."""
    with pytest.raises(LinkError, match=cure):
        I2cLink("i2c", tmp_path / "i2c-9", FakeClock(), opener).open()


def test_a_file_that_is_no_bus_is_refused(tmp_path: Path) -> None:
    """The kernel's own refusal becomes a timeout at the first question, and the file is released."""
    path = tmp_path / "file"
    path.touch()
    link = I2cLink("i2c", path, FakeClock())
    for question in (b"\x44\x24", b"\x44"):
        with pytest.raises(LinkTimeout, match="nothing answers"):
            ask(link, question, within=0.0)
    link.close()


def test_the_station_file_names_them() -> None:
    """Kind `host` and kind `i2c` become these links."""
    clock = FakeClock()
    host = make_link(HostConfig(name="machine", kind="host"), clock)
    assert isinstance(host, HostLink)
    assert isinstance(make_link(I2cConfig(name="i2c", kind="i2c", bus=3), clock), I2cLink)
