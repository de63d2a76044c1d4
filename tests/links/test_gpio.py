"""Edges into the agent: gpiozero pins, the kernel's request (with a stand-in chip), and simulated lines."""

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpiod
import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from edge_agent.clock import FakeClock, SystemClock
from edge_agent.driver import (
    Chunk,
    DeviceError,
    Edge,
    Event,
    LineRequest,
    LinkError,
    Reading,
    ReplyShape,
    Site,
    load_driver,
)
from edge_agent.links.edges import MAX_WAITING, EdgeLink, SimulatedLines
from edge_agent.links.gpio import GpioLink
from edge_agent.links.gpiod_source import GpiodSource
from edge_agent.links.wake import Waker

SOON = 5.0
"""Deadline (s) of waits that normally end at once."""

DOOR = LineRequest(5)
BUTTON = LineRequest(6, pull="down")


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    """Pretended pins of gpiozero."""
    factory = MockFactory()
    yield factory
    factory.close()


@pytest.fixture
def link(pins: MockFactory) -> Iterator[GpioLink]:
    """A link with a door and a button, open."""
    made = GpioLink("contacts", SystemClock(), pins)
    made.open((DOOR, BUTTON))
    yield made
    made.close()


def levels(chunk: Chunk | None) -> list[tuple[int, bool]]:
    """The (line, high) pairs of a chunk."""
    return [(edge.line, edge.high) for edge in chunk.edges] if chunk else []


# ---- gpiozero


def test_the_first_chunk_holds_the_levels_found(pins: MockFactory) -> None:
    """Opening tells the level of every line as an initial edge, also that of a contact closed all along."""
    pins.pin(5).pull = "up"
    pins.pin(5).drive_low()
    link = GpioLink("contacts", SystemClock(), pins)
    link.open((DOOR, BUTTON))
    chunk = link.take()
    assert levels(chunk) == [(5, False), (6, False)]
    assert chunk is not None
    assert all(edge.initial for edge in chunk.edges)
    link.close()


def test_edges_come_in_order_with_monotonic_time(link: GpioLink, pins: MockFactory) -> None:
    """Every change of a pin is one edge, stamped between the moments before and after it."""
    link.take()
    before = time.monotonic()
    pins.pin(5).drive_low()
    pins.pin(6).drive_high()
    pins.pin(5).drive_high()
    chunk = link.take()
    assert levels(chunk) == [(5, False), (6, True), (5, True)]
    assert chunk is not None
    assert all(before <= edge.at <= time.monotonic() for edge in chunk.edges)
    assert link.take() is None


def test_foreign_time_stamps_are_replaced(pins: MockFactory) -> None:
    """A pin library whose ticks count from another zero does not move edges in time."""
    clock = FakeClock(monotonic=1e9)
    link = GpioLink("contacts", clock, pins)
    link.open((DOOR,))
    link.take()
    pins.pin(5).drive_low()
    chunk = link.take()
    assert chunk is not None
    assert [edge.at for edge in chunk.edges] == [1e9]
    link.close()


def test_an_edge_ends_the_wait(link: GpioLink, pins: MockFactory) -> None:
    """A waiting worker goes on as soon as a contact moves."""
    link.take()
    mover = threading.Thread(target=pins.pin(5).drive_low)
    begun = time.monotonic()
    mover.start()
    link.wait(60.0)
    mover.join(SOON)
    assert time.monotonic() - begun < SOON
    assert levels(link.take()) == [(5, False)]


def test_wake_ends_the_wait(link: GpioLink) -> None:
    """A waiting worker can be stopped."""
    link.take()
    link.wake()
    begun = time.monotonic()
    link.wait(60.0)
    assert time.monotonic() - begun < SOON


