"""CRC-16/MODBUS, which links (Modbus TCP) and drivers (Modbus, batteries) both need.

Source: "MODBUS over Serial Line V1.02", 2.5.1.2: reflected polynomial A001, start FFFF, low byte sent first.
"""


def _of_byte(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


_TABLE = tuple(_of_byte(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """Return the CRC of `data`; over a frame with its CRC behind it, it is 0."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc
