"""What captured battery frames mean: every vector both ways, other frames of the protocols, and any bytes at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bms import DECODERS, map_daly
from drivers.bms import codec_a5 as a5
from drivers.bms import codec_dd as dd
from drivers.bms import codec_jk as jk
from drivers.bms import codec_up as up
from drivers.bms import map_seplos_v3 as v3
from drivers.bms.map_ydt import DIALECTS, Module, Name, encode_module
from drivers.bms.simulator import SimulatedBattery
from drivers.modbus.codec import Function, Reply, encode_reply, encode_request, seal
from drivers.ydt1363.codec import Frame
from edge_agent.driver import Capture, DeviceError
from tests.drivers import vectors

VECTORS = [vector for vector in vectors.of_driver("bms") if vector.extra["protocol"] in DECODERS]
CONTEXT = ("cell_count_from_94", "tag", "protocol_version")
"""What a vector knows beside its bytes."""
PACK = SimulatedBattery("A", 50.0).pack()
MODULE = Module(2, PACK.cells_v, (2981, 2731, 2631), -2.5, PACK.voltage_v, 70.0, 80.0, 31, 82.0, 87.5, 99.0)


def explain(protocol: str, data: bytes, direction: str = "response", kind: str = "", **options: str) -> dict[str, Any]:
    """Explain one capture."""
    return dict(DECODERS[protocol](Capture(data, direction, kind, options=options)))


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_captured_frames(vector: vectors.Vector) -> None:
    """Every captured frame is explained with all the values it is known to have; a bad one is refused."""
    options = {key: str(vector.decoded[key]) for key in CONTEXT if key in vector.decoded}
    capture = Capture(vector.frame, vector.direction, vector.kind, options=options)
    decoder = DECODERS[vector.extra["protocol"]]
    if not vector.valid:
        with pytest.raises(DeviceError):
            decoder(capture)
        return
    told = decoder(capture)
    assert {key: told.get(key) for key in vector.decoded} == vector.decoded


def test_jbd_frames_beyond_the_captured_ones() -> None:
    """Cells, a refusal, an unknown register and an addressed frame of another area are explained."""
    assert explain("bms_jbd", dd.reply(dd.CELLS, dd.encode_cells((3.3, 3.301))))["cells_v"] == [3.3, 3.301]
    assert explain("bms_jbd", dd.reply(dd.BASIC, b"", status=0x80))["status"] == 0x80
    assert explain("bms_jbd", dd.reply(0xAA, b"\x01\x02"))["data_hex"] == "0102"
    assert explain("bms_jbd", up.reply(3, (0x2000, 0x2010), b"\x05"))["data_hex"] == "05"
    switched = bytes.fromhex("dd5ae1020001ff1c77")
    assert explain("bms_jbd", switched, "request")["charge_mos"] is False


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xdd\x03",
        dd.request(3)[:-1] + b"\x00",
        dd.reply(3, b"\x01") + b"\x77",
        dd.reply(3, b"", status=7),
        dd.reply(3, b"\x00" * 5),
        up.request(1, up.STATUS)[:-1] + b"\x00",
        seal(b"\x01\x78\x10\x00\x10\xa0\x00\x09"),
    ],
    ids=bytes.hex,
)
def test_jbd_frames_that_are_none(data: bytes) -> None:
    """Wrong ends, lengths, sums and statuses are refused."""
    with pytest.raises(DeviceError):
        explain("bms_jbd", data)


def test_jbd_requests_that_are_none() -> None:
    """Neither reading nor writing is refused."""
    with pytest.raises(DeviceError, match="access"):
        explain("bms_jbd", b"\xdd\x11" + dd.request(3)[2:], "request")


@pytest.mark.parametrize(
    ("command", "data", "expected"),
    [
        (a5.SUMMARY, a5.encode_summary(a5.Summary(51.2, -12.3, 99.9)), {"current_raw_a": -12.3, "soc_pct": 99.9}),
        (a5.TEMP_RANGE, bytes((30, 2, 20, 1, 0, 0, 0, 0)), {"max_temp_c": -10, "min_temp_c": -20, "min_sensor": 1}),
        (a5.TEMPS, bytes((1, 30, 255, 0, 0, 0, 0, 0)), {"temps_c": [-10], "frame": 1}),
        (a5.CELLS, bytes((1, 0x0C, 0xE4, 0, 0, 0, 0, 0)), {"cells_v": [3.3]}),
        (a5.FAULTS, a5.encode_faults(("short_circuit",)), {"faults": ["short_circuit"]}),
        (a5.BALANCE, b"\x05\x80" + bytes(6), {"command": 151, "balance_bits": 0x8005}),
        (0x99, bytes(8), {"command": 153, "data_hex": "00" * 8}),
    ],
)
def test_daly_frames_beyond_the_captured_ones(command: int, data: bytes, expected: dict[str, object]) -> None:
    """Every command is explained, temperatures below zero and sensors that are not fitted among them."""
    told = explain("bms_daly", a5.reply(command, data))
    assert {key: told.get(key) for key in expected} == expected


def test_daly_streams() -> None:
    """A stream of numbered answers is put in order and cut at the known number; one with a gap is refused."""
    parts = a5.numbered([a5.cell_bytes(3.3 + n / 1000) for n in range(7)], a5.CELLS_A_FRAME)
    first, second, third = (a5.reply(a5.CELLS, part) for part in parts)
    told = explain("bms_daly", b"\x00" + second + b"\xa5\xff" + first + third, kind="stream", cell_count="7")
    assert (told["frames"], told["cells_v"]) == (3, [3.3, 3.301, 3.302, 3.303, 3.304, 3.305, 3.306])
    assert len(explain("bms_daly", first + second + third, kind="stream")["cells_v"]) == 7
    mixed = a5.reply(a5.SUMMARY, bytes(8)) + a5.reply(a5.COUNTS, bytes(8))
    assert explain("bms_daly", mixed, kind="stream")["commands"] == [a5.SUMMARY, a5.COUNTS]
    for bad in (first + third, first + first, b"\xa5"):
        with pytest.raises(DeviceError):
            explain("bms_daly", bad, kind="stream")
    with pytest.raises(DeviceError, match="no number"):
        explain("bms_daly", first, cell_count="many")


def test_daly_modbus_frames() -> None:
    """Both blocks are explained under the unit that was asked, with or without the request; refusals have a code."""
    counters = Reply(0x52, Function.READ_HOLDING_REGISTERS, map_daly.encode_counters(PACK), count=62)
    told = explain("bms_daly", encode_reply(counters))
    assert (told["answers_unit"], told["mode"], told["remaining_ah"], told["cycles"]) == (0x82, "stationary", 10.0, 12)
    request = encode_request(map_daly.request(2, (0x0100, 62)))
    other = DECODERS["bms_daly"](Capture(encode_reply(counters), request=request))
    assert "mode" not in other
    refused = encode_reply(Reply(0x51, Function.READ_HOLDING_REGISTERS, exception=2))
    assert explain("bms_daly", refused)["exception"] == 2
    with pytest.raises(DeviceError, match="state"):
        explain("bms_daly", encode_reply(Reply(0x51, Function.READ_HOLDING_REGISTERS, (9,) * 62, count=62)))


def test_jk_frames_beyond_the_captured_one() -> None:
    """The question, temperatures below zero, the older current and lists that end at an unknown tag are explained."""
    assert explain("bms_jk", jk.request(), "request")["meaning"] == "read all"
    cold = jk.Status((3.3,), -5.0, (-40.0, 100.0), 3.3, -4.5, 50, 3, 20.0, ("cell_over_voltage",), True, False, 1, "X")
    told = explain("bms_jk", jk.frame(jk.READ_ALL, jk.encode_status(cold), answer=True))
    assert (told["mos_temp_c"], told["temps_c"], told["current_a"]) == (-5.0, [-40.0, 100.0], -4.5)
    assert (told["alarms"], told["charge_mos"], told["discharge_mos"]) == (["cell_over_voltage"], True, False)
    short = explain("bms_jk", jk.frame(jk.READ_ALL, b"\x83\x14\xef\x84\x27\x74\x77\x01\x85\x10", answer=True))
    assert (short["voltage_v"], short["current_a"], "soc_pct" in short) == (53.59, -1.0, False)
    assert explain("bms_jk", b"\x27\x10", kind="field", protocol_version="0")["current_a"] == 0.0
    told = explain("bms_jk", b"\x10", kind="field", tag="0x85")
    assert told == {"tag": 133, "raw": 16, "soc_pct": 16, "protocol_version": 1}
    assert explain("bms_jk", b"\x00\x07", kind="field", tag="143")["raw"] == 7
    for options in ({"tag": "many"}, {"tag": "133"}, {"tag": "-1"}, {"protocol_version": "256"}):
        with pytest.raises(DeviceError):
            explain("bms_jk", b"\x27\x10", kind="field", **options)
    with pytest.raises(DeviceError, match="no list of cells"):
        explain("bms_jk", jk.frame(jk.READ_ALL, b"\x79\x02\x01\x02", answer=True))
    with pytest.raises(DeviceError, match="end"):
        explain("bms_jk", (bad := jk.request())[:-5] + b"\x00" + bad[-4:])


def ydt(info: bytes, name: Name = "pylontech", rtn: int = 0) -> bytes:
    """An answer in a dialect."""
    dialect = DIALECTS[name]
    return Frame(dialect.ver, 2, dialect.cid1, rtn, info).encode()


@pytest.mark.parametrize("name", ["pace", "eg4", "seplos"])
def test_packs_of_any_size(name: Name) -> None:
    """Any number of cells and sensors is explained, cold ones too, in the dialect that VER and CID1 name."""
    for cells, temps in ((4, ()), (8, (2631,)), (19, (2981, 2731, 2631))):
        volts = (3.3,) * cells
        module = Module(1, volts, temps, 1.5, round(3.3 * cells, 2), 70.0, 80.0, 31, 82.0, 87.0, 99.0)
        told = explain("bms_pace_seplos", ydt(encode_module(module, DIALECTS[name]), name))
        assert (told["cells_v"], told["current_a"], told["remaining_ah"]) == (list(volts), 1.5, 70.0)
        assert told["temps_c"] == [round((raw - 2731) / 10, 1) for raw in temps]
        assert told["voltage_v"] == pytest.approx(3.3 * cells)


def test_pylontech_modules() -> None:
    """One module by its number or several behind a master; 16-bit capacities where there are no 24-bit ones."""
    one = encode_module(MODULE, DIALECTS["pylontech"])
    (told,) = explain("bms_pylontech", ydt(one))["modules"]
    assert (told["remaining_ah"], told["total_ah"], told["temps_c"]) == (70.0, 80.0, [25.0, 0.0, -10.0])
    three = explain("bms_pylontech", ydt(b"\x11\x03" + one[2:] * 3))["modules"]
    assert len(three) == 3
    assert three[2] == told
    at = one.index(b"\xff\xff\x04\xff\xff")
    short = one[:at] + b"\x82\xdc\x02\xc3\x50" + one[at + 5 : -6]
    (told,) = explain("bms_pylontech", ydt(short))["modules"]
    assert (told["remaining_ah"], told["total_ah"], told["cycles"]) == (33.5, 50.0, 31)
    two = explain("bms_pace_seplos", ydt(b"\x00\x02" + encode_module(MODULE, DIALECTS["pace"])[2:] * 2, "pace"))
    assert len(two["packs"]) == 2


def test_pylontech_management() -> None:
    """Alarms, parameters, limits, serial numbers and the maker are told apart by what fits, or by the request."""
    fine = bytes.fromhex("0002" + "0f" + "00" * 15 + "05" + "00" * 5 + "000000" + "000e800000")
    told = explain("bms_pylontech", ydt(fine))
    assert (told["command"], told["protections"], told["charge_mos"]) == ("alarm info", [], True)
    bad = bytes.fromhex("0002" + "02" + "0102" + "01" + "f0" + "020102" + "0302000100")
    told = explain("bms_pylontech", ydt(bad))
    assert told["protections"] == ["pack_over_voltage", "cell_under_voltage", "cell_1_fault"]
    assert (told["cell_alarms"], told["temp_alarms"], told["voltage_alarm"]) == ([1, 2], [0xF0], 1)
    parameters = bytes.fromhex("10 0e42 0bb8 0abe 0c99 0aab 03fc d002 b3b0 a7f8 0cd7 0a47 fc18".replace(" ", ""))
    told = explain("bms_pylontech", ydt(parameters))
    assert (told["cell_high_voltage_limit_v"], told["charge_low_temp_limit_c"]) == (3.65, 0.0)
    assert (told["module_high_voltage_limit_v"], told["discharge_current_limit_a"]) == (53.25, -100.0)
    assert told["charge_current_limit_a"] == 102.0
    assert explain("bms_pylontech", ydt(b"\x02PPTBH02400710243"))["serial_number"] == "PPTBH02400710243"
    maker = explain("bms_pylontech", ydt(b"US2KBPL\x00\x00\x00\x02\x04Pylon".ljust(32, b"\x00")))
    assert (maker["text"], maker["manufacturer"], maker["version_bytes"]) == ("US2KBPL", "Pylon", [2, 4])
    assert explain("bms_pylontech", ydt(b"\x05"))["packs"] == 5
    request = Frame(0x20, 2, 0x46, 0x93, b"\x02").encode()
    answered = DECODERS["bms_pylontech"](Capture(ydt(fine), request=request))
    assert answered["info_hex"] == fine.hex()
    asked = explain("bms_pylontech", request, "request")
    assert (asked["meaning"], asked["info_hex"]) == ("serial number", "02")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            "~25014600004C000110000000000000000000000000000000000600000000000000000000000E000000000000EF3A\r",
            {"pack": 1, "protections": [], "charge_mos": True, "discharge_mos": True, "current_alarm": None},
        ),
        (
            "~20014A007054100110000000000000000000000000000000000400000000000000000900000000000003020000000000EDC3\r",
            {"pack": 1, "protections": [], "charge_mos": True, "discharge_mos": True, "current_alarm": 0},
        ),
        ("~20014A00200E07E809110B3B1FFA84\r", {"datetime": "2024-09-17T11:59:31"}),
        ("~25014600E00202FD35\r", {"packs": 2}),
        ("~250146900000FDA5\r", {"info_hex": ""}),
    ],
    ids=["pace alarms", "eg4 alarms", "eg4 time", "pace packs", "a question without its direction"],
)
def test_other_captured_frames(frame: str, expected: dict[str, object]) -> None:
    """Frames of nkinnan/esphome-pace-bms that are not among the vectors are explained too."""
    told = explain("bms_pace_seplos", frame.encode())
    assert {key: told.get(key) for key in expected} == expected


def test_the_makers_example_of_seplos() -> None:
    """The example of syssi/esphome-seplos-bms has the values its source says; the dialect may be named."""
    info = bytes.fromhex(
        "0001100cd70ce90cf40cd60cef0ce50ce10cdc0ce90cf00ce80cef0cea0cda0cde0cd8060ba60ba00b970ba60ba50ba2"
        "fd5c14a0344e0a426803134650004603e8149f0000000000000000"
    )
    told = explain("bms_pace_seplos", ydt(info, "seplos"))
    assert (told["voltage_v"], told["current_a"], told["soc_pct"], told["soh_pct"]) == (52.8, -6.76, 78.7, 100.0)
    assert (told["remaining_ah"], told["full_ah"], told["design_ah"], told["cycles"]) == (133.9, 170.0, 180.0, 70)
    assert told["temps_c"] == [25.1, 24.5, 23.6, 25.1, 25.0, 24.7]
    assert "cells_v" not in explain("bms_pace_seplos", ydt(info, "seplos"), dialect="pylontech")
    with pytest.raises(DeviceError, match="none of"):
        explain("bms_pace_seplos", ydt(info, "seplos"), dialect="volvo")


def test_seplos_v3_frames() -> None:
    """Pack, cells, a bank's summary, texts, events and refusals are told apart."""
    pack = bytes.fromhex(
        "000424 14a1 0000 4e20 4e20 0000 03e8 03e8 0000 0ce4 0b80 0ce6 0ce4 0b82 0b7f 0000 00b4 00b4 03e8"
    )
    told = explain("bms_pace_seplos", seal(pack))
    assert (told["voltage_v"], told["full_ah"], told["soc_pct"], told["unit"]) == (52.81, 200.0, 100.0, 0)
    bank = bytes.fromhex("000434 14a4 0000 ff9c ffff 058c 0000 2710 0000 0003 0000 2710 0000 0001 0000 0000 0000")
    bank += bytes.fromhex("0320 0000 0320 0000 0240 01d0 0001 0003 008e 03e8")
    assert "cells_v" not in explain("bms_pace_seplos", seal(bank))
    assert explain("bms_pace_seplos", bytes.fromhex("0084029301"))["exception"] == 2
    request = encode_request(v3.read(1, v3.BOARD_TEXT))
    text = encode_reply(Reply(1, Function.READ_INPUT_REGISTERS, v3.text_words("SP05B2312190075", v3.BOARD_TEXT)))
    assert DECODERS["bms_pace_seplos"](Capture(text, request=request))["text"] == "SP05B2312190075"
    assert explain("bms_pace_seplos", request, "request")["address"] == 0x1715


@given(st.binary(max_size=80), st.sampled_from(sorted(DECODERS)), st.sampled_from(["request", "response"]))
def test_any_bytes_are_explained_or_refused(data: bytes, protocol: str, direction: str) -> None:
    """Decoders answer or raise DeviceError, whatever they are given, sealed or not."""
    eight = data[:8].ljust(8, b"\x00")
    rest = data[1:] or b"\x01"
    frames = [
        data,
        dd.reply(data[0] if data else 3, rest, 0),
        dd.reply(3, data.ljust(23, b"\x02")),
        up.reply(1, up.STATUS, data),
        up.reply(1, up.PARAMETERS, data),
        *(a5.reply(command, eight) for command in range(0x90, 0x9A)),
        jk.frame(jk.READ_ALL, b"\x79" + data, answer=True),
        seal(bytes((0x51, 3, len(data) & 0xFE)) + data[: len(data) & 0xFE]),
        seal(bytes((1, 4, 52)) + data[:52].ljust(52, b"\x0c")),
        *(ydt(data, name) for name in DIALECTS),
        ydt(data[:6], "pace"),
    ]
    for frame in frames:
        for kind in ("", "stream", "field"):
            try:
                explain(protocol, frame, direction, kind)
            except DeviceError:
                continue