def test_a_storm_is_bounded_and_the_last_level_is_told(link: GpioLink, pins: MockFactory) -> None:
    """Edges beyond the bound are dropped, but the level that the line came to rest at still arrives."""
    link.take()
    pin = pins.pin(5)
    for _ in range(MAX_WAITING):
        pin.drive_low()
        pin.drive_high()
    pin.drive_low()
    chunk = link.take()
    assert chunk is not None
    assert len(chunk.edges) == MAX_WAITING
    assert levels(link.take()) == [(5, False)]
    assert link.take() is None


def test_an_edge_lost_below_us_is_made_good(link: GpioLink, pins: MockFactory) -> None:
    """A level that changed without a callback is noticed at the next look."""
    link.take()
    pins.pin(5)._state = False
    assert levels(link.take()) == [(5, False)]
    assert link.take() is None


def test_closed_links_neither_read_nor_leak_edges(link: GpioLink, pins: MockFactory) -> None:
    """After closing nothing arrives; after opening again the level now comes first."""
    link.close()
    assert link.take() is None
    with pytest.raises(LinkError) as caught:
        link.wait(0.0)
    assert caught.value.gone
    pins.pin(5).drive_low()
    link.open((DOOR,))
    assert levels(link.take()) == [(5, False)]


def test_a_line_that_does_not_exist_is_named(pins: MockFactory) -> None:
    """A wrong line number is a link error with the number in it, and nothing stays half open."""
    link = GpioLink("contacts", SystemClock(), pins)
    with pytest.raises(LinkError, match="GPIO99"):
        link.open((DOOR, LineRequest(99)))
    assert not link.is_open


def test_two_devices_cannot_share_a_line_differently(pins: MockFactory) -> None:
    """Equal requests of two devices share a line, contradicting ones are refused."""
    link = GpioLink("contacts", SystemClock(), pins)
    with pytest.raises(LinkError, match="GPIO5 is used by two devices"):
        link.open((DOOR, LineRequest(5, pull="down")))
    link.open((DOOR, DOOR))
    assert levels(link.take()) == [(5, True)]
    link.close()


def test_opening_the_machines_own_pins_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading lgpio neither moves the process to another directory nor leaves its FIFO behind.

    Without GPIO lines, or without a library for them, the error says so; on a Raspberry Pi the link simply opens.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    link = GpioLink("contacts", SystemClock())
    said = ""
    try:
        link.open()
    except LinkError as error:
        said = str(error)
    assert link.is_open or re.search("group gpio|which needs none", said)
    link.close()
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert "LG_WD" not in os.environ


def test_the_pin_factory_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """With GPIOZERO_PIN_FACTORY=mock the link opens on pretended pins, on any machine."""
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    link = GpioLink("contacts", SystemClock())
    link.open((DOOR,))
    assert levels(link.take()) == [(5, True)]
    link.close()


def test_a_pin_that_can_no_longer_be_read_is_gone(pins: MockFactory) -> None:
    """A pin that fails while it is watched is the link's error, not an exception of a library."""

    class BrokenPin(MockPin):  # type: ignore[misc]
        broken = False

        def _get_state(self) -> bool:
            if self.broken:
                raise OSError(5, "Input/output error")
            return bool(super()._get_state())

    pin = pins.pin(5, pin_class=BrokenPin)
    link = GpioLink("contacts", SystemClock(), pins)
    link.open((DOOR,))
    link.take()
    pin.broken = True
    with pytest.raises(LinkError, match="GPIO5 can no longer be read") as caught:
        link.take()
    assert caught.value.gone
    link.close()


def test_edges_cannot_be_asked(link: GpioLink) -> None:
    """Asking on a GPIO link is the wire's error."""
    with pytest.raises(LinkError, match="nothing can be asked"):
        link.ask(b"hello", reply=ReplyShape(key="any", find=lambda data: data), within=1.0)


OUTPUT = LineRequest(17, safe=True)


def level_shape() -> ReplyShape:
    """What answers a question about an output."""
    return ReplyShape("level", lambda answer: answer if answer in {b"0", b"1"} else None)


