"""What the kernel's text files say about the machine; each function takes a file's content and gives None for nonsense.

Sources: Linux `Documentation/filesystems/proc.rst`, `Documentation/ABI/testing/sysfs-class-thermal`, `sysfs-class-net`
and `sysfs-driver-mmc` (life_time); Raspberry Pi documentation, "vcgencmd get_throttled".
"""

FLAGS = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
"""Bits of the firmware's throttling word for now; 16 higher: at any time since boot."""
_SINCE_BOOT = 16
_ROUTE_UP = 0x1
_LIFE_STEP_PCT = 10
_LIFE_EXCEEDED = 0x0B


def flags(text: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return what the firmware limits now, and what it has limited since boot; `text` is hexadecimal."""
    try:
        bits = int(text, 16)
    except ValueError:
        return None
    now = tuple(name for bit, name in FLAGS.items() if bits >> bit & 1)
    before = tuple(name for bit, name in FLAGS.items() if bits >> bit + _SINCE_BOOT & 1)
    return now, before


def celsius(text: str) -> float | None:
    """Return °C of a thermal zone's thousandths."""
    number = _number(text)
    return None if number is None else round(number / 1000, 1)


def uptime(text: str) -> int | None:
    """Return whole seconds since the machine was switched on (/proc/uptime)."""
    number = _number(text)
    return None if number is None else int(number)


def available_mb(text: str) -> int | None:
    """Return the memory (MB) that programs can still have (/proc/meminfo)."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable" and (kilobytes := _number(rest)) is not None:
            return round(kilobytes * 1024 / 1e6)
    return None


def room(text: str) -> tuple[int, float] | None:
    """Return free MB and used percent of a file system from its size and free bytes."""
    words = text.split()
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    size, free = map(int, words)
    if size == 0:
        return None
    return round(free / 1e6), round(100 * (size - free) / size, 1)


def default_interface(text: str) -> str | None:
    """Return the interface of the default route with the lowest metric (/proc/net/route)."""
    found: list[tuple[int, str]] = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 7 and fields[1] == "00000000" and _hex(fields[3]) & _ROUTE_UP:
            found.append((int(fields[6]) if fields[6].isdecimal() else 0, fields[0]))
    return min(found)[1] if found else None


def signal_dbm(text: str, interface: str) -> int | None:
    """Return the level (dBm) of a wireless interface (/proc/net/wireless)."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        fields = rest.split()
        if name.strip() == interface and len(fields) >= 3:
            level = _number(fields[2].rstrip("."))
            return None if level is None else int(level)
    return None


def wear_pct(text: str) -> int | None:
    """Return how much of an eMMC's life is used, in steps of 10 %; above 100 it is exceeded. SD cards tell nothing."""
    steps = [_hex(word) for word in text.split()]
    worst = max(steps, default=0)
    return worst * _LIFE_STEP_PCT if 0 < worst <= _LIFE_EXCEEDED else None


def _number(text: str) -> float | None:
    words = text.split()
    try:
        number = float(words[0])
    except (IndexError, ValueError):
        return None
    return number if abs(number) < 1e15 else None


def _hex(word: str) -> int:
    try:
        return int(word, 16)
    except ValueError:
        return 0
