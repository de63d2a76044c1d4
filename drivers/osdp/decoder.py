"""What captured OSDP packets mean; only for captures that somebody hands over on purpose."""

from drivers.osdp import codec, meanings
from drivers.osdp.codec import ENCRYPTED, Packet, decode
from drivers.osdp.session import session_keys
from edge_agent.driver import Capture, DeviceError, Json

OPTIONS = {"cp_random_hex": ()}
_KEY_BYTES = 16
_RANDOM_BYTES = 8


def explain(capture: Capture) -> dict[str, Json]:
    """Explain one packet; raises DeviceError with the reason for refusing."""
    packet = decode(capture.data)
    if capture.request is not None and packet.address != decode(capture.request).address:
        raise DeviceError("it does not answer the request: another address")
    return _explain(packet)


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first whole, checked packet, whoever sent it: that stands in its address."""
    del direction
    return next((frame for _, frame in codec.find(data)), None)


def explain_session(capture: Capture) -> dict[str, Json]:
    """Explain a packet of a secure channel, or derive its keys: `key-derivation`, the bytes are the base key."""
    if capture.kind != "key-derivation":
        return explain(capture)
    try:
        random = bytes.fromhex(capture.options.get("cp_random_hex", ""))
    except ValueError:
        random = b""
    if len(capture.data) != _KEY_BYTES or len(random) != _RANDOM_BYTES:
        raise DeviceError("the keys of a session follow from 16 bytes of base key and cp_random_hex, 8 bytes")
    keys = {"cp_random": random} | session_keys(capture.data, random)
    return {f"{name}_hex": key.hex() for name, key in keys.items()}


def _explain(packet: Packet) -> dict[str, Json]:
    values: dict[str, Json] = {
        "name": packet.name,
        "code": packet.code,
        "address": packet.address,
        "sequence": packet.sequence,
        "integrity": "crc" if packet.crc else "checksum",
    }
    if packet.security:
        values |= {"security_block": packet.security, "mac_hex": packet.mac.hex()}
    if packet.security in ENCRYPTED:
        return values | {"encrypted_hex": packet.data.hex()}
    return values | (meanings.reply if packet.reply else meanings.command)(packet.code, packet.data)
