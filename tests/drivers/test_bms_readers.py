"""How each family of battery boards is asked: what passes for its answer, signs, dialects, and odd boards."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bms import codec_a5 as a5
from drivers.bms import codec_jk as jk
from drivers.bms import map_daly
from drivers.bms import map_seplos_v3 as v3
from drivers.bms.driver import Bms
from drivers.bms.map_ydt import ALARMS, ANALOGUE, DIALECTS, Module, Name, decode_modules, encode_module
from drivers.bms.map_ydt_alarms import Alarms, decode_alarms, encode_alarms, known_protections
from drivers.bms.options import BmsOptions
from drivers.bms.pack import Pack
from drivers.bms.reader import Question
from drivers.bms.simulator import BmsSimulator, SimulatedBattery
from drivers.modbus.codec import Function, Reply, encode_reply
from drivers.ydt1363.codec import Frame, decode
from edge_agent.clock import FakeClock
from edge_agent.driver import DeviceError, LinkTimeout, Quality, Reading, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort

OPTIONS: dict[str, dict[str, object]] = {
    "dd": {},
    "up": {"framing": "up", "address": 7},
    "a5": {"family": "daly"},
    "modbus": {"family": "daly", "framing": "modbus", "address": 2},
    "pylontech": {"family": "ydt1363", "dialect": "pylontech", "address": 2},
    "pace": {"family": "ydt1363", "dialect": "pace", "address": 1},
    "eg4": {"family": "ydt1363", "dialect": "eg4", "address": 1},
    "seplos": {"family": "ydt1363", "dialect": "seplos", "address": 0},
    "seplos_v3": {"family": "seplos_v3", "address": 0},
    "jk": {"family": "jk"},
}
PACK = SimulatedBattery("A", 50.0).pack()
NAMES: list[Name] = ["pylontech", "pace", "eg4", "seplos"]


class Bench:
    """A battery whose answers `spoil` may change, by the question."""

    def __init__(self, options: dict[str, object]) -> None:
        self.options = BmsOptions.model_validate(options)
        self.slot = BmsSimulator(self.options, Site())
        self.driver = Bms(self.options, Site())
        self.spoil: Callable[[bytes, bytes], bytes] = lambda _, answer: answer
        self.asked: list[tuple[Question, bytes]] = []

    def ask(self, question: Question) -> bytes:
        """Stand between the reader and the board; LinkTimeout for silence, DeviceError for anything else."""
        answer = self.spoil(question.request, self.slot.answer(question.request))
        self.asked.append((question, answer))
        if not answer:
            raise LinkTimeout("silence")
        if (found := question.reply.find(answer)) is None:
            raise DeviceError("no valid answer", raw=answer)
        return found

    def read(self) -> Pack:
        """Read once."""
        return self.driver._signed(self.driver._reader.read(self.ask))


@given(st.sampled_from(sorted(OPTIONS)), st.integers(0, 100_000), st.integers(0, 10))
def test_single_bit_errors_are_refused(name: str, bit: int, which: int) -> None:
    """No answer with one flipped bit is accepted, and a whole one is found behind noise and its question's echo."""
    bench = Bench(OPTIONS[name])
    bench.read()
    question, answer = bench.asked[which % len(bench.asked)]
    noisy = b"\x00\xff\xa5\x7e" + question.request + answer + b"\x00"
    assert question.reply.find(noisy) == answer
    assert question.reply.find(question.request) is None
    bad = bytearray(answer)
    bit %= len(bad) * 8
    bad[bit // 8] ^= 1 << bit % 8
    found = question.reply.find(bytes(bad))
    # Small hexadecimal digits, and the other start mark of YD/T 1363, mean the same.
    assert found is None or found.upper().replace(b">", b"~") == answer


@given(st.binary(max_size=120), st.sampled_from(sorted(OPTIONS)))
def test_any_bytes_are_survived(data: bytes, name: str) -> None:
    """No bytes make the search for an answer raise."""
    bench = Bench(OPTIONS[name])
    bench.read()
    for question, answer in bench.asked:
        question.reply.find(data)
        question.reply.find(answer[: len(data)] + data)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_answers_answer_their_own_question(name: str) -> None:
    """No answer is taken for that of another question, unless both questions wait for each other's late answers."""
    bench = Bench(OPTIONS[name])
    bench.read()
    for question, _ in bench.asked:
        for other, answer in bench.asked:
            if question is not other and question.reply.key != other.reply.key:
                assert question.reply.find(answer) is None


@given(
    st.sampled_from(sorted(OPTIONS)),
    st.integers(5, 100),
    st.integers(-1000, 1000).map(lambda tenths: tenths / 10),
    st.integers(1, 100) | st.integers(-30, -1),
)
def test_values_survive_the_wire(name: str, soc: float, current: float, temp: float) -> None:
    """What a board measures is what arrives, to the resolution of the wire."""
    bench = Bench(OPTIONS[name])
    bench.slot.insert("SN", soc, temp_c=temp, current_a=current)
    pack = bench.read()
    assert pack.current_a == pytest.approx(current)
    assert pack.soc_pct == pytest.approx(soc, abs=0.1)
    assert pack.temps_c[0] == temp
    assert len(pack.cells_v) == 16
    assert pack.voltage_v == pytest.approx(sum(pack.cells_v), abs=0.06)


@pytest.mark.parametrize("name", ["dd", "up", "pylontech", "seplos_v3", "jk"])
def test_reversed_current(name: str) -> None:
    """A board that counts discharging up is told the right way round."""
    bench = Bench({**OPTIONS[name], "current_sign": "reversed"})
    bench.slot.measure(soc_pct=50.0, temp_c=20.0, current_a=-4.5)
    assert bench.read().current_a == -4.5


@pytest.mark.parametrize("sent", [4.0, -4.0])
@pytest.mark.parametrize(("mode", "expected"), [("charging", 4.0), ("discharging", -4.0), ("stationary", None)])
def test_daly_tells_the_direction_by_its_mode(sent: float, mode: a5.Mode, expected: float | None) -> None:
    """Whatever sign the board sends, the current flows as its mode says; one that contradicts its mode is not told."""
    bench = Bench({"family": "daly"})
    answers = {
        a5.SUMMARY: a5.reply(a5.SUMMARY, a5.encode_summary(a5.Summary(PACK.voltage_v, sent, 50.0))),
        a5.MODE: a5.reply(
            a5.MODE, a5.encode_state(a5.State(mode, charge_mos=True, discharge_mos=True, remaining_ah=9.0))
        ),
    }
    bench.spoil = lambda request, answer: answers.get(request[2], answer)
    pack = bench.read()
    assert pack.current_a == expected
    reading = {reading.point: reading for reading in pack.readings()}["current_a"]
    assert (reading.quality is Quality.BAD) == (expected is None)


@pytest.mark.parametrize(("sign", "expected"), [("as_sent", 0.8), ("mode", 0.8), ("reversed", -0.8)])
def test_daly_that_stands_still(sign: str, expected: float) -> None:
    """A little current in a battery that calls itself stationary is told as it was sent, or as configured."""
    bench = Bench({"family": "daly", "current_sign": sign})
    summary = a5.reply(a5.SUMMARY, a5.encode_summary(a5.Summary(PACK.voltage_v, 0.8, 50.0)))
    bench.spoil = lambda request, answer: summary if request[2] == a5.SUMMARY else answer
    assert bench.read().current_a == expected


def test_daly_with_stray_bytes_filler_and_frames_out_of_order() -> None:
    """Zeros before frames, filler behind the last cell, unfitted sensors and shuffled frames do no harm."""
    bench = Bench({"family": "daly"})
    counts = a5.reply(a5.COUNTS, a5.encode_counts(a5.Counts(14, 3, 7)))
    cells = a5.numbered([a5.cell_bytes(3.2 + n / 1000) for n in range(15)], 3)
    odd = {
        a5.COUNTS: b"\x00\x00" + counts,
        a5.CELLS: b"".join(a5.reply(a5.CELLS, part) + b"\x00" for part in reversed(cells)),
        a5.TEMPS: a5.reply(a5.TEMPS, bytes((1, 65, 255, 30, 0, 0, 0, 50))),
    }
    bench.spoil = lambda request, answer: odd.get(request[2], answer)
    pack = bench.read()
    assert pack.cells_v == tuple(round(3.2 + n / 1000, 3) for n in range(14))
    assert (pack.temps_c, pack.cycles) == ((25.0, -10.0), 7)
    odd[a5.CELLS] = b"".join(a5.reply(a5.CELLS, part) for part in cells if part[0] != 3)
    with pytest.raises(DeviceError):
        bench.read()


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (a5.COUNTS, bytes((0, 1, 0, 0, 0, 0, 0, 0))),
        (a5.COUNTS, bytes((8, 99, 0, 0, 0, 0, 0, 0))),
        (a5.MODE, b"\x07" * 8),
    ],
)
def test_daly_that_speaks_nonsense(command: int, data: bytes) -> None:
    """No cells, too many sensors and a mode that does not exist are errors."""
    bench = Bench({"family": "daly"})
    bench.spoil = lambda request, answer: a5.reply(command, data) if request[2] == command else answer
    with pytest.raises(DeviceError):
        bench.read()


