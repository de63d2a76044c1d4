"""SHT30, SHT31, SHT35: six bytes to temperature and humidity.

Command 2400 measures once with high repeatability and without clock stretching; after 15 ms six bytes can be read:
temperature, CRC, humidity, CRC, words high byte first. T = −45 + 175·x/65535 °C, RH = 100·x/65535 %. CRC-8: polynomial
31, start FF (Sensirion data sheet SHT3x-DIS, sections 4.3, 4.12 and 4.13).
"""

from edge_agent.driver import DeviceError

MEASURE = b"\x24\x00"
REPLY_BYTES = 6
_FULL = 0xFFFF
_POLYNOMIAL = 0x31


def crc8(data: bytes) -> int:
    """Return the sensor's CRC of `data`."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (_POLYNOMIAL if crc & 0x80 else 0)) & 0xFF
    return crc


def word(triple: bytes) -> int:
    """Return the word of three bytes; raises DeviceError: length, crc."""
    if len(triple) != 3:
        raise DeviceError(f"length: {len(triple)} bytes, a word with its CRC has 3", raw=triple)
    if crc8(triple[:2]) != triple[2]:
        raise DeviceError("crc: does not fit", raw=triple, hint="wires too long, or pull-ups missing")
    return int.from_bytes(triple[:2], "big")


def celsius(number: int) -> float:
    """Return the temperature (°C) of a word."""
    return -45 + 175 * number / _FULL


def percent(number: int) -> float:
    """Return the relative humidity (%) of a word."""
    return 100 * number / _FULL


def decode(data: bytes) -> tuple[float, float]:
    """Return temperature (°C) and relative humidity (%); raises DeviceError: length, crc."""
    if len(data) != REPLY_BYTES:
        raise DeviceError(f"length: {len(data)} bytes, a measurement has {REPLY_BYTES}", raw=data)
    return celsius(word(data[:3])), percent(word(data[3:]))


def encode(temperature_c: float, humidity_pct: float) -> bytes:
    """Undo `decode`."""
    words = (round((temperature_c + 45) / 175 * _FULL), round(humidity_pct / 100 * _FULL))
    return b"".join(part + bytes((crc8(part),)) for part in (number.to_bytes(2, "big") for number in words))
