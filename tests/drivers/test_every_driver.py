"""The contract of every driver folder: complete, configurable, and never wrong on a bad wire."""

import os
import re
import threading
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.cards import CardKey
from edge_agent.clock import FakeClock
from edge_agent.config.described import keys_in
from edge_agent.driver import (
    Alarm,
    Chunk,
    DeviceError,
    Driver,
    DriverClass,
    Edge,
    Event,
    LinkError,
    Listener,
    Memory,
    Options,
    Reading,
    Record,
    Simulator,
    Site,
    Wire,
    load_driver,
)
from edge_agent.links import hostile
from edge_agent.links.bytelink import ByteLink, Port
from edge_agent.links.simulated import SimulatedPort
from tests.drivers import vectors

HEADINGS = ["Wiring", "Configuration", "What it reports", "Traps", "Evidence", "Residual error rate"]
TIERS = {"sketch", "simulated", "witnessed", "soaked"}
DEVICE_KEYS = {"name", "link", "driver", "every", "may_be_absent", "label"}
"""Keys of a `[[device]]` that are the agent's own; all others are the driver's options."""
SITE = Site(card_key=CardKey("test", b"a secret of the tests, 32 bytes.."))
EXTRAS = {"osdp": "libosdp"}
"""Drivers that cannot speak without an optional package."""
MAX_REPLY_DELAY = 2.0
PATIENCE = 10.0
"""Seconds (real) after which a thread that should have ended has failed."""


def secret_file(text: str) -> str:
    """Return the path of a file in memory that holds `text`, for this process alone."""
    number = os.memfd_create("secret")
    os.fchmod(number, 0o600)
    os.write(number, text.encode())
    return f"/proc/{os.getpid()}/fd/{number}"


KEY_FILE = secret_file("00112233445566778899aabbccddeeff")
"""Stands in for every `key_file` that a README names."""

FOLDERS = sorted(folder.parent for folder in vectors.DRIVERS.glob("*/__init__.py"))


def section(folder: Path, heading: str) -> str:
    """The text of the README below one heading."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"{folder.name}/README.md has no section {heading!r}"
    return found[1]


def documented_devices(folder: Path) -> list[dict[str, Any]]:
    """The `[[device]]` tables of the driver in the TOML blocks of its README."""
    if not (folder / "README.md").exists():
        return []
    blocks = re.findall(r"```toml\n(.*?)```", section(folder, "Configuration"), re.DOTALL)
    tables = [table for block in blocks for table in tomllib.loads(block).get("device", [])]
    return [table for table in tables if table.get("driver") == folder.name]


@dataclass(frozen=True)
class Case:
    """One documented configuration of one driver."""

    driver: str
    table: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.driver}-{self.table['name']}"

    @property
    def cls(self) -> DriverClass:
        """The driver's class."""
        return load_driver(self.driver)

    @property
    def options(self) -> Options:
        """The driver's own keys, validated."""
        own = {key: value for key, value in self.table.items() if key not in DEVICE_KEYS}
        if "key_file" in own:
            own["key_file"] = KEY_FILE
        return self.cls.Options.model_validate(own)

    def build(self) -> Any:
        """A fresh driver."""
        return self.cls(self.options, SITE)


CASES = [Case(folder.name, table) for folder in FOLDERS for table in documented_devices(folder)]
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
POLLED = [case for case in CASES if case.cls.wire in {Wire.SERIAL, Wire.UDP} and isinstance(case.build(), Driver)]
LISTENERS = [case for case in CASES if isinstance(case.build(), Listener)]


def marks(case: Case) -> list[pytest.MarkDecorator]:
    """What a test of this case needs."""
    return [pytest.mark.needs(EXTRAS[case.driver])] if case.driver in EXTRAS else []


each_polled = pytest.mark.parametrize("case", [pytest.param(case, marks=marks(case)) for case in POLLED], ids=str)


class Bench:
    """A driver, a wire that can turn bad, and the driver's simulator at its other end."""

    def __init__(self, case: Case, simulator: Simulator | None = None) -> None:
        self.case = case
        self.clock = FakeClock()
        self.simulator = simulator or case.cls.Simulator(case.options, SITE)
        self.clean = SimulatedPort([self.simulator], self.clock)
        self.wire = hostile.Wire(self.clean)
        self.link = ByteLink("bench", lambda: self.wire, self.clock)
        self.link.open()
        self.driver: Driver = case.build()

    def poll(self) -> tuple[list[Record], Exception | None]:
        """Poll once; only the two errors a driver may raise are caught."""
        records: list[Record] = []
        try:
            records.extend(self.driver.poll(self.link))
        except (LinkError, DeviceError) as error:
            return records, error
        return records, None

    def truth(self) -> set[tuple[str, object]]:
        """What a driver of its own says of the simulator over a clean wire, in as many polls as a rotation may take."""
        other = Bench(self.case, self.simulator)
        found: set[tuple[str, object]] = set()
        for _ in range(20):
            records, error = other.poll()
            assert error is None
            found |= facts(records)
        return found