def test_daly_without_sensors() -> None:
    """A board without temperature sensors is not asked for them."""
    bench = Bench({"family": "daly"})
    counts = a5.reply(a5.COUNTS, a5.encode_counts(a5.Counts(16, 0, 7)))
    bench.spoil = lambda request, answer: counts if request[2] == a5.COUNTS else answer
    assert bench.read().temps_c == ()
    assert a5.TEMPS not in [question.request[2] for question, _ in bench.asked]
    assert bench.driver._reader.serial(bench.ask, "board") is None


def test_daly_answers_under_its_other_unit() -> None:
    """A newer board is asked as 82 and believed as 52, or as 82 by a gateway; counts that cannot be are an error."""
    bench = Bench(OPTIONS["modbus"])
    bench.spoil = lambda _, answer: (
        encode_reply(Reply(0x53, Function.READ_HOLDING_REGISTERS, (0,) * 64, count=64)) or answer
    )
    with pytest.raises(DeviceError, match="no valid answer"):
        bench.read()
    with pytest.raises(DeviceError, match="do not fit"):
        map_daly.decode_values((0,) * 64)
    bench.spoil = lambda _, __: encode_reply(Reply(0x52, Function.READ_HOLDING_REGISTERS, exception=2))
    with pytest.raises(DeviceError, match="exception 2"):
        bench.read()
    assert bench.driver._reader.serial(bench.ask, "board") is None


