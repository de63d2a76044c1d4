"""Our codecs and simulators against packages of other authors: the same bytes mean the same on both sides.

Vectors hold what somebody captured once; here values and damage are drawn anew in every run. What a package is known
to get wrong stays out of the ranges, and is said where the range is drawn.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from dalybms import DalyBMS
from dlt645 import DLT645Protocol, MeterClientService, MeterServerService
from hypothesis import given, settings
from hypothesis import strategies as st
from pylontech import Pylontech

from drivers.bms import DECODERS
from drivers.bms import codec_a5 as a5
from drivers.bms.map_ydt import ANALOGUE, DIALECTS, KELVIN_ZERO, Module, decode_modules, encode_module
from drivers.bms.options import BmsOptions
from drivers.bms.pack import Pack
from drivers.bms.twins import TWINS, Board
from drivers.dlt645 import DRIVER as METER
from drivers.dlt645 import Options as MeterOptions
from drivers.dlt645 import Simulator as MeterSimulator
from drivers.dlt645 import codec as dlt645
from drivers.dlt645.items import ITEMS_2007, USUAL, Item, identifier
from drivers.ydt1363 import codec as ydt
from edge_agent.clock import FakeClock
from edge_agent.driver import Capture, DeviceError, Reading, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort

PYLONTECH = DIALECTS["pylontech"]
METER_ADDRESS = "000000000161"
PEER_CLIENT = MeterClientService(client=None)
PEER_METER = MeterServerService(server=None, address=bytearray(dlt645.di_bytes(METER_ADDRESS)))
"""The other author's meter and its client, fed by hand; built once: each copies the tables of the whole standard."""
HEX = b"0123456789ABCDEF"


class Wire:
    """A serial port as the packages use it, with `answer` at its other end."""

    is_open = True

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._received = b""

    def write(self, data: bytes) -> int:
        self._received += self._answer(bytes(data))
        return len(data)

    def read(self, size: int) -> bytes:
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def readline(self) -> bytes:
        return self.read(len(self._received))

    def reset_input_buffer(self) -> None:
        self._received = b""

    def reset_output_buffer(self) -> None:
        """Nothing waits to be sent."""


def daly_peer(wire: Wire) -> DalyBMS:
    """Return dalybms on a wire; its own `connect` takes a device file only."""
    peer = DalyBMS(request_retries=1, address=4)
    peer.serial = wire
    return peer


def pylontech_peer(wire: Wire) -> Pylontech:
    """Return python-pylontech on a wire; its constructor opens a device file."""
    peer = object.__new__(Pylontech)
    peer.s = wire
    return peer


def scaled(low: int, high: int, decimals: int) -> st.SearchStrategy[float]:
    """Numbers with so many decimals; the limits are given in counts."""
    return st.integers(low, high).map(lambda count: float(Decimal(count).scaleb(-decimals)))


def damaged(data: bytes, changes: list[tuple[int, int]], first: int = 0) -> bytes:
    """Put bytes into `data`, at places counted round and round from `first`."""
    spoilt = bytearray(data)
    for place, byte in changes:
        spoilt[first + place % (len(data) - first)] = byte
    return bytes(spoilt)


# dalybms reads every word and every byte as signed: 3276.7 V, +276.7 A, 32.767 V a cell, 87 °C and 32767 cycles are
# the most it can tell. Real packs beyond +276.7 A exist; our codec follows the document, where the word is unsigned.
daly_packs = st.builds(
    Pack,
    voltage_v=scaled(0, 32767, 1),
    current_a=scaled(-30000, 2767, 1),
    soc_pct=scaled(0, 1000, 1),
    remaining_ah=scaled(0, 2**31 - 1, 3),
    cycles=st.integers(0, 32767),
    charge_mos=st.booleans(),
    discharge_mos=st.booleans(),
    cells_v=st.lists(scaled(0, 32767, 3), min_size=1, max_size=a5.MAX_CELLS).map(tuple),
    temps_c=st.lists(st.integers(-40, 87).map(float), min_size=1, max_size=a5.MAX_TEMPS).map(tuple),
)