def facts(records: Iterable[Record]) -> set[tuple[str, object]]:
    """What records claim: values of readings, active alarms, events."""
    claimed: set[tuple[str, object]] = set()
    for record in records:
        if isinstance(record, Reading) and record.value is not None:
            claimed.add((record.point, record.value))
        elif isinstance(record, Alarm) and record.active:
            claimed.add(("alarm", record.code))
        elif isinstance(record, Event):
            claimed.add(("event", record.type))
    return claimed


Trouble = Callable[[Port, FakeClock], Port]
TROUBLES: dict[str, Trouble] = {
    "whole": lambda port, _: port,
    "byte by byte": lambda port, _: hostile.Crumbs(port),
    "1 in 7 bytes flipped": lambda port, _: hostile.Flips(port, seed=1),
    "local echo": lambda port, _: hostile.Echo(port),
    "leading noise": lambda port, _: hostile.Noise(port),
    "glued replies": lambda port, _: hostile.Twice(port),
    "late replies": lambda port, clock: hostile.Late(port, clock, [0.9, 1.3, 0.2, 1.9] * 50),
    "silence": lambda port, _: hostile.Silence(port),
    "babble": hostile.Babble,
    "echo, noise, crumbs": lambda port, _: hostile.Crumbs(hostile.Noise(hostile.Echo(port))),
    "echo, flips": lambda port, _: hostile.Flips(hostile.Echo(port), seed=3),
    "late at the worst moment": lambda port, clock: hostile.Held(port, clock, [0, 1, 0, 2, 1, 0, 3] * 60),
    "late and flipped": lambda port, clock: hostile.Flips(hostile.Late(port, clock, [0.7, 0.1, 1.6] * 70), seed=4),
    "noise, late": lambda port, clock: hostile.Noise(hostile.Late(port, clock, [1.1, 0.1] * 100), b"\x55" * 40),
    "unplugged midway": lambda port, _: hostile.Unplug(port, after=5),
}
MUST_WORK = {"whole", "byte by byte", "local echo", "leading noise", "glued replies", "echo, noise, crumbs"}
"""Troubles that a sound link and codec see through: no poll may fail."""
DAMAGE = {"1 in 7 bytes flipped", "echo, flips", "late and flipped"}
"""Troubles that a datagram cannot have: its own checksum stands before the driver's."""
TROUBLED = [
    pytest.param(case, name, marks=marks(case))
    for case in POLLED
    for name in TROUBLES
    if case.cls.wire is Wire.SERIAL or name not in DAMAGE
]


LATEST = MAX_REPLY_DELAY - 0.05
"""Seconds an answer may be late; the rest is its time on the wire."""


def by_time(delays: list[float]) -> Trouble:
    """Answers late by so many seconds each."""
    return lambda port, clock: hostile.Late(port, clock, delays)


def by_questions(holds: list[int], noise: bytes) -> Trouble:
    """Answers held back for so many further questions each, noise in front of what comes."""
    return lambda port, clock: hostile.Noise(hostile.Held(port, clock, holds, limit=LATEST), noise)


delayed: st.SearchStrategy[Trouble] = st.builds(
    by_time, st.lists(st.floats(0.0, LATEST), min_size=1, max_size=12)
) | st.builds(by_questions, st.lists(st.integers(0, 4), min_size=1, max_size=30), st.binary(max_size=40))


@each_folder
def test_a_driver_exports_its_class(folder: Path) -> None:
    """`DRIVER` carries Options, Simulator, wire and sensitive, and says what kind of driver it is."""
    cls = load_driver(folder.name)
    assert issubclass(cls.Options, Options)
    assert callable(cls.Simulator)
    assert isinstance(cls.wire, Wire)
    assert isinstance(cls.sensitive, bool)
    assert hasattr(cls, "poll") or hasattr(cls, "feed")


@each_folder
def test_every_option_is_described(folder: Path) -> None:
    """Each option has a description, because the reference page is made of them."""
    fields = keys_in(load_driver(folder.name).Options)
    assert not [name for name, field in fields.items() if not field.description]


