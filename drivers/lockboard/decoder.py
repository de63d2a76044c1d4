"""What captured bytes of a lock board mean."""

from collections.abc import Callable, Iterable

from drivers.lockboard import codec_8a80 as old
from drivers.lockboard import codec_kerong as kerong
from drivers.lockboard import codec_wkly as wkly
from edge_agent.driver import Capture, DeviceError, Json

OPTIONS = {"locks": (), "set_bit": ("closed", "open"), "feedback": ("door_closing", "door_opening")}
"""How many locks the board reports, what a set bit means, and the makers' words for the same."""
_DEFAULT_LOCKS = 12
_WKLY_ACTIONS = {
    wkly.OPEN_MANY: "open_many",
    wkly.FLASH: "flash",
    wkly.OPEN: "open",
    wkly.QUERY: "query",
    wkly.QUERY_ALL: "query_all",
    wkly.REPORT: "report",
    wkly.OPEN_ALL: "open_all",
    wkly.OPEN_IN_TURN: "open_in_turn",
    wkly.KEEP_ON: "keep_on",
    wkly.SWITCH_OFF: "switch_off",
}
_LISTS = (wkly.OPEN_MANY, wkly.OPEN_IN_TURN)
_CU16_ACTIONS = {
    0x30: "status",
    0x31: "unlock",
    0x32: "status_all",
    0x33: "unlock_all",
    0x35: "state",
    0x36: "state_all",
    0x37: "set_unlock_time",
    0x38: "unlock_time",
    0x39: "delayed_unlock",
}
_CU48_ACTIONS = {kerong.STATUS_48: "status", kerong.UNLOCK_48: "unlock"}


def explain_8a80(capture: Capture) -> dict[str, Json]:
    """Explain a frame of the 8A/80 family; raises DeviceError with the reason for refusing."""
    data = capture.data
    if len(data) < 5 or data[0] not in {old.OPEN, old.QUERY}:
        raise DeviceError("start or length: not a frame that begins with 8A or 80", raw=data)
    if not old.sealed(data):
        raise DeviceError("bcc: XOR does not fit", raw=data)
    head, board, lock, code = data[:4]
    if capture.direction == "request":
        if len(data) != 5 or code != (old.DO_OPEN if head == old.OPEN else old.ASK):
            raise DeviceError("length or code: no such command", raw=data)
        verb = "open" if head == old.OPEN else "query"
        return {"command": verb, "board": board, "lock": lock} if lock else {"command": f"{verb}_all", "board": board}
    if head == old.QUERY and data[-2] == old.ASK:
        return {"board": board, **_bitmap(data[2:-2], capture)}
    if len(data) != 5 or code not in old.STATUSES:
        raise DeviceError("length or status: no such answer", raw=data)
    meanings = ("opened", "failed") if head == old.OPEN else ("closed", "open")
    return {"board": board, "lock": lock, "status_byte": code, "meaning_in_source": meanings[code != 0]}


def explain_wkly(capture: Capture) -> dict[str, Json]:
    """Explain a frame of the WKLY family; raises DeviceError with the reason for refusing."""
    return _wkly(wkly.decode(capture.data), capture)


def find_wkly(data: bytes, direction: str) -> bytes | None:
    """Return the first whole, checked frame; nothing in it says who sent it."""
    del direction
    return next((frame for _, frame in wkly.find(data)), None)


def explain_kerong(capture: Capture) -> dict[str, Json]:
    """Explain a frame of a CU16 or CU48; raises DeviceError with the reason for refusing."""
    data = capture.data
    if capture.direction == "request" and len(data) == 6 and data[3] in _CU48_ACTIONS:
        asked = kerong.decode_request_48(data)
        action = _CU48_ACTIONS[asked.command]
        return {
            "variant": "CU48", "board": asked.board, "lock": asked.lock, "command": asked.command, "action": action
        }  # fmt: skip
    if capture.direction == "response" and not (len(data) == 9 and data[2] == kerong.STATE and data[-2] == kerong.ETX):
        reply = kerong.decode_reply_48(data)
        head: dict[str, Json] = {"variant": "CU48", "board": reply.board, "lock": reply.lock, "status": reply.result}
        return {**head, **_bits(reply.data, capture, kerong.LOCKS_48)} if reply.data else head
    frame = kerong.decode_16(data)
    if frame.command not in _CU16_ACTIONS:
        raise DeviceError(f"command: {frame.command:02X} is not known", raw=data)
    meaning: dict[str, Json] = {
        "command": frame.command, "board": frame.board, "action": _CU16_ACTIONS[frame.command]
    }  # fmt: skip
    if frame.command == kerong.UNLOCK:
        meaning["door"] = frame.lock
    if frame.command == kerong.STATE:
        infrared = kerong.bits(frame.data[2:], kerong.LOCKS_16)
        meaning |= _bits(frame.data[:2], capture, kerong.LOCKS_16)
        meaning["infrared_set"] = [lock for lock, bit in enumerate(infrared, start=1) if bit]
    return meaning


