"""What a captured DL/T 645 frame means, in words and numbers."""

from itertools import accumulate

from drivers.dlt645 import codec
from drivers.dlt645.codec import Frame
from drivers.dlt645.items import ITEMS_1997, ITEMS_2007, Item
from edge_agent.driver import Capture, DeviceError, Json

OPTIONS = {"sign": ("top_bit", "none")}
_FUNCTION = 0x1F
_READ_ON = 0x12
"""Read what follows, edition 2007: the data end with the number of the part."""
_FUNCTIONS_1997 = frozenset({0x01, 0x02, 0x03, 0x04, 0x0A, 0x0C, 0x0F})
_WITH_IDENTIFIER = frozenset({codec.READ_2007, _READ_ON, codec.READ_1997, 0x02})
"""Functions whose data begins with a data identifier: read, and read what follows."""


def explain(capture: Capture) -> dict[str, Json]:
    """Explain one frame; option `sign` = `none` takes the top bit of a value as a digit. Raises DeviceError."""
    frame = codec.decode(capture.data)
    meaning: dict[str, Json] = {"address": frame.address, "control": frame.control}
    if frame.control & codec.MORE:
        meaning["more_follows"] = True
    function = frame.control & _FUNCTION
    if frame.control & codec.ANSWER and frame.control & codec.REFUSAL:
        if frame.data:
            meaning |= {"error_byte": frame.data[0], "meaning": codec.refusal(frame.data)}
        return meaning
    if function == codec.READ_ADDRESS:
        if len(frame.data) == 6:
            meaning["address_in_data"] = codec.di_hex(frame.data)
        return meaning
    if function in _WITH_IDENTIFIER:
        return meaning | _value(frame, function, sign=capture.options.get("sign") != "none")
    return meaning | {"data_hex_minus_33": frame.data.hex()}


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first whole, checked frame of a direction."""
    answer = codec.ANSWER if direction == "response" else 0
    return codec.find(data, lambda frame: frame.control & codec.ANSWER == answer)


def _value(frame: Frame, function: int, *, sign: bool) -> dict[str, Json]:
    # Some software asks for two-byte identifiers under the control code of 2007.
    old = function in _FUNCTIONS_1997 or len(frame.data) == 2
    width = 2 if old else 4
    if len(frame.data) < width:
        raise DeviceError(f"length: {len(frame.data)} bytes hold no data identifier", raw=frame.data)
    di = codec.di_hex(frame.data[:width])
    told: dict[str, Json] = {"protocol": "DL/T645-1997" if old else "DL/T645-2007", "di": di}
    data = frame.data[width:]
    if not frame.control & codec.ANSWER:
        if function == _READ_ON and len(data) == 1:
            return told | {"sequence": data[0]}
        return told | ({"data_hex_minus_33": frame.data.hex()} if old or data else {})
    if function == _READ_ON and data:
        # What follows in a later part: the block's items have no places of their own here.
        data, told["sequence"] = data[:-1], data[-1]
    elif _fills(data, items := _items(di)):
        for item in items:
            if data:
                told[item.point] = item.decode(data[: item.size], sign=sign)
                data = data[item.size :]
        return told
    if not data:
        return told
    if codec.bcd(data) is not None:
        return told | {"value_bcd": codec.di_hex(data)}
    return told | {"data_hex_minus_33": data.hex()}


def _fills(data: bytes, items: list[Item]) -> bool:
    """Return whether `data` are whole items from the first on: a meter may have fewer, or send some later."""
    return len(data) in accumulate(item.size for item in items)


def _items(di: str) -> list[Item]:
    """Return the items of an identifier, several for a block: all phases, or total and tariffs."""
    table = ITEMS_1997 if len(di) == 4 else ITEMS_2007
    if di in table:
        return [table[di]]
    if len(di) == 4 and di.endswith("F"):
        return [item for known, item in table.items() if known[:3] == di[:3]]
    if len(di) == 8 and di[:2] in {"00", "02"} and di[4:6] == "FF":
        return [item for known, item in table.items() if known[:4] == di[:4] and known[6:] == di[6:]]
    return []