@given(daly_packs)
def test_dalybms_reads_our_board(pack: Pack) -> None:
    """A client of another author reads from our simulated Daly board what the battery measures."""
    options = BmsOptions.model_validate({"family": "daly", "current_sign": "as_sent"})
    peer = daly_peer(Wire(lambda request: TWINS["daly_a5"](Board(options, pack, ""), request)))
    status = peer.get_status()
    assert (status["cells"], status["temperature_sensors"]) == (len(pack.cells_v), len(pack.temps_c))
    assert status["cycles"] == pack.cycles
    assert peer.get_soc() == {
        "total_voltage": pack.voltage_v,
        "current": pack.current_a,
        "soc_percent": pack.soc_pct,
    }
    current = pack.current_a or 0.0
    assert peer.get_mosfet_status() == {
        "mode": "charging" if current > 0 else "discharging" if current < 0 else "stationary",
        "charging_mosfet": pack.charge_mos,
        "discharging_mosfet": pack.discharge_mos,
        "capacity_ah": pack.remaining_ah,
    }
    assert tuple(peer.get_cell_voltages().values()) == pack.cells_v
    assert tuple(peer.get_temperatures().values()) == pack.temps_c


@given(st.binary(min_size=8, max_size=8), st.integers(0, 255), st.lists(st.tuples(st.integers(0), st.integers(0, 255))))
def test_dalybms_sums_like_us(data: bytes, command: int, changes: list[tuple[int, int]]) -> None:
    """What its sum refuses ours refuses, and the other way round; the package itself only logs a wrong sum."""
    spoilt = a5.reply(command, data)[:4] + damaged(a5.reply(command, data)[4:], changes)
    fits = DalyBMS._calc_crc(spoilt[:-1]) == spoilt[-1:]
    try:
        assert a5.decode(spoilt)[2] == spoilt[4:12]
    except DeviceError:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize("host", [4, 8])
def test_dalybms_asks_like_us(host: int) -> None:
    """For RS-485 and for UART both sides put the same question."""
    peer = DalyBMS(address=host)
    for command in range(a5.SUMMARY, a5.FAULTS + 1):
        assert bytes(peer._format_message(f"{command:02x}")) == a5.request(host, command)


@pytest.mark.parametrize("bit", [bit for bit in range(56) if bit not in {1, *range(28, 32)}])
def test_dalybms_levels_of_faults(bit: int) -> None:
    """A fault bit is a warning, a protection, a defect or unused on both sides; it misnames bit 1 and has no 28-31."""
    data = (1 << bit).to_bytes(8, "little")
    (theirs,) = DalyBMS().get_errors(data)
    (ours,) = a5.faults_of(data)
    assert ours.endswith("_2") == ("two" in theirs.lower())
    assert ours.startswith("bit_") == (theirs == "RESERVED")


# python-pylontech reads cells and temperatures as signed words (32.767 V, 3003.6 °C) and divides by the full capacity.
modules = st.builds(
    Module,
    number=st.just(1),
    cells_v=st.lists(scaled(0, 32767, 3), min_size=1, max_size=16).map(tuple),
    temps_dk=st.lists(st.integers(0, 32767), min_size=1, max_size=8).map(tuple),
    current_a=scaled(-32768, 32767, 1),
    voltage_v=scaled(0, 65535, 3),
    remaining_ah=scaled(0, 2**24 - 1, 3),
    full_ah=scaled(1, 2**24 - 1, 3),
    cycles=st.integers(0, 65535),
)
pylontech_packs = modules.map(
    lambda module: Pack(
        voltage_v=module.voltage_v,
        current_a=module.current_a,
        soc_pct=None,
        remaining_ah=module.remaining_ah,
        full_ah=module.full_ah,
        cycles=module.cycles,
        cells_v=module.cells_v,
        temps_c=tuple((raw - KELVIN_ZERO) / 10 for raw in module.temps_dk),
    )
)


@given(pylontech_packs, st.integers(1, 254), st.text("ABCDEFHKPT0123456789", min_size=16, max_size=16))
def test_pylontech_reads_our_battery(pack: Pack, address: int, sn: str) -> None:
    """A client of another author reads values and serial number from our simulated Pylontech battery."""
    options = BmsOptions.model_validate({"family": "ydt1363", "dialect": "pylontech", "address": address})
    peer = pylontech_peer(Wire(lambda request: TWINS["ydt1363"](Board(options, pack, sn), request)))
    values = peer.get_values_single(address)
    assert values.NumberOfModule == address
    assert tuple(values.CellVoltages) == pack.cells_v
    assert (values.AverageBMSTemperature, *values.GroupedCellsTemperatures) == pack.temps_c
    assert (values.Current, values.Voltage) == (pack.current_a, pack.voltage_v)
    assert (values.RemainingCapacity, values.TotalCapacity) == (pack.remaining_ah, pack.full_ah)
    assert values.CycleNumber == pack.cycles
    assert peer.get_module_serial_number(address).ModuleSerialNumber == sn.encode()


