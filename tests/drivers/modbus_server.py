"""A Modbus server in the network that is not ours: pymodbus, over Modbus TCP or RTU over TCP."""

import asyncio
import threading
from typing import Any

from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import SimDevice

from tests.peers import PATIENCE

FRAMERS = {"tcp": FramerType.RTU, "modbus-tcp": FramerType.SOCKET}
"""Kind of link -> what carries its frames."""


class Server:
    """A TCP server in its own thread and loop, which can be stopped and started again on the same port."""

    def __init__(self, framer: FramerType, device: SimDevice) -> None:
        self.framer = framer
        self.device = device
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="pymodbus", daemon=True)
        self.thread.start()
        self.server: ModbusTcpServer | None = None
        self.start()

    def start(self) -> None:
        """Listen."""
        self._run(self._start())

    def stop(self) -> None:
        """Hang up and listen no more."""
        self._run(self._stop())

    def end(self) -> None:
        """Let go of everything."""
        if self.server is not None:
            self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    async def _start(self) -> None:
        self.server = ModbusTcpServer(self.device, framer=self.framer, address=("127.0.0.1", self.port))
        await self.server.serve_forever(background=True)
        transport: Any = self.server.transport
        self.port = transport.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self.server is not None
        await self.server.shutdown()  # type: ignore[no-untyped-call]
        self.server = None
