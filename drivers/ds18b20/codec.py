"""What the kernel's file `w1_slave` of a DS18B20 says, and which of it to believe.

Two lines: nine scratchpad bytes with `: crc=XX YES` or `NO`, and the bytes again with `t=` and thousandths of °C, cut
off, not rounded. Bytes 0 and 1 are the temperature in sixteenths of a degree, low byte first, byte 8 is the CRC-8 of
the rest (Maxim, polynomial x⁸+x⁵+x⁴+1, bits reversed). Sources: DS18B20 data sheet, Linux
`Documentation/w1/slaves/w1_therm.rst`, timofurrer/w1thermsensor.
"""

import re
from dataclasses import dataclass

from edge_agent.driver import DeviceError

POWER_ON_C = 85.0
"""What the sensor tells when it has lost its supply since the last conversion."""
LOWEST_C, HIGHEST_C = -55.0, 125.0
_SIZE = 9
_POLYNOMIAL = 0x8C
_FORM = re.compile(
    r"((?:[0-9a-f]{2} ){9}): crc=([0-9a-f]{2}) (YES|NO)\s+((?:[0-9a-f]{2} ){9})t=(-?\d{1,7})\s*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Scratchpad:
    """The nine bytes of a sensor, checked."""

    data: bytes

    @property
    def temperature_c(self) -> float:
        """Degrees Celsius."""
        return celsius(self.data)

    @property
    def suspect(self) -> bool:
        """True for the one temperature that may be none: only what was measured before can tell."""
        return self.temperature_c == POWER_ON_C


def celsius(word: bytes) -> float:
    """Return the temperature (°C) of a two-byte word, low byte first; what follows it is ignored."""
    return int.from_bytes(word[:2], "little", signed=True) / 16


def crc8(data: bytes) -> int:
    """Return the 1-Wire CRC; 0 over data with its own CRC behind."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def check(data: bytes) -> Scratchpad:
    """Return the scratchpad; raises DeviceError: length, all_zero, crc, range."""
    if len(data) != _SIZE:
        raise DeviceError(f"length: {len(data)} bytes, a scratchpad has {_SIZE}", raw=data)
    if not any(data):
        raise DeviceError("all_zero: only zero bytes, whose CRC is zero", hint="data line shorted or half unplugged")
    if crc8(data):
        raise DeviceError("crc: does not fit", raw=data, hint="cable too long, or a pull-up of 4.7 kΩ is missing")
    if not LOWEST_C <= celsius(data) <= HIGHEST_C:
        raise DeviceError(f"range: {celsius(data)} °C is beyond {LOWEST_C:g} to {HIGHEST_C:g}", raw=data)
    return Scratchpad(data)


def parse(text: str) -> Scratchpad:
    """Return what `w1_slave` says; raises DeviceError: form, inconsistent, crc, and those of `check`."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise DeviceError("form: this is not how w1_slave looks", raw=text.encode(errors="replace"))
    data = bytes.fromhex(form[1])
    if form[3] == "NO":
        # The second line then repeats the last good measurement.
        raise DeviceError("crc: the kernel says NO", raw=data, hint="cable too long, or a pull-up of 4.7 kΩ is missing")
    thousandths = int(celsius(data) * 1000)  # cut off towards zero, as the kernel does
    if form[1] != form[4] or thousandths != int(form[5]):
        raise DeviceError("inconsistent: the file's two lines differ", raw=data)
    return check(data)


def scratchpad(temperature_c: float) -> bytes:
    """Return the nine bytes of a sensor at this temperature, as at 12 bits."""
    word = round(temperature_c * 16).to_bytes(2, "little", signed=True)
    data = word + bytes((0x4B, 0x46, 0x7F, 0xFF, 0x10 - (word[0] & 0xF), 0x10))
    return data + bytes((crc8(data),))


def render(data: bytes) -> str:
    """Return the file that the kernel makes of nine bytes."""
    line = data.hex(" ")
    verdict = "NO" if crc8(data) else "YES"
    return f"{line} : crc={crc8(data[:-1]):02x} {verdict}\n{line} t={int(celsius(data) * 1000)}\n"