def asked(link: EdgeLink, question: bytes) -> bytes:
    """Ask for an output."""
    return link.ask(question, reply=level_shape(), within=1.0)


def test_an_output_is_safe_driven_and_safe_again(pins: MockFactory) -> None:
    """It has its safe level from the first moment on, is read back, makes no edge, and is safe again at the end."""
    link = GpioLink("contacts", SystemClock(), pins)
    link.open((DOOR, OUTPUT))
    assert levels(link.take()) == [(5, True)]
    pin = pins.pin(17)
    assert (pin.function, pin.state) == ("output", True)
    assert asked(link, b"17=0") == b"0"
    assert asked(link, b"17") == b"0"
    assert pin.state is False
    assert link.take() is None
    pin.clear_states()
    link.close()
    assert [state.state for state in pin.states][:2] == [False, True]
    with pytest.raises(LinkError, match="not open"):
        asked(link, b"17")


@pytest.mark.parametrize("question", [b"5=1", b"5", b"17=2", b"17=", b"=1", b"x", b"\xff", b""])
def test_only_outputs_are_driven(pins: MockFactory, question: bytes) -> None:
    """An input is never driven, whatever is asked."""
    link = GpioLink("contacts", SystemClock(), pins)
    link.open((DOOR, OUTPUT))
    if question == b"17=":
        assert asked(link, question) == b"1"
    else:
        with pytest.raises(LinkError, match="nothing can be asked on it but its outputs"):
            asked(link, question)
    assert pins.pin(5).function == "input"
    link.close()


def test_an_answer_nobody_wants_is_the_devices_fault(pins: MockFactory) -> None:
    """A question whose shape takes no level is answered like any other that fits none."""
    link = GpioLink("contacts", SystemClock(), pins)
    link.open((OUTPUT,))
    with pytest.raises(DeviceError):
        link.ask(b"17", reply=ReplyShape("none", lambda _answer: None), within=1.0)
    link.close()


def test_an_output_that_fails_is_gone(pins: MockFactory) -> None:
    """A pin that can be neither driven nor read is the link's error."""

    class BrokenPin(MockPin):  # type: ignore[misc]
        broken = False

        def _get_state(self) -> bool:
            if self.broken:
                raise OSError(5, "Input/output error")
            return bool(super()._get_state())

        def _set_state(self, value: bool) -> None:
            if self.broken:
                raise OSError(5, "Input/output error")
            super()._set_state(value)

    pin = pins.pin(17, pin_class=BrokenPin)
    link = GpioLink("contacts", SystemClock(), pins)
    link.open((OUTPUT,))
    pin.broken = True
    for question in (b"17", b"17=1"):
        with pytest.raises(LinkError, match="GPIO17 can no longer be") as caught:
            asked(link, question)
        assert caught.value.gone
    link.close()


# ---- the kernel's request


class StandInRequest:
    """What `gpiod.Chip.request_lines` returns, with a real descriptor to poll."""

    def __init__(self, values: dict[int, bool]) -> None:
        self.events: list[gpiod.EdgeEvent] = []
        self.released = False
        self.broken = False
        self._values = values
        self._ready = Waker()

    @property
    def fd(self) -> int:
        """Readable while events wait."""
        return self._ready.fileno()

    def get_values(self, lines: Iterable[int]) -> list[gpiod.line.Value]:
        """Levels now."""
        return [gpiod.line.Value.ACTIVE if self._values[line] else gpiod.line.Value.INACTIVE for line in lines]

    def get_value(self, line: int) -> gpiod.line.Value:
        """Level of one line now."""
        (value,) = self.get_values([line])
        return value

    def set_value(self, line: int, value: gpiod.line.Value) -> None:
        """Drive a line."""
        if self.broken:
            raise OSError(19, "No such device")
        self._values[line] = bool(value)

    def happen(self, *events: tuple[int, bool, int, int]) -> None:
        """Let edges happen: (line, rising, time in ns, sequence number)."""
        kinds = gpiod.EdgeEvent.Type
        for line, rising, at, seqno in events:
            kind = kinds.RISING_EDGE if rising else kinds.FALLING_EDGE
            self.events.append(gpiod.EdgeEvent(kind.value, at, line, seqno, seqno))
        self._ready.set()

    def read_edge_events(self) -> list[gpiod.EdgeEvent]:
        """Events so far."""
        if self.broken:
            raise OSError(19, "No such device")
        self._ready.clear()
        events, self.events = self.events, []
        return events

    def release(self) -> None:
        """Give the lines back."""
        self.released = True
        self._ready.close()


class StandInChip:
    """A GPIO chip with 54 lines."""

    def __init__(self, label: str, path: str, values: dict[int, bool], used: str = "") -> None:
        self.path = path
        self.closed = False
        self.asked: dict[str, Any] = {}
        self.request = StandInRequest(values)
        self._label = label
        self._used = used

    def get_info(self) -> SimpleNamespace:
        """Label and name."""
        return SimpleNamespace(label=self._label, name=self.path.removeprefix("/dev/"))

    def get_line_info(self, line: int) -> SimpleNamespace:
        """Who uses a line."""
        if line >= 54:
            raise ValueError("line offset out of range")
        return SimpleNamespace(used=bool(self._used), consumer=self._used)

    def request_lines(self, config: dict[int, gpiod.LineSettings], **more: object) -> StandInRequest:
        """Hand the lines out, or refuse as the kernel does."""
        self.asked = {"config": config, **more}
        if self._used:
            raise OSError(16, "Device or resource busy")
        if any(line >= 54 for line in config):
            raise ValueError("invalid line")
        return self.request

    def close(self) -> None:
        """The request lives on without it."""
        self.closed = True


@pytest.fixture
def chip() -> Iterator[StandInChip]:
    """A chip as on a Raspberry Pi 4, both lines at rest."""
    made = StandInChip("pinctrl-bcm2711", "/dev/gpiochip0", {17: True, 27: True})
    yield made
    made.request.release()


D0, D1 = LineRequest(17, edges="falling"), LineRequest(27, edges="falling")


def kernel_link(*chips: StandInChip, label: str = "pinctrl-bcm2711") -> EdgeLink:
    """A link over the given chips."""
    return EdgeLink("door", GpiodSource(label, lambda: chips), SystemClock())


def test_the_kernel_has_an_output_safe_from_the_first_moment(chip: StandInChip) -> None:
    """The request itself sets the level; it is driven, read back, and safe again before the lines are given back."""
    link = kernel_link(chip)
    link.open((D0, LineRequest(27, safe=True)))
    assert levels(link.take()) == [(17, True)]
    settings = chip.asked["config"][27]
    assert settings.direction is gpiod.line.Direction.OUTPUT
    assert settings.output_value is gpiod.line.Value.ACTIVE
    assert asked(link, b"27=0") == b"0"
    link.close()
    assert chip.request.get_value(27) is gpiod.line.Value.ACTIVE
    assert chip.request.released


def test_an_output_of_a_lost_chip_is_gone(chip: StandInChip) -> None:
    """A chip that vanishes under an order is the link's error."""
    link = kernel_link(chip)
    link.open((LineRequest(27, safe=False),))
    chip.request.broken = True
    with pytest.raises(LinkError, match="is lost") as caught:
        asked(link, b"27=1")
    assert caught.value.gone
    link.close()