def _by_trying(
    explain: Callable[[Capture], dict[str, Json]], heads: bytes, sizes: Iterable[int]
) -> Callable[[bytes, str], bytes | None]:
    """Return what finds the first frame of these heads and sizes that can be explained: nothing marks its end."""

    def find(data: bytes, direction: str) -> bytes | None:
        for start in (at for at, byte in enumerate(data) if byte in heads):
            for size in sizes:
                frame = data[start : start + size]
                try:
                    explain(Capture(frame, direction))
                except DeviceError:
                    continue
                return frame
        return None

    return find


find_8a80 = _by_trying(explain_8a80, bytes((old.OPEN, old.QUERY)), range(5, 5 + old.groups(old.MAX_LOCKS)))
find_kerong = _by_trying(explain_kerong, bytes((kerong.STX,)), (9, 5, 6 + kerong.BYTES_48, 6))


def _bitmap(bitmap: bytes, capture: Capture) -> dict[str, Json]:
    """Explain the bitmap of an 8A/80 board; two bytes are taken for the usual twelve locks if they can be."""
    room = 8 * len(bitmap)
    number = int.from_bytes(bitmap, "big")
    usual = _DEFAULT_LOCKS if room == 16 and not number >> _DEFAULT_LOCKS else room
    locks = _locks(capture, room, usual)
    bits = tuple(bool(number >> index & 1) for index in range(locks))
    means_open = _set_means_open(capture)
    words = "door_opening: bit set means open" if means_open else "door_closing: bit set means closed"
    return {
        "bitmap_hex": bitmap.hex(),
        "bits_set": [lock for lock, bit in enumerate(bits, start=1) if bit],
        "feedback": words,
        "open": [lock for lock, bit in enumerate(bits, start=1) if bit == means_open],
    }


def _wkly(frame: wkly.Frame, capture: Capture) -> dict[str, Json]:
    if frame.command not in _WKLY_ACTIONS:
        raise DeviceError(f"command: {frame.command:02X} is not known", raw=frame.encode())
    meaning: dict[str, Json] = {"command": frame.command, "board": frame.board}
    data = frame.data
    if capture.direction == "request":
        return meaning | {"action": _WKLY_ACTIONS[frame.command]} | _wkly_arguments(frame)
    if frame.command == wkly.REPORT:
        if len(data) != 2:
            raise DeviceError("length: a report has a lock and its state", raw=frame.encode())
        return meaning | {"lock": data[0], "state": _state(data[1], capture)}
    if not data:
        raise DeviceError("length: an answer has a status", raw=frame.encode())
    meaning["status"] = data[0]
    if frame.command == wkly.QUERY_ALL and len(data) > 1:
        states = wkly.states_of(frame)
        return meaning | {"count": len(states), "states": [_state(state, capture) for state in states]}
    if frame.command in {wkly.OPEN, wkly.QUERY} and len(data) == 3:
        return meaning | {"lock": data[1], "state": _state(data[2], capture)}
    if len(data) > 2:
        raise DeviceError("length: more data than such an answer has", raw=frame.encode())
    return meaning | ({"lock": data[1]} if len(data) == 2 else {})


def _wkly_arguments(frame: wkly.Frame) -> dict[str, Json]:
    data = frame.data
    if frame.command in _LISTS:
        if not data or len(data) != 1 + data[0]:
            raise DeviceError("length: the number of locks is not the number said", raw=frame.encode())
        return {"locks": list(data[1:])}
    if frame.command in {wkly.OPEN_ALL, wkly.QUERY_ALL}:
        if data:
            raise DeviceError("length: such a command has no data", raw=frame.encode())
        return {}
    if not data:
        raise DeviceError("length: such a command names a lock", raw=frame.encode())
    return {"lock": data[0]}


def _bits(data: bytes, capture: Capture, locks: int) -> dict[str, Json]:
    room = min(locks, 8 * len(data))
    bits = kerong.bits(data, _locks(capture, room, room))
    means_open = _set_means_open(capture)
    return {
        "bits_set": [lock for lock, bit in enumerate(bits, start=1) if bit],
        "open": [lock for lock, bit in enumerate(bits, start=1) if bit == means_open],
    }


def _locks(capture: Capture, room: int, usual: int) -> int:
    return min(capture.number("locks", usual), room)


def _state(state: int, capture: Capture) -> str:
    if state not in {0, 1}:
        return "unknown"
    return "open" if bool(state) == _set_means_open(capture) else "closed"


def _set_means_open(capture: Capture) -> bool:
    return capture.options.get("set_bit") == "open" or capture.options.get("feedback", "").startswith("door_opening")
