"""What a meter can be asked for: data identifiers, widths and scales of both editions.

2007 (Annex A, tables A.1 and A.3): energies XXXXXX.XX kWh in 4 bytes, voltage XXX.X, current XXX.XXX, power XX.XXXX,
factor X.XXX, frequency XX.XX. 1997 (Annex A): two-byte identifiers, voltage XXX, current XX.XX, power XX.XXXX, factor
X.XXX, and no frequency. The identifiers with a vector or named in 600888/dlt645 are those used by default.
"""

from dataclasses import dataclass

from drivers.dlt645.codec import bcd, to_bcd

_SIGN = 0x80
"""Top bit of the highest byte: minus, on meters that tell a direction."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value: its point, width in bytes, decimals, and whether its top bit may be a sign.

    `low` to `high` is what a sound meter at 230/400 V can tell; a step of more than `jump` between two polls is
    believed only when the meter repeats it, and so is any step back of one that `counts` up; a difference of `change`
    is worth telling. `scaled`: measured behind the current transformers.
    """

    point: str
    size: int
    decimals: int
    signed: bool
    low: float
    high: float
    jump: float
    change: float
    counts: bool = False
    scaled: bool = True

    def decode(self, data: bytes, *, sign: bool) -> float | None:
        """Return the value of the data behind the identifier, None if its digits are none ("not measured")."""
        if len(data) != self.size:
            return None
        negative = sign and self.signed and bool(data[-1] & _SIGN)
        digits = data[:-1] + bytes((data[-1] & ~_SIGN,)) if negative else data
        number = bcd(digits)
        if number is None:
            return None
        value = number / float(10**self.decimals)
        return -value if negative and number else value

    def is_jump(self, before: float | None, value: float) -> bool:
        """Tell whether `value` needs the meter to say it twice after `before` (None: nothing is known yet)."""
        return before is None or abs(value - before) > self.jump or (self.counts and value < before)

    def encode(self, value: float) -> bytes:
        """Undo `decode`."""
        data = to_bcd(round(abs(value) * 10**self.decimals), self.size)
        return data[:-1] + bytes((data[-1] | _SIGN,)) if value < 0 else data


def _energy(point: str) -> Item:
    return Item(point, 4, 2, signed=False, low=0, high=999999.99, jump=1.0, change=0.01, counts=True)


def _volts(point: str, decimals: int) -> Item:
    return Item(point, 2, decimals, signed=False, low=0, high=500, jump=20.0, change=2.0, scaled=False)


def _amps(point: str, size: int, decimals: int) -> Item:
    return Item(point, size, decimals, signed=True, low=-200, high=200, jump=1.0, change=0.1)


def _power(point: str, size: int = 3, decimals: int = 4, *, signed: bool = True) -> Item:
    return Item(point, size, decimals, signed=signed, low=-80, high=80, jump=0.2, change=0.02)


def _factor(point: str) -> Item:
    return Item(point, 2, 3, signed=True, low=-1, high=1, jump=0.2, change=0.05, scaled=False)


ITEMS_2007: dict[str, Item] = {
    "00000000": Item("balance_energy_kwh", 4, 2, signed=True, low=-799999.99, high=799999.99, jump=1.0, change=0.01),
    "00010000": _energy("energy_kwh"),
    "00020000": _energy("reverse_energy_kwh"),
    **{f"0001{tariff:02X}00": _energy(f"energy_t{tariff}_kwh") for tariff in range(1, 5)},
    "02010100": _volts("voltage_v", 1),
    "02010200": _volts("voltage_l2_v", 1),
    "02010300": _volts("voltage_l3_v", 1),
    "02020100": _amps("current_a", 3, 3),
    "02020200": _amps("current_l2_a", 3, 3),
    "02020300": _amps("current_l3_a", 3, 3),
    "02030000": _power("power_kw"),
    "02030100": _power("power_l1_kw"),
    "02030200": _power("power_l2_kw"),
    "02030300": _power("power_l3_kw"),
    "02040000": _power("reactive_kvar"),
    "02050000": _power("apparent_kva", signed=False),
    "02060000": _factor("power_factor"),
    "02060100": _factor("power_factor_l1"),
    "02060200": _factor("power_factor_l2"),
    "02060300": _factor("power_factor_l3"),
    "02800001": _amps("current_n_a", 3, 3),
    "02800002": Item("frequency_hz", 2, 2, signed=False, low=45, high=65, jump=1.0, change=0.1, scaled=False),
    "02800007": Item("meter_temperature_c", 2, 1, signed=True, low=-50, high=100, jump=5.0, change=1.0, scaled=False),
}

ITEMS_1997: dict[str, Item] = {
    "9010": _energy("energy_kwh"),
    "9020": _energy("reverse_energy_kwh"),
    **{f"901{tariff}": _energy(f"energy_t{tariff}_kwh") for tariff in range(1, 5)},
    "B611": _volts("voltage_v", 0),
    "B612": _volts("voltage_l2_v", 0),
    "B613": _volts("voltage_l3_v", 0),
    "B621": _amps("current_a", 2, 2),
    "B622": _amps("current_l2_a", 2, 2),
    "B623": _amps("current_l3_a", 2, 2),
    "B630": _power("power_kw"),
    "B631": _power("power_l1_kw"),
    "B632": _power("power_l2_kw"),
    "B633": _power("power_l3_kw"),
    "B640": _power("reactive_kvar", 2, 2),
    "B650": _factor("power_factor"),
    "B651": _factor("power_factor_l1"),
    "B652": _factor("power_factor_l2"),
    "B653": _factor("power_factor_l3"),
}

EDITIONS = {"2007": ITEMS_2007, "1997": ITEMS_1997}
POINTS = tuple(item.point for item in ITEMS_2007.values())
USUAL = ("energy_kwh", "voltage_v", "current_a", "power_kw", "power_factor", "frequency_hz")


def identifier(edition: str, point: str) -> str | None:
    """Return the identifier of a point, None if the edition has none."""
    return next((di for di, item in EDITIONS[edition].items() if item.point == point), None)
