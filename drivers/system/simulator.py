"""A Raspberry Pi's files, seen from their other side."""

from collections.abc import Iterable

from edge_agent.driver import Chunk, Options, Site

_ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
_WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   54.  -56.  -256        0      0      0      0      5        0
"""
_FILES = {
    "list /sys/class/thermal": "cooling_device0\nthermal_zone0\n",
    "read /sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "read /sys/class/thermal/thermal_zone0/temp": "48312\n",
    "read /proc/uptime": "350735.47 234388.90\n",
    "read /proc/meminfo": "MemTotal:         945512 kB\nMemAvailable:     512000 kB\n",
    "read /sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "read /proc/net/route": _ROUTE,
    "read /proc/net/wireless": _WIRELESS,
    "clock": "synced",
}


class SystemSimulator:
    """`files` is what the machine answers, by question; remove one and the machine does not have it."""

    def __init__(self, options: Options, site: Site) -> None:
        del options, site
        self.files = dict(_FILES)
        self.files["statfs /var/lib/edge-agent"] = "31000000000 24800000000"

    def answer(self, request: bytes) -> bytes:
        """Answer as the machine does for a file or a directory."""
        return self.files.get(request.decode(errors="replace"), "").encode()

    def play(self) -> Iterable[Chunk]:
        """Nothing: files do not speak."""
        return ()
