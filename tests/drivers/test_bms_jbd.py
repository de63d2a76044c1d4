"""Batteries behind JBD boards: captured frames of both framings, and what becomes of damaged ones."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bms import codec_dd as dd
from drivers.bms import codec_up as up
from drivers.bms.simulator import SimulatedBattery
from edge_agent.driver import DeviceError
from tests.drivers import vectors

FOLDER = Path(dd.__file__).parent / "vectors"
DD = list(vectors.load(FOLDER / "bms_jbd.jsonl"))
UP = list(vectors.load(FOLDER / "bms_jbd_up.jsonl"))
PACK = SimulatedBattery("A", 50.0).pack()


@pytest.mark.parametrize(
    "vector", [v for v in DD if v.direction == "request" and v.decoded.get("access") == "read"], ids=str
)
def test_dd_questions(vector: vectors.Vector) -> None:
    """Questions are byte for byte those captured."""
    assert dd.request(vector.decoded["register"]) == vector.frame


@pytest.mark.parametrize("vector", [v for v in DD if v.direction == "response"], ids=str)
def test_dd_answers(vector: vectors.Vector) -> None:
    """Every captured answer decodes to its values, found behind noise and an echo."""
    register = vector.decoded["register"]
    frame = dd.find_reply(b"\xdd\x03\xff" + dd.request(register) + vector.frame + b"\x00", register)
    assert frame == vector.frame
    data = dd.data_of(frame)
    if register == dd.NAME:
        assert data.decode() == vector.decoded["text"]
        return
    basic = dd.decode_basic(data)
    names = dd.protections(basic.protection_bits)
    expected = dict(vector.decoded)
    assert expected.pop("register") == dd.BASIC
    assert len(names) == expected.pop("protection_count", len(names))
    assert list(names) == expected.pop("protections", list(names))
    expected.pop("charging", None)
    for key, value in expected.items():
        found = getattr(basic, key)
        assert found == (tuple(value) if isinstance(value, list) else value), key


@pytest.mark.parametrize("vector", UP, ids=str)
def test_up_frames(vector: vectors.Vector) -> None:
    """Every captured frame of two boards on one bus decodes to its values; a damaged one is refused."""
    area = (int.from_bytes(vector.frame[2:4], "big"), int.from_bytes(vector.frame[4:6], "big"))
    address = vector.frame[0]
    if vector.direction == "request":
        assert up.request(address, area) == vector.frame
        assert up.find_reply(vector.frame, address, area) is None
        return
    frame = up.find_reply(b"\x01" + up.request(address, area) + vector.frame + b"\x00", address, area)
    if not vector.valid:
        assert frame is None
        return
    assert frame == vector.frame
    found = (up.decode_status if area == up.STATUS else up.decode_parameters)(up.data_of(frame))
    for key, value in vector.decoded.items():
        if key not in {"framing", "unit", "start"}:
            field = "temp_mos_c" if key == "mos_temp_c" else key
            assert getattr(found, field) == (tuple(value) if isinstance(value, list) else value), key


@given(st.binary(max_size=120))
def test_any_bytes_are_survived(data: bytes) -> None:
    """Garbage is no frame, and a checked frame with nonsense inside is a DeviceError."""
    assert up.find_reply(data, 1, up.STATUS) is None
    dd.find_reply(data, dd.BASIC)
    for decode in (dd.decode_basic, dd.decode_cells, up.decode_status, up.decode_parameters):
        try:
            decode(data)
        except DeviceError:
            continue


@given(st.integers(0, 10_000), st.sampled_from(["dd", "up"]))
def test_single_bit_errors_are_refused(bit: int, framing: str) -> None:
    """No answer with one flipped bit is accepted."""
    pack = SimulatedBattery("A", 50.0).pack()
    cells, status = dd.encode_cells(pack.cells_v), up.encode_status(pack)
    frame = bytearray(dd.reply(dd.CELLS, cells) if framing == "dd" else up.reply(1, up.STATUS, status))
    bit %= len(frame) * 8
    frame[bit // 8] ^= 1 << bit % 8
    bad = bytes(frame)
    assert (dd.find_reply(bad, dd.CELLS) if framing == "dd" else up.find_reply(bad, 1, up.STATUS)) is None


@given(
    st.floats(0, 100).map(lambda v: round(v, 2)),
    st.floats(-200, 200).map(lambda v: round(v, 2)),
    st.floats(-30, 100).map(lambda v: round(v, 1)),
)
def test_values_survive_the_wire(soc: float, current: float, temp: float) -> None:
    """What a board measures is what arrives, to the resolution of the wire."""
    pack = SimulatedBattery("A", soc, temp, current).pack()
    back = up.decode_status(up.encode_status(pack))
    assert back == replace(pack, production_date=None, temps_c=back.temps_c)
    assert back.temps_c == pytest.approx(pack.temps_c)


def test_impossible_dates_are_absent() -> None:
    """A date that does not exist is no date."""
    basic = dd.decode_basic(bytes(23))
    assert basic.production_date is None
    assert dd.decode_basic(dd.encode_basic(basic)) == basic
    parameters = up.Parameters("A", None, "", None)
    assert up.decode_parameters(up.encode_parameters(parameters)) == parameters


def test_unknown_bits_have_names() -> None:
    """A protection nobody has named yet still shows."""
    assert dd.protections(0x8001) == ("cell_over_voltage", "bit_15")
    data = bytearray(up.encode_status(PACK))
    data[24] = 0x80
    assert up.decode_status(bytes(data)).protections == ("bit_31",)