def test_the_kernel_is_asked_for_one_request_with_a_big_buffer(chip: StandInChip) -> None:
    """All lines are in one request, falling edges only, pulled up, on the monotonic clock, at least 256 edges deep."""
    other = StandInChip("raspberrypi-exp-gpio", "/dev/gpiochip1", {})
    link = kernel_link(other, chip)
    link.open((D0, D1))
    assert set(chip.asked["config"]) == {17, 27}
    for settings in chip.asked["config"].values():
        assert settings.edge_detection is gpiod.line.Edge.FALLING
        assert settings.bias is gpiod.line.Bias.PULL_UP
        assert settings.event_clock is gpiod.line.Clock.MONOTONIC
        assert settings.direction is gpiod.line.Direction.INPUT
    assert chip.asked["event_buffer_size"] >= 256
    assert chip.closed
    assert other.closed
    assert levels(link.take()) == [(17, True), (27, True)]
    link.close()
    assert chip.request.released
    other.request.release()


def test_contacts_need_no_pin_library(chip: StandInChip) -> None:
    """On a link of kind `gpiod` the driver `contacts` reads levels, settles bounces and counts, as on one of `gpio`."""
    contacts = load_driver("contacts")
    inputs = [
        {"line": 17, "role": "door", "active": "open"},
        {"line": 27, "role": "pulse", "name": "litres", "active": "closed"},
    ]
    driver = contacts(contacts.Options.model_validate({"inputs": inputs}), Site())
    link = kernel_link(chip)
    link.open(driver.lines())
    for settings in chip.asked["config"].values():
        assert settings.edge_detection is gpiod.line.Edge.BOTH
        assert settings.bias is gpiod.line.Bias.PULL_UP
    first = link.take()
    assert first is not None
    found = [*driver.feed(first), *driver.quiet(first.at + 1)]
    chip.request.happen(
        *((17, bool(n % 2), 5_000_000_000 + n * 1_000_000, n + 1) for n in range(5)),
        *((27, bool(n % 2), 6_000_000_000 + n * 100_000_000, n + 6) for n in range(4)),
    )
    link.wait(SOON)
    chunk = link.take()
    assert chunk is not None
    told = [*driver.feed(chunk), *driver.quiet(7.0)]
    assert not any(isinstance(record, Event) for record in found)
    assert [record.type for record in told if isinstance(record, Event)] == ["door_closed"]
    assert {record.point: record.value for record in told if isinstance(record, Reading)}["litres_pulses"] == 2
    link.close()


def test_kernel_stamps_and_numbers_reach_the_driver(chip: StandInChip) -> None:
    """Time stamps become seconds and the sequence numbers are passed on, in order of delivery."""
    link = kernel_link(chip)
    link.open((D0, D1))
    link.take()
    chip.request.happen((27, False, 5_002_000_000, 2), (17, False, 5_001_000_000, 1))
    link.wait(SOON)
    chunk = link.take()
    assert chunk is not None
    assert chunk.edges == (Edge(27, high=False, at=5.002, seqno=2), Edge(17, high=False, at=5.001, seqno=1))
    assert link.take() is None
    link.wake()
    link.wait(60.0)
    link.close()


def test_a_lost_chip_is_gone_and_let_go(chip: StandInChip) -> None:
    """A failing read gives the lines back and says that the link must be opened again."""
    link = kernel_link(chip)
    link.open((D0, D1))
    link.take()
    chip.request.broken = True
    chip.request.happen()
    with pytest.raises(LinkError) as caught:
        link.wait(SOON)
    assert caught.value.gone
    assert chip.request.released
    with pytest.raises(LinkError, match="closed"):
        link.wait(0.0)
    link.wake()
    link.close()


@pytest.mark.parametrize(
    ("lines", "used", "label", "words"),
    [
        ((D0,), "", "pinctrl-rp1", "no GPIO chip 'pinctrl-rp1'; present: pinctrl-bcm2711"),
        ((D0,), "w1-gpio", "pinctrl-bcm2711", "GPIO17 is in use by 'w1-gpio'"),
        ((LineRequest(99),), "", "/dev/gpiochip0", "has no line GPIO99"),
    ],
)
def test_lines_that_cannot_be_had_say_why(lines: tuple[LineRequest, ...], used: str, label: str, words: str) -> None:
    """The error names the chips present, the line's owner, or the line that does not exist."""
    chip = StandInChip("pinctrl-bcm2711", "/dev/gpiochip0", {17: True}, used)
    link = kernel_link(chip, label=label)
    with pytest.raises(LinkError, match=words) as caught:
        link.open(lines)
    assert caught.value.gone
    assert not link.is_open
    chip.request.release()