@given(st.lists(modules, min_size=1, max_size=6), st.booleans())
def test_pylontech_reads_many_modules_like_us(packs: list[Module], small: bool) -> None:
    """An answer for all batteries behind a master is taken apart alike, with capacities in 24 bits or in 16."""
    parts = [encode_module(module, PYLONTECH)[2:] for module in packs]
    if small:  # Two user-defined items: the capacities stand in the 16-bit fields, and nothing follows the cycles.
        parts = [part[:-13] + b"\x12\x34\x02\x56\x78" + part[-8:-6] for part in parts]
    info = bytes((0, len(parts))) + b"".join(parts)
    theirs, ours = Pylontech.get_values_fmt.parse(info[1:]).Module, decode_modules(info, PYLONTECH)
    assert [(tuple(module.CellVoltages), module.Current, module.Voltage, module.CycleNumber) for module in theirs] == [
        (module.cells_v, module.current_a, module.voltage_v, module.cycles) for module in ours
    ]
    assert [(module.RemainingCapacity, module.TotalCapacity) for module in theirs] == [
        (module.remaining_ah, module.full_ah) for module in ours
    ]
    temps = [(module.AverageBMSTemperature, *module.GroupedCellsTemperatures) for module in theirs]
    assert temps == [module.temps_c() for module in ours]


@given(st.binary(min_size=24, max_size=24))
def test_pylontech_limits_are_read_alike(words: bytes) -> None:
    """The limits a battery protects itself at, and those it asks of the charger, mean the same on both sides."""
    theirs = Pylontech.system_parameters_fmt.parse(words)
    ours = told(0x47, b"\x10" + words)
    for part, what in (("Charge", "Cell"), ("Discharge", "Module")):
        low = part.lower()
        for name in ("High", "Low"):
            assert ours[f"{what.lower()}_{name.lower()}_voltage_limit_v"] == theirs[f"{what}{name}VoltageLimit"]
        assert ours[f"{low}_current_limit_a"] == theirs[f"{part}CurrentLimit"]
    limits = Pylontech.management_info_fmt.parse(words[:9])
    asked = told(0x92, b"\x02" + words[:9])
    assert asked["charge_voltage_limit_v"] == limits.ChargeVoltageLimit
    assert asked["discharge_voltage_limit_v"] == limits.DischargeVoltageLimit
    assert asked["charge_current_limit_a"] == limits.ChargeCurrentLimit
    assert asked["discharge_current_limit_a"] == limits.DischargeCurrentLimit
    assert asked["charge_enable"] == limits.status.ChargeEnable
    assert asked["discharge_enable"] == limits.status.DischargeEnable
    assert asked["charge_immediately"] == (limits.status.ChargeImmediately1 or limits.status.ChargeImmediately2)
    assert asked["full_charge_request"] == limits.status.FullChargeRequest


def told(command: int, info: bytes) -> dict[str, Any]:
    """What our decoder says of an answer to a command."""
    question = ydt.Frame(PYLONTECH.ver, 2, PYLONTECH.cid1, command, b"\x02").encode()
    answer = ydt.Frame(PYLONTECH.ver, 2, PYLONTECH.cid1, ydt.OK, info).encode()
    return dict(DECODERS["bms_pylontech"](Capture(answer, request=question)))


@given(
    st.binary(max_size=60),
    st.integers(0, 255),
    st.lists(st.tuples(st.integers(0), st.sampled_from(HEX)), max_size=4),
)
def test_pylontech_refuses_like_us(info: bytes, address: int, changes: list[tuple[int, int]]) -> None:
    """Digits changed in INFO or CHKSUM are refused by both or by neither; their check sees no more of a frame."""
    whole = ydt.Frame(0x20, address, PYLONTECH.cid1, ydt.OK, info).encode()
    spoilt = damaged(whole[:-1], changes, first=13) + whole[-1:]
    peer = pylontech_peer(Wire(lambda _: b""))
    try:
        theirs = peer._decode_frame(peer._decode_hw_frame(spoilt))
    except AssertionError:
        with pytest.raises(DeviceError, match="checksum"):
            ydt.decode(spoilt)
        return
    ours = ydt.decode(spoilt)
    assert (theirs.adr[0], theirs.cid2[0], theirs.info) == (ours.adr, ours.cid2, ours.info)


