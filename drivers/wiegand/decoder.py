"""What captured Wiegand bits mean; only for captures that somebody hands over on purpose."""

from drivers.wiegand.codec import LAYOUTS, RejectedFrame, decode, decode_key
from edge_agent.driver import Capture, DeviceError, Json

_NAMES = {"w26": "W26", "w34": "W34", "w37_h10302": "W37-H10302", "w37_h10304": "W37-H10304"}
_KEY_BITS = (4, 8)

OPTIONS = {"bit_count": (), "format": (*_NAMES, *_NAMES.values())}


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a frame given as a right-aligned big-endian integer; raises DeviceError with the reason for refusing.

    Option `bit_count` says how many of the bits were sent: the bytes alone do not. Option `format` tells the two
    layouts of 37 bits apart (H10302 without it).
    """
    bits = _bits(capture)
    known: dict[str, Json] = {"bits": bits, "bit_count": len(bits)}
    if len(bits) in _KEY_BITS:
        key = decode_key(bits)
        if key is None:
            raise DeviceError("key: these bits are no key of a keypad")
        return {**known, "format": f"K{len(bits)}", "key": key}
    try:
        card = decode(bits, _formats(capture))
    except RejectedFrame as error:
        raise DeviceError(str(error)) from error
    data = int(card.bits, 2)
    known |= {"format": _NAMES[card.format], "card": card.number, f"number{len(card.bits)}": data}
    if LAYOUTS[card.format].facility:
        known["facility"] = card.facility
    return known


def _formats(capture: Capture) -> list[str]:
    wanted = capture.options.get("format", "")
    formats = [name for name, shown in _NAMES.items() if not wanted or wanted in {name, shown}]
    if not formats:
        raise DeviceError(f"format {wanted!r} is not known; there are {', '.join(_NAMES.values())}")
    return formats


def _bits(capture: Capture) -> str:
    value = int.from_bytes(capture.data, "big")
    given = capture.options.get("bit_count")
    if given is not None:
        if not given.isdecimal() or len(given) > 3 or int(given) < max(1, value.bit_length()):
            raise DeviceError(f"bit_count {given!r} does not fit the bytes")
        return f"{value:0{given}b}"
    return f"{value:0{_length(capture, value)}b}"


def _length(capture: Capture, value: int) -> int:
    """Guess how many bits were sent: the one known length that needs all the bytes and whose parities fit."""
    lengths = {LAYOUTS[name].bits for name in _formats(capture)} | set(_KEY_BITS)
    fitting = sorted(n for n in lengths if (n + 7) // 8 == len(capture.data) and n >= value.bit_length())
    sound = [n for n in fitting if n in _KEY_BITS or _is_sound(f"{value:0{n}b}", capture)]
    if len(sound) > 1:
        raise DeviceError(f"could be {' or '.join(str(n) for n in sound)} bits; say which with bit_count")
    return (sound or fitting or [max(1, value.bit_length())])[0]


def _is_sound(bits: str, capture: Capture) -> bool:
    try:
        decode(bits, _formats(capture))
    except RejectedFrame:
        return False
    return True