@each_folder
def test_the_readme_answers_the_same_questions_in_the_same_order(folder: Path) -> None:
    """The README has the six headings in order and names its evidence tier."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    found = [heading for heading in re.findall(r"^## (.+)$", text, re.MULTILINE) if heading in HEADINGS]
    assert found == HEADINGS
    assert TIERS & set(re.findall(r"\w+", section(folder, "Evidence").lower()))


@each_folder
def test_there_are_vectors(folder: Path) -> None:
    """A driver comes with at least one file of frames that others have seen, good and bad ones among them."""
    found = vectors.of_driver(folder.name)
    assert {vector.valid for vector in found} >= {True}


@each_folder
def test_the_readme_has_a_configuration(folder: Path) -> None:
    """The README shows at least one `[[device]]` of the driver."""
    assert documented_devices(folder)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_documented_configuration_loads(case: Case) -> None:
    """The options shown in the README are accepted, and one with a slip is refused."""
    assert case.options
    with pytest.raises(ValueError, match="Extra inputs"):
        case.cls.Options.model_validate({**case.options.model_dump(exclude_unset=True), "no_such_option": 1})


@each_polled
def test_the_first_poll_tells_no_events(case: Case) -> None:
    """What is found at the first look is a baseline: readings, but no events."""
    records, error = Bench(case).poll()
    assert error is None
    assert any(isinstance(record, Reading) for record in records)
    assert not [record for record in records if isinstance(record, Event)]


@each_polled
def test_what_is_told_was_known_before(case: Case) -> None:
    """Where the options already say which points there will be, no other comes and none is missing."""
    known = case.options.known_points
    if known is not None:
        records, _ = Bench(case).poll()
        told = {record.point for record in records if isinstance(record, Reading)}
        assert told == {point for point in known if "commanded" not in point}


@pytest.mark.parametrize(("case", "trouble"), TROUBLED, ids=str)
def test_a_bad_wire_yields_no_wrong_value_and_heals(case: Case, trouble: str) -> None:
    """On a bad wire only the two errors leave, nothing untrue is said, and the next clean poll recovers."""
    bench = Bench(case)
    truth = bench.truth()
    bench.wire.port = TROUBLES[trouble](bench.clean, bench.clock)
    for _ in range(12):
        records, error = bench.poll()
        assert facts(records) <= truth | bench.truth()
        assert error is None or trouble not in MUST_WORK
        if isinstance(error, LinkError) and error.gone:
            bench.link.close()
            bench.link.open()
    bench.wire.port = bench.clean
    records, error = bench.poll()
    assert error is None
    assert facts(records)
    assert facts(records) <= truth | bench.truth()


@each_polled
@given(late=delayed)
@settings(max_examples=40)
def test_a_late_answer_never_answers_the_next_question(case: Case, late: Trouble) -> None:
    """However late answers are, up to `max_reply_delay`, none is taken for the answer to another question."""
    bench = Bench(case)
    bench.wire.port = late(bench.clean, bench.clock)
    truth = bench.truth()
    claimed: set[tuple[str, object]] = set()
    for _ in range(6):
        records, _error = bench.poll()
        claimed |= facts(records)
    assert claimed <= truth | bench.truth()


@each_polled
@pytest.mark.parametrize("cancel", ["wake", "close"])
def test_a_hanging_wire_can_be_cancelled(case: Case, cancel: str) -> None:
    """A poll that hangs in the port ends with LinkError as soon as the port is woken or closed from outside."""
    bench = Bench(case)
    hang = hostile.Hang(bench.clean, bench.clock)
    bench.wire.port = hang
    ended: list[Exception | None] = []
    thread = threading.Thread(target=lambda: ended.append(bench.poll()[1]), daemon=True)
    thread.start()
    assert hang.entered.wait(PATIENCE)
    getattr(bench.wire, cancel)()
    thread.join(PATIENCE)
    assert len(ended) == 1
    assert isinstance(ended[0], LinkError)
    bench.wire.port = bench.clean
    assert bench.poll()[1] is None


def edges_of(driver: Listener) -> st.SearchStrategy[list[Edge]]:
    """Any edges at all: repeated, out of order, with holes, on lines nobody asked for."""
    lines = [request.line for request in driver.lines()]
    return st.lists(
        st.builds(
            Edge,
            line=st.sampled_from([*lines, 99]),
            high=st.booleans(),
            at=st.floats(0, 1e6),
            seqno=st.none() | st.integers(0, 300),
            initial=st.booleans(),
        ),
        max_size=80,
    )


@pytest.mark.parametrize("case", LISTENERS, ids=str)
@given(data=st.data())
@settings(max_examples=60)
def test_a_listener_takes_anything(case: Case, data: st.DataObject) -> None:
    """No bytes, no edges and no times make a listener raise."""
    driver: Listener = case.build()
    serial = case.cls.wire is Wire.SERIAL
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.floats(0, 1e6))
        chunk = (
            Chunk(at, data=data.draw(st.binary(max_size=200)))
            if serial
            else Chunk(at, edges=tuple(data.draw(edges_of(driver))))
        )
        for record in [*driver.feed(chunk), *driver.quiet(at + data.draw(st.floats(0, 10)))]:
            assert isinstance(record, Reading | Event | Alarm | Memory)