def test_seplos_v3_odd_boards() -> None:
    """Refusals are errors, unfitted cells and sensors are left out, bigger boards count in tenths of an ampere."""
    bench = Bench({**OPTIONS["seplos_v3"], "current_unit": "0.1"})
    bench.slot.measure(soc_pct=50.0, temp_c=20.0, current_a=3.0)
    assert bench.read().current_a == 30.0
    cells = (3300,) * 15 + (0,) + (2981,) + (2731,) * 9
    fields = v3.decode_cells(cells)
    assert fields == {"cells_v": (3.3,) * 15, "temps_c": (25.0,), "temp_mos_c": None}
    bench.spoil = lambda _, __: encode_reply(Reply(0, Function.READ_INPUT_REGISTERS, exception=2))
    with pytest.raises(DeviceError, match="exception 2"):
        bench.read()
    assert v3.text((0xFFFF,)) == ""


def test_jk_without_values() -> None:
    """An answer without cells or voltage is an error, not a battery of zero volts."""
    bench = Bench(OPTIONS["jk"])
    bench.spoil = lambda _, __: jk.frame(jk.READ_ALL, b"\x85\x10", answer=True)
    with pytest.raises(DeviceError, match="neither cells nor voltage"):
        bench.read()
    assert bench.driver._reader.serial(bench.ask, "label") is None
    old = jk.encode_status(jk.Status((3.3,), voltage_v=3.3, current_a=1.0))[:-2]
    assert jk.decode_status(old).protocol_version == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_dialect_is_found_out(name: Name) -> None:
    """`auto` finds each dialect by what makes sense, keeps to it, and tells which it is."""
    bench = Bench({"family": "ydt1363", "dialect": "auto", "address": 3})
    other = BmsSimulator(BmsOptions.model_validate({"family": "ydt1363", "dialect": name, "address": 3}), Site())
    bench.spoil = lambda request, _: other.answer(request)
    other.measure(soc_pct=40.0, temp_c=20.0, current_a=-2.5)
    assert (pack := bench.read()).dialect == name
    assert (pack.current_a, pack.soc_pct) == (-2.5, 40.0)
    before = len(bench.asked)
    bench.read()
    assert len(bench.asked) == before + 2