@given(st.integers(0, 255), st.binary(max_size=2))
def test_pylontech_asks_like_us(address: int, info: bytes) -> None:
    """Both sides put the same question, LCHKSUM and CHKSUM included."""
    theirs = pylontech_peer(Wire(lambda _: b""))._encode_cmd(address, ANALOGUE, info.hex().upper().encode())
    assert theirs == ydt.Frame(PYLONTECH.ver, address, PYLONTECH.cid1, ANALOGUE, info).encode()


def counts_of(item: Item) -> st.SearchStrategy[float]:
    """Values of a width that both sides can tell: dlt645 takes the top bit for a sign everywhere, energies too."""
    most = 8 * 10 ** (2 * item.size - 1) - 1
    return scaled(-most if item.signed else 0, most, item.decimals)


@settings(max_examples=20)
@pytest.mark.parametrize("di", ITEMS_2007)
@given(data=st.data())
def test_dlt645_reads_our_meter(di: str, data: st.DataObject) -> None:
    """A client of another author reads from our simulated meter what it shows, every identifier we know."""
    value = data.draw(counts_of(ITEMS_2007[di]))
    meter = MeterSimulator(MeterOptions(address=METER_ADDRESS), Site())
    meter.set(ITEMS_2007[di].point, value)
    request = DLT645Protocol.build_frame(dlt645.di_bytes(METER_ADDRESS), dlt645.READ_2007, dlt645.di_bytes(di))
    PEER_CLIENT.address = bytearray(dlt645.di_bytes(METER_ADDRESS))
    told = PEER_CLIENT.handle_response(DLT645Protocol.deserialize(meter.answer(bytes(request))))
    assert (told.di, told.value) == (int(di, 16), value)


class PeerMeter:
    """The other author's meter on our wire."""

    def answer(self, request: bytes) -> bytes:
        """Answer as it does."""
        return bytes(PEER_METER.handle_request(DLT645Protocol.deserialize(request)))

    def play(self) -> tuple[()]:
        """Nothing comes unasked."""
        return ()


@given(st.data())
def test_our_driver_reads_their_meter(data: st.DataObject) -> None:
    """Our driver polls a meter of another author and tells every value it was set to."""
    shown: dict[str, float] = {}
    for point in USUAL:
        di = identifier("2007", point) or ""
        item = ITEMS_2007[di]
        # The package holds a power factor below 1; the rest is what a sound meter can tell.
        high = min(item.high, 0.999) if point == "power_factor" else min(item.high, 79.9999 if item.size == 3 else 1e6)
        low = max(item.low, -high)
        scale = 10**item.decimals
        shown[point] = data.draw(scaled(round(low * scale), min(round(high * scale), 79999999), item.decimals))
        write = PEER_METER.set_00 if di.startswith("00") else PEER_METER.set_02
        assert write(int(di, 16), shown[point])
    clock = FakeClock()
    link = ByteLink("wire", lambda: SimulatedPort([PeerMeter()], clock), clock)
    link.open()
    records = METER(MeterOptions(address=METER_ADDRESS), Site()).poll(link)
    told = {record.point: record.value for record in records if isinstance(record, Reading) and record.point in shown}
    assert told == shown


@given(
    st.integers(0, 10**12 - 1).map(lambda number: f"{number:012d}"),
    st.integers(0, 255),
    st.binary(max_size=60),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3),
)
def test_dlt645_refuses_like_us(
    address: str, control: int, data: bytes, wake: int, changes: list[tuple[int, int]]
) -> None:
    """Built alike, then damaged behind the waking bytes: taken for one whole frame by both, or by neither."""
    whole = dlt645.Frame(address, control, data).encode(wake)
    assert whole == DLT645Protocol.build_frame(dlt645.di_bytes(address), control, data, wake)
    spoilt = damaged(whole, changes, first=wake)
    rest, theirs = DLT645Protocol.deserialize_with_remaining(spoilt)
    try:
        ours = dlt645.decode(spoilt)
    except DeviceError:
        # The package searches on behind a damaged start; what it finds there is not the whole.
        assert theirs is None or rest or len(DLT645Protocol.serialize(theirs)) < len(spoilt)
        return
    assert theirs is not None
    assert not rest
    assert (theirs.addr[::-1].hex().upper(), theirs.ctrl_code, bytes(theirs.data)) == (
        ours.address, ours.control, ours.data
    )  # fmt: skip
