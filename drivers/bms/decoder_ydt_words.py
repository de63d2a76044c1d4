"""The commands and refusals of YD/T 1363 batteries in words."""

from drivers.bms.map_ydt import Dialect
from drivers.ydt1363.codec import RETURNS, Frame

_COMMON = {
    0x42: "analogue values",
    0x44: "warning information",
    0x45: "remote control",
    0x47: "system parameters",
    0x49: "set system parameters",
    0x4D: "system time",
    0x4E: "set system time",
    0x4F: "protocol version",
    0x51: "manufacturer info",
    0x90: "number of packs",
    0x92: "management info",
    0x93: "serial number",
    0x95: "shut down",
}
_PACE = {
    0x99: "switch command",
    # "Close" may mean to let current through or to stop it: the source does not say.
    0x9A: "charge MOSFET close (source name)",
    0x9B: "discharge MOSFET close (source name)",
    0x9C: "shut down",
    0xB1: "system time",
    0xB2: "set system time",
    0xC1: "hardware version",
    0xC2: "serial number",
}
_MAKERS = {0xE1: "CID1 not valid", 0xE2: "not carried out", 0xE3: "device fault", 0xE4: "no permission"}


def commands(frame: Frame, dialects: list[Dialect]) -> str:
    """Return what a question asks for, "" if that is not known."""
    pace = any(dialect.name == "pace" and dialect.ver == frame.ver for dialect in dialects)
    words = (_COMMON | _PACE if pace else _COMMON).get(frame.cid2, "")
    if frame.cid2 in {0x42, 0x44} and len(frame.info) == 1:
        return f"{words} of all packs" if frame.info == b"\xff" else f"{words} of pack {frame.info[0]}"
    return words


def refusal_meaning(rtn: int) -> str:
    """Return what an RTN other than 00 means."""
    return f"refused: {(RETURNS | _MAKERS).get(rtn, 'code of the maker')}"
