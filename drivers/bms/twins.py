"""The boards of each family seen from the other end of their wire: what they answer to a question."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from drivers.bms import codec_a5 as a5
from drivers.bms import codec_dd as dd
from drivers.bms import codec_jk as jk
from drivers.bms import codec_up as up
from drivers.bms import map_daly
from drivers.bms import map_seplos_v3 as seplos
from drivers.bms.map_ydt import ALARMS, ANALOGUE, DIALECTS, KELVIN_ZERO, Dialect, Module, encode_module
from drivers.bms.map_ydt_alarms import Alarms, encode_alarms
from drivers.bms.options import BmsOptions, Kind
from drivers.bms.pack import Pack
from drivers.modbus.codec import Function, Reply, Request, decode_request, encode_reply
from drivers.ydt1363.codec import OK, Frame, decode
from edge_agent.driver import DeviceError


@dataclass(frozen=True, slots=True)
class Board:
    """A board with a battery behind it."""

    options: BmsOptions
    pack: Pack
    sn: str

    @property
    def address(self) -> int:
        """Its address, 0 if its frames carry none."""
        return self.options.address or 0

    @property
    def sent(self) -> Pack:
        """The battery with its current as this board sends it: one that says its mode may count either way."""
        current = self.pack.current_a or 0.0
        return replace(self.pack, current_a=current if self.options.sign == "as_sent" else 0.0 - current)

    def sent_current(self) -> float:
        """Return the current alone."""
        return self.sent.current_a or 0.0


def _jbd_dd(board: Board, request: bytes) -> bytes:
    pack = board.pack
    if request == dd.request(dd.BASIC):
        basic = dd.Basic(
            voltage_v=pack.voltage_v,
            current_a=board.sent_current(),
            remaining_ah=pack.remaining_ah or 0.0,
            nominal_ah=pack.full_ah or 0.0,
            cycles=pack.cycles or 0,
            production_date=pack.production_date,
            balance_bits=0,
            protection_bits=sum(1 << dd.PROTECTIONS.index(name) for name in pack.protections or ()),
            software_version="8.0",
            soc_pct=round(pack.soc_pct or 0.0),
            charge_mos=bool(pack.charge_mos),
            discharge_mos=bool(pack.discharge_mos),
            cell_count=len(pack.cells_v),
            temps_c=pack.temps_c,
        )
        return dd.reply(dd.BASIC, dd.encode_basic(basic))
    if request == dd.request(dd.CELLS):
        return dd.reply(dd.CELLS, dd.encode_cells(pack.cells_v))
    if request == dd.request(dd.NAME):
        return dd.reply(dd.NAME, board.sn.encode("ascii"))
    return b""


def _jbd_up(board: Board, request: bytes) -> bytes:
    if request == up.request(board.address, up.STATUS):
        return up.reply(board.address, up.STATUS, up.encode_status(board.sent))
    if request == up.request(board.address, up.PARAMETERS):
        numbers = up.Parameters(board.sn, "2025-04-17", "JBD48100000", "2025-03-18")
        return up.reply(board.address, up.PARAMETERS, up.encode_parameters(numbers))
    return b""


def _daly_a5(board: Board, request: bytes) -> bytes:
    pack, current = board.pack, board.pack.current_a or 0.0
    try:
        address, command, _ = a5.decode(request)
    except DeviceError:
        return b""
    if address != int(board.options.host) << 4:
        return b""
    mode: a5.Mode = "charging" if current > 0 else "discharging" if current < 0 else "stationary"
    single = {
        a5.SUMMARY: a5.encode_summary(a5.Summary(pack.voltage_v, board.sent_current(), pack.soc_pct or 0.0)),
        a5.MODE: a5.encode_state(
            a5.State(mode, bool(pack.charge_mos), bool(pack.discharge_mos), pack.remaining_ah or 0.0)
        ),
        a5.COUNTS: a5.encode_counts(a5.Counts(len(pack.cells_v), len(pack.temps_c), pack.cycles or 0)),
        a5.FAULTS: a5.encode_faults(pack.protections or ()),
    }
    if command in single:
        return a5.reply(command, single[command])
    several = {
        a5.CELLS: a5.numbered([a5.cell_bytes(cell) for cell in pack.cells_v], a5.CELLS_A_FRAME),
        a5.TEMPS: a5.numbered([a5.temp_bytes(temp) for temp in pack.temps_c], a5.TEMPS_A_FRAME),
    }
    return b"".join(a5.reply(command, data) for data in several.get(command, []))


def _daly_modbus(board: Board, request: bytes) -> bytes:
    asked = _asked(request)
    if asked is None or asked.unit != map_daly.ASK_BASE + board.address:
        return b""
    blocks = {
        map_daly.VALUES: map_daly.encode_values(board.pack),
        map_daly.COUNTERS: map_daly.encode_counters(board.pack),
    }
    return _registers(asked, blocks, unit=map_daly.REPLY_BASE + board.address)


def _seplos_v3(board: Board, request: bytes) -> bytes:
    asked = _asked(request)
    if asked is None or asked.unit != board.address:
        return b""
    if asked == seplos.read_events(asked.unit):
        coils = seplos.encode_events(board.pack)
        return encode_reply(Reply(asked.unit, asked.function, coils, count=len(coils)))
    blocks = {
        seplos.PACK: seplos.encode_pack(board.sent),
        seplos.CELLS: seplos.encode_cells(board.pack),
        seplos.BOARD_TEXT: seplos.text_words(board.sn, seplos.BOARD_TEXT),
        seplos.PACK_TEXT: seplos.text_words("PACK", seplos.PACK_TEXT),
    }
    return _registers(asked, blocks, unit=asked.unit)


def _jk(board: Board, request: bytes) -> bytes:
    if request != jk.request():
        return b""
    pack = board.pack
    status = jk.Status(
        cells_v=pack.cells_v,
        mos_temp_c=pack.temp_mos_c,
        temps_c=pack.temps_c,
        voltage_v=pack.voltage_v,
        current_a=board.sent_current(),
        soc_pct=round(pack.soc_pct or 0.0),
        cycles=pack.cycles,
        capacity_ah=pack.full_ah,
        alarms=pack.protections or (),
        charge_mos=pack.charge_mos,
        discharge_mos=pack.discharge_mos,
        name=board.sn,
    )
    return jk.frame(jk.READ_ALL, jk.encode_status(status), answer=True)


def _ydt1363(board: Board, request: bytes) -> bytes:
    """Answer in the configured dialect; a battery found by `auto` is a Seplos."""
    chosen = board.options.dialect
    dialect = DIALECTS["seplos" if chosen in {None, "auto"} else chosen]  # type: ignore[index]
    try:
        asked = decode(request)
    except DeviceError:
        return b""
    info = bytes((board.address,)) if dialect.numbered else b""
    if (asked.ver, asked.adr, asked.cid1, asked.info) != (dialect.ver, board.address, dialect.cid1, info):
        return b""
    answers = {ANALOGUE: _analogue, ALARMS: _alarms, dialect.serial: _serial}
    if asked.cid2 not in answers:
        return b""
    return Frame(asked.ver, asked.adr, asked.cid1, OK, answers[asked.cid2](board, dialect)).encode()


def _temps(pack: Pack, dialect: Dialect) -> list[float]:
    """Two sensors, or six where the dialect has them: four at the cells, surroundings and MOSFETs."""
    temps = list(pack.temps_c)
    if dialect.temp_mos >= 0:
        temps = [*temps, *temps, pack.temps_c[0]]
        temps.insert(dialect.temp_mos, pack.temp_mos_c or 0.0)
    return temps


def _analogue(board: Board, dialect: Dialect) -> bytes:
    pack = board.pack
    module = Module(
        number=board.address,
        cells_v=pack.cells_v,
        temps_dk=tuple(round(temp * 10) + KELVIN_ZERO for temp in _temps(pack, dialect)),
        current_a=board.sent_current(),
        voltage_v=pack.voltage_v,
        remaining_ah=pack.remaining_ah,
        full_ah=pack.full_ah,
        cycles=pack.cycles,
        design_ah=pack.full_ah,
        soc_pct=pack.soc_pct,
        soh_pct=pack.soh_pct,
    )
    return encode_module(module, dialect)


def _alarms(board: Board, dialect: Dialect) -> bytes:
    pack = board.pack
    alarms = Alarms(
        number=board.address,
        cells=(0,) * len(pack.cells_v),
        temps=(0,) * len(_temps(pack, dialect)),
        levels=(0, 0, 0),
        protections=pack.protections or (),
        charge_mos=bool(pack.charge_mos),
        discharge_mos=bool(pack.discharge_mos),
        bits=b"",
    )
    return encode_alarms(alarms, dialect)


def _serial(board: Board, dialect: Dialect) -> bytes:
    text = board.sn.encode("ascii")
    return bytes((board.address,)) + text.ljust(16, b"\x00") if dialect.name == "pylontech" else text.ljust(40)


def _asked(request: bytes) -> Request | None:
    try:
        return decode_request(request)
    except DeviceError:
        return None


def _registers(asked: Request, blocks: Mapping[tuple[int, int], tuple[int, ...]], *, unit: int) -> bytes:
    reads = {Function.READ_HOLDING_REGISTERS, Function.READ_INPUT_REGISTERS}
    values = blocks.get((asked.address, asked.count))
    if asked.function not in reads or values is None:
        return b""
    return encode_reply(Reply(unit, asked.function, values, count=len(values)))


TWINS: Mapping[Kind, Callable[[Board, bytes], bytes]] = {
    "jbd_dd": _jbd_dd,
    "jbd_up": _jbd_up,
    "daly_a5": _daly_a5,
    "daly_modbus": _daly_modbus,
    "ydt1363": _ydt1363,
    "seplos_v3": _seplos_v3,
    "jk": _jk,
}