def test_an_answer_that_fits_no_dialect_is_an_error() -> None:
    """A pack whose voltage fits its cells in no dialect is not guessed at."""
    bench = Bench({"family": "ydt1363", "dialect": "auto", "address": 3})
    module = Module(3, PACK.cells_v, (2981,), 0.0, 20.0, 10.0, 20.0, 1)
    odd = Frame(0x20, 3, 0x46, 0, encode_module(module, DIALECTS["pylontech"])).encode()
    bench.spoil = lambda _, __: odd
    with pytest.raises(DeviceError, match="fits 0 dialects"):
        bench.read()


@pytest.mark.parametrize("rtn", [0x02, 0x04, 0xE2])
def test_a_refusal_is_an_error(rtn: int) -> None:
    """An RTN that refuses is told as such."""
    bench = Bench(OPTIONS["pace"])
    bench.spoil = lambda request, _: replace(decode(request), cid2=rtn, info=b"").encode()
    with pytest.raises(DeviceError, match=f"refused with RTN {rtn:02X}"):
        bench.read()


def test_a_battery_without_alarms() -> None:
    """One that refuses only the question for its alarms is read, without protections and switches."""
    bench = Bench(OPTIONS["pylontech"])
    bench.spoil = lambda request, answer: (
        replace(decode(request), cid2=0x04, info=b"").encode() if decode(request).cid2 == ALARMS else answer
    )
    pack = bench.read()
    assert (pack.soc_pct, pack.protections, pack.charge_mos) == (80.0, None, None)
    assert "protections" not in {reading.point for reading in pack.readings()}


@pytest.mark.parametrize("change", [{"ver": 0x21}, {"adr": 9}, {"cid1": 0x4F}, {"cid2": 0x42}])
def test_another_batterys_answer_is_no_answer(change: dict[str, int]) -> None:
    """Answers of another version, address or kind of device, and a question's echo, are passed over."""
    bench = Bench(OPTIONS["seplos"])
    bench.read()
    question, answer = bench.asked[0]
    frame = decode(answer)
    other = Frame(**{"ver": frame.ver, "adr": frame.adr, "cid1": frame.cid1, "cid2": 0, "info": frame.info, **change})  # type: ignore[arg-type]
    assert question.reply.find(other.encode()) is None


