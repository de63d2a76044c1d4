"""Reads a battery that speaks one of the YD/T 1363 dialects."""

from collections.abc import Callable
from dataclasses import replace

from drivers.bms.map_ydt import ALARMS, ANALOGUE, DIALECTS, Dialect, Module, Name, decode_modules
from drivers.bms.map_ydt_alarms import decode_alarms
from drivers.bms.pack import Pack
from drivers.bms.reader import Ask, Question, Source
from drivers.ydt1363.codec import OK, Frame, decode, find
from edge_agent.driver import DeviceError, LinkTimeout, ReplyShape

REFUSALS = frozenset((*range(0x01, 0x0A), *range(0xE1, 0xE5)))
"""RTN of a refusal; other values cannot be told from the CID2 of a question that came back as an echo."""
_SIX = 6
_QUESTIONS: tuple[Name, ...] = ("seplos", "pace", "eg4")
"""Dialects whose questions differ; Pylontech's is that of Seplos."""


class _Refused(DeviceError):  # noqa: N818  (what the battery did; the base already says Error)
    """The battery answered with an RTN that refuses."""


class YdtReader:
    """Two questions: analogue values and alarms.

    With `auto` it asks in one dialect after the other until one is answered, and tells by voltage and cells which one
    that was; an answer that fits none, or more than one, is an error.
    """

    def __init__(self, dialect: Name | None, address: int) -> None:
        """Take None for `auto`."""
        self._fixed = dialect
        self._address = address
        self._asked = [DIALECTS[name] for name in ((dialect,) if dialect else _QUESTIONS)]
        self._spoken = self._asked[0]

    def read(self, ask: Ask) -> Pack:
        """See Reader."""
        frame = self._analogue(ask)
        candidates = [DIALECTS[self._fixed]] if self._fixed else list(DIALECTS.values())
        readings = read_as(frame, candidates)
        if not self._fixed:
            readings = [(dialect, module) for dialect, module in readings if module.is_plausible()]
        if len(readings) != 1:
            raise DeviceError(
                f"the answer fits {len(readings)} dialects", op="42", raw=frame.encode(), hint="set dialect"
            )
        self._spoken, module = readings[0]
        pack = replace(pack_of(module, self._spoken), dialect=None if self._fixed else self._spoken.name)
        try:
            alarms = decode_alarms(self._ask(ask, self._spoken, ALARMS, self._is_alarms).info, self._spoken)
        except _Refused:
            # A battery that does not know this command still tells everything else.
            return replace(pack, protections=None)
        return replace(
            pack,
            protections=alarms.protections,
            charge_mos=alarms.charge_mos,
            discharge_mos=alarms.discharge_mos,
        )

    def serial(self, ask: Ask, source: Source) -> str | None:
        """See Reader: PACE and Pylontech tell one."""
        del source
        if not self._spoken.serial:
            return None
        info = self._ask(ask, self._spoken, self._spoken.serial, _is_text).info
        return text_of(info[1:] if self._spoken.name == "pylontech" else info) or None

    def _analogue(self, ask: Ask) -> Frame:
        """Ask in every dialect that may be spoken, the one that was answered last first; LinkTimeout if in none."""
        for dialect in self._asked[:-1]:
            try:
                frame = self._ask(ask, dialect, ANALOGUE, _is_analogue)
            except LinkTimeout:
                self._asked = [*self._asked[1:], dialect]
            else:
                return frame
        return self._ask(ask, self._asked[0], ANALOGUE, _is_analogue)

    def _is_alarms(self, info: bytes) -> bool:
        decode_alarms(info, self._spoken)
        return True

    def _ask(self, ask: Ask, dialect: Dialect, cid2: int, fits: Callable[[bytes], bool]) -> Frame:
        """Ask, and raise DeviceError if the battery refuses.

        An answer does not say which command it answers, so all questions to one battery share a key.
        """
        who = (dialect.ver, self._address, dialect.cid1)
        info = bytes((self._address,)) if dialect.numbered else b""

        def answers(frame: Frame) -> bool:
            if (frame.ver, frame.adr, frame.cid1) != who:
                return False
            try:
                return frame.cid2 in REFUSALS or (frame.cid2 == OK and fits(frame.info))
            except DeviceError:
                return False

        shape = ReplyShape(("ydt1363", who), lambda received: find(received, answers))
        frame = decode(ask(Question(Frame(*who, cid2, info).encode(), shape)))
        if frame.cid2 != OK:
            raise _Refused(f"refused with RTN {frame.cid2:02X}", op=f"{cid2:02X}", raw=frame.encode())
        return frame


def read_as(frame: Frame, dialects: list[Dialect]) -> list[tuple[Dialect, Module]]:
    """Return what the analogue values mean in each of `dialects` in which they mean something."""
    found = []
    for dialect in dialects:
        if (frame.ver, frame.cid1) == (dialect.ver, dialect.cid1):
            try:
                found.append((dialect, decode_modules(frame.info, dialect)[0]))
            except DeviceError:
                continue
    return found


def pack_of(module: Module, dialect: Dialect) -> Pack:
    """Return a module as a battery; a dialect without a state of charge has remaining ÷ full."""
    temps = list(module.temps_c())
    mos = temps.pop(dialect.temp_mos) if dialect.temp_mos >= 0 and len(temps) == _SIX else None
    soc = module.soc_pct
    if soc is None and module.remaining_ah is not None and module.full_ah:
        soc = round(100 * module.remaining_ah / module.full_ah, 1)
    return Pack(
        voltage_v=module.voltage_v,
        current_a=module.current_a,
        soc_pct=soc,
        remaining_ah=module.remaining_ah,
        full_ah=module.full_ah,
        cycles=module.cycles,
        cells_v=module.cells_v,
        temps_c=tuple(temps),
        temp_mos_c=mos,
        soh_pct=module.soh_pct,
    )


def text_of(info: bytes) -> str:
    """Return a text without its padding, "" if it is not printable ASCII."""
    text = info.split(b"\x00", 1)[0].decode("latin-1").strip()
    return text if text.isascii() and text.isprintable() else ""


def _is_analogue(info: bytes) -> bool:
    for dialect in DIALECTS.values():
        try:
            decode_modules(info, dialect)
        except DeviceError:
            continue
        return True
    return False


def _is_text(info: bytes) -> bool:
    return bool(text_of(info) or text_of(info[1:]))