def test_a_chip_that_this_machine_has_not_is_named() -> None:
    """Looking through the machine's own chips ends in words, also where there are none or they may not be opened."""
    with pytest.raises(LinkError, match="no GPIO chip 'no-such-chip'"):
        GpiodSource("no-such-chip").open((D0,))


# ---- simulated lines


class Script:
    """A simulator that says what it is given."""

    def __init__(self, *chunks: Chunk) -> None:
        self.chunks = list(chunks)

    def answer(self, request: bytes) -> bytes:
        """Nothing: it cannot be asked."""
        return b""

    def play(self) -> Iterable[Chunk]:
        """Everything once."""
        chunks, self.chunks = self.chunks, []
        return chunks


def test_simulated_edges_are_numbered_and_holes_show() -> None:
    """Sequence numbers count up over all lines, and lost edges leave a hole."""
    lines = SimulatedLines(FakeClock())
    link = EdgeLink("door", lines, FakeClock())
    link.open((D0, D1))
    assert levels(link.take()) == [(17, True), (27, True)]
    lines.push([Edge(17, high=False, at=1.0), Edge(17, high=True, at=1.1), Edge(99, high=False, at=1.2)])
    lines.lose(2)
    lines.push([Edge(27, high=False, at=2.0)])
    chunk = link.take()
    assert chunk is not None
    assert [(edge.line, edge.seqno) for edge in chunk.edges] == [(17, 1), (27, 4)]


def test_a_simulator_is_played_into_the_present_without_overlap() -> None:
    """Simulated time ends now, keeps its pauses, and never runs into what was played before."""
    clock = FakeClock(monotonic=100.0)
    lines = SimulatedLines(clock)
    link = EdgeLink("door", lines, clock)
    link.open((D0, D1))
    link.take()
    lines.play(Script(Chunk(at=0.05, edges=(Edge(17, high=False, at=0.0), Edge(27, high=False, at=0.05)))))
    lines.play(Script(Chunk(at=0.25, edges=(Edge(17, high=False, at=0.2),))))
    early = link.take()
    assert early is not None
    assert [edge.at for edge in early.edges] == pytest.approx([99.95, 100.0])
    clock.advance(10.0)
    lines.play(Script(Chunk(at=0.45, edges=(Edge(17, high=False, at=0.4),))))
    lines.play(Script())
    chunk = link.take()
    assert chunk is not None
    assert [edge.at for edge in chunk.edges] == pytest.approx([100.15, 109.95])


def test_simulated_lines_wake_and_forget() -> None:
    """A push from another thread ends the wait; what happens while closed is only seen as the level afterwards."""
    clock = SystemClock()
    lines = SimulatedLines(clock)
    link = EdgeLink("door", lines, clock)
    link.open((DOOR,))
    link.take()
    pusher = threading.Thread(target=lines.push, args=([Edge(5, high=False, at=clock.monotonic())],))
    pusher.start()
    link.wait(60.0)
    pusher.join(SOON)
    assert levels(link.take()) == [(5, False)]
    lines.push([Edge(5, high=True, at=clock.monotonic() + 0.01)])
    link.wait(60.0)
    assert levels(link.take()) == [(5, True)]
    link.wake()
    link.wait(60.0)
    link.close()
    lines.push([Edge(5, high=False, at=1.0), Edge(5, high=True, at=1.0)])
    link.open((DOOR,))
    assert levels(link.take()) == [(5, True)]