@pytest.mark.parametrize("name", NAMES)
def test_each_dialect_tells_its_protections(name: Name) -> None:
    """Every protection that a dialect can tell arrives under its name, in one answer with all of them."""
    dialect = DIALECTS[name]
    names = tuple(sorted(known_protections(dialect)))
    alarms = Alarms(1, (0,) * 15, (0,) * 6, (0, 1, 2), names, charge_mos=True, discharge_mos=False, bits=b"")
    found = decode_alarms(encode_alarms(alarms, dialect), dialect)
    assert set(found.protections) == set(names)
    assert (found.charge_mos, found.discharge_mos, found.number) == (True, False, 1)
    for cut in range(len(encode_alarms(alarms, dialect)) - (6 if name == "seplos" else 0) - 1):
        with pytest.raises(DeviceError):
            decode_alarms(encode_alarms(alarms, dialect)[:cut], dialect)


@pytest.mark.parametrize("info", [b"\x00\x01\x00", b"\x00\x01\x21" + b"\x0c" * 70, b"\x00\x01\x01\x0c\xe4\x11"])
def test_analogue_values_that_are_none(info: bytes) -> None:
    """No cells, too many cells and too many sensors are errors in every dialect."""
    for dialect in DIALECTS.values():
        with pytest.raises(DeviceError):
            decode_modules(info, dialect)


@pytest.mark.parametrize("info", [b"\x00\x01\x29" + bytes(60), b"\x00\x01\x01\x07" + bytes(60)])
def test_alarms_that_are_none(info: bytes) -> None:
    """Too many levels, and levels that do not exist, are errors."""
    for dialect in DIALECTS.values():
        with pytest.raises(DeviceError):
            decode_alarms(info, dialect)


def test_seplos_boards_that_say_less() -> None:
    """An older board that stops behind its rated capacity is read as far as it goes; FFFF is no capacity."""
    module = Module(1, PACK.cells_v, (2981,) * 6, 1.0, PACK.voltage_v, 10.0, 20.0, 5, 21.0, 50.0, 99.0)
    info = encode_module(module, DIALECTS["seplos"])
    (told,) = decode_modules(info[:-14], DIALECTS["seplos"])
    assert (told.soc_pct, told.design_ah, told.cycles, told.soh_pct) == (50.0, 21.0, None, None)
    (told,) = decode_modules(info[:-23] + b"\xff\xff\x00", DIALECTS["seplos"])
    assert (told.remaining_ah, told.full_ah) == (None, None)


def test_an_answer_to_one_question_never_answers_the_next() -> None:
    """After a timeout a YD/T 1363 battery is asked nothing until its late answer can no longer come."""
    clock = FakeClock()
    options = BmsOptions.model_validate(OPTIONS["pace"])
    slot = BmsSimulator(options, Site())
    answers: list[bytes] = []

    class Late:
        """Answers each question only when the next one is asked."""

        def answer(self, request: bytes) -> bytes:
            answers.append(slot.answer(request))
            return answers[-2] if len(answers) > 1 else b""

        def play(self) -> tuple[()]:
            return ()

    link = ByteLink("pair", lambda: SimulatedPort([Late()], clock), clock)
    link.open()
    driver = Bms(options, Site())
    with pytest.raises(LinkTimeout):
        list(driver.poll(link))
    started = clock.monotonic()
    told = [record for record in driver.poll(link) if isinstance(record, Reading)]
    assert clock.monotonic() - started > 1.0
    assert {reading.point: reading.value for reading in told}["soc_pct"] == 80.0


def test_commands_are_what_the_vectors_show() -> None:
    """The questions are those of the captures: pack number in INFO, none for an EG4."""
    asked = {}
    for name in NAMES:
        bench = Bench(OPTIONS[name])
        bench.read()
        asked[name] = [decode(question.request) for question, _ in bench.asked]
    assert [frame.cid2 for frame in asked["pace"]] == [ANALOGUE, ALARMS]
    assert asked["pace"][1].encode() == bytes.fromhex("7e3235303134363434453030323031464432450d")
    assert asked["eg4"][1].encode() == bytes.fromhex("7e323030313441343430303030464441300d")
    assert asked["seplos"][0].encode() == bytes.fromhex("7E 32 30 30 30 34 36 34 32 45 30 30 32 30 30 46 44 33 37 0D")
