"""libosdp's control panel, driven step by step: no thread, no port, no clock of ours.

libosdp writes a command and expects to read the reply later; here the command is asked on the link at once, so that the
reply waits for it. It polls a reader at most every 50 ms of real time, and restarts the link with sequence 0.
"""

from collections.abc import Callable
from typing import Any

from drivers.osdp.library import load_library
from edge_agent.driver import DeviceError

_MOST_STEPS = 200
"""The whole handshake takes about 15."""
_IDLE_STEPS = 3

Ask = Callable[[bytes], bytes]
"""Sends a command and returns the reply."""


class SecureChannelError(DeviceError):
    """The reader agreed to no secure channel, or has forgotten the one there was."""

    def __init__(self) -> None:
        super().__init__("the reader agrees to no secure channel", hint="is the key in key_file the reader's?")


class _Channel:
    """What libosdp takes for the port; its exceptions would be lost inside the library, so they wait in `failure`."""

    def __init__(self) -> None:
        self.id = 0
        self.ask: Ask | None = None
        self.asked = 0
        self.inbox = b""
        self.failure: Exception | None = None

    def write(self, data: bytes) -> int:
        """Ask at once; libosdp hears of a failure by silence."""
        if self.ask is not None and self.failure is None:
            self.asked += 1
            try:
                self.inbox = self.ask(bytes(data))
            except Exception as error:  # noqa: BLE001  (raised again behind the library)
                self.failure = error
        return len(data)

    def read(self, size: int) -> bytes:
        """Hand over the reply."""
        data, self.inbox = self.inbox[:size], self.inbox[size:]
        return data

    def flush(self) -> None:
        """Nothing waits to be sent."""


class Panel:
    """One session with one reader; after any error a new one must be made."""

    def __init__(self, address: int, key: bytes) -> None:
        library = load_library()
        self._channel = _Channel()
        self._heard: list[dict[str, Any]] = []
        info = {
            "name": "reader",
            "address": address,
            # Without this flag libosdp would go on in plain text with a reader that refuses the key.
            "flags": library.FLAG_ENFORCE_SECURE,
            "scbk": key,
            "channel": self._channel,
        } | dict.fromkeys(("version", "model", "vendor_code", "serial_number", "firmware_version"), 0)
        self._panel = library.ControlPanel([info])
        heard = self._heard  # not self: the library does not take part in garbage collection

        def hear(_reader: int, event: dict[str, Any]) -> int:
            heard.append(event)
            return 0

        self._panel.set_event_callback(hear)

    def exchange(self, ask: Ask) -> list[dict[str, Any]]:
        """Bring the secure channel up, or poll once if it is due; return the events heard.

        Raises what `ask` raised, or SecureChannelError.
        """
        channel = self._channel
        channel.ask, channel.asked = ask, 0
        idle = 0
        for _ in range(_MOST_STEPS):
            before = (channel.asked, channel.inbox)
            self._panel.refresh()
            if channel.failure is not None:
                raise channel.failure
            if channel.asked and not channel.inbox and self._panel.sc_status():
                break
            idle = idle + 1 if before == (channel.asked, channel.inbox) else 0
            if idle == _IDLE_STEPS:
                break
        channel.ask = None
        if not self._panel.sc_status():
            raise SecureChannelError
        heard = list(self._heard)
        self._heard.clear()
        return heard

    def identity(self) -> tuple[str, str]:
        """Return serial number (8 hexadecimal digits) and firmware version of the reader, as it told them."""
        told: dict[str, int] = self._panel.get_pd_id(0)
        version = told["firmware_version"]
        return f"{told['serial_number']:08x}", f"{version >> 16 & 0xFF}.{version >> 8 & 0xFF}.{version & 0xFF}"
