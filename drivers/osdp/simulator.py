"""An OSDP reader: libosdp's own peripheral, with the wire in between left out."""

import threading
from collections.abc import Iterable
from typing import Any

from drivers.osdp.library import load_key, load_library
from drivers.osdp.options import OsdpOptions
from edge_agent.driver import Chunk, Site

_STEPS = 4
"""Steps in which the peripheral has read a command and written its reply."""
_IDENTITY = {
    "version": 1,
    "model": 2,
    "vendor_code": 0x00CAFE,
    "serial_number": 0x0A0B0C0D,
    "firmware_version": 0x010203,
}


class _Port:
    """The peripheral's end of the wire."""

    def __init__(self) -> None:
        self.id = 1
        self.inbox = b""
        self.outbox = b""

    def write(self, data: bytes) -> int:
        """Take the reply."""
        self.outbox += bytes(data)
        return len(data)

    def read(self, size: int) -> bytes:
        """Hand over the command."""
        data, self.inbox = self.inbox[:size], self.inbox[size:]
        return data

    def flush(self) -> None:
        """Nothing waits."""


class OsdpSimulator:
    """A reader with keypad; may be used from any thread. It has the key that stands in `key_file`."""

    def __init__(self, options: OsdpOptions, site: Site) -> None:
        del site
        library = self._library = load_library()
        self._lock = threading.Lock()
        self._port = _Port()
        info = _IDENTITY | {
            "name": "simulated",
            "address": options.address,
            "flags": library.FLAG_ENFORCE_SECURE,
            "scbk": load_key(options.key_file),
            "channel": self._port,
        }
        abilities = (
            library.CAP_COMMUNICATION_SECURITY,
            library.CAP_CARD_DATA_FORMAT,
            library.CAP_CONTACT_STATUS_MONITORING,
        )
        self._device = library.PeripheralDevice(
            info, capabilities=[{"function_code": one, "compliance_level": 1, "num_items": 1} for one in abilities]
        )
        self._device.set_command_callback(lambda _command: (0, None))

    def swipe(self, bits: str) -> None:
        """Hold a card of these bits, parity included, to the reader."""
        data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
        self._submit(
            event=self._library.EVENT_CARDREAD,
            reader_no=0,
            format=self._library.CARD_FMT_RAW_WIEGAND,
            direction=0,
            length=len(bits),
            data=data,
        )

    def press(self, keys: str) -> None:
        """Press keys of the keypad."""
        self._submit(event=self._library.EVENT_KEYPRESS, reader_no=0, data=keys.encode())

    def tamper(self, *, tamper: bool, power: bool = False) -> None:
        """Report the state of cover and supply."""
        self._submit(
            event=self._library.EVENT_STATUS,
            type=self._library.STATUS_REPORT_LOCAL,
            report=bytes((tamper, power)),
        )

    def answer(self, request: bytes) -> bytes:
        """Reply to a command; silence for what is damaged or meant for another address."""
        with self._lock:
            self._port.inbox += request
            for _ in range(_STEPS):
                self._device.refresh()
            reply, self._port.outbox = self._port.outbox, b""
            return reply

    def play(self) -> Iterable[Chunk]:
        """A reader speaks only when asked."""
        return ()

    def _submit(self, **event: Any) -> None:
        with self._lock:
            self._device.submit_event(event)
