"""The page's web server: uvicorn in a thread and a loop of its own, with limits that keep a bad client harmless."""

import asyncio
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_agent.errors import AgentError
from edge_agent.page.guard import MAX_HEADERS

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 20
REQUEST_S = 10.0
"""A request must have come, and its answer be taken, within this time."""
_KEEP_ALIVE_S = 5
_STOP_S = 5.0
_LOOK_S = 5.0
_LONGEST_S = 10.0
"""Longest time the loop may be busy with anything before it counts as stuck."""
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_REASONS = {
    errno.EADDRINUSE: "another program has this port – stop it (`ss -ltnp` shows which), or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address – take one of its own (`ip address`), or 127.0.0.1",
    errno.EACCES: "ports below 1024 are for root – choose another port",
}


class PageServer:
    """Serves `app` in the daemon thread "page"; `promise(deadline)` is told by when the loop will have come round.

    `start` and `stop` may be called again in turn. Port 0 takes any free one; `url` says which.
    """

    def __init__(
        self,
        app: Starlette,
        host: str,
        port: int,
        *,
        promise: Callable[[float], None] = lambda _deadline: None,
        patience: float = REQUEST_S,
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._promise = promise
        self._patience = patience
        self._thread: threading.Thread | None = None
        self._end: Callable[[], object] = lambda: None

    @property
    def url(self) -> str:
        """The page's address, as a person on this machine would open it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104  (to be replaced)
        return f"http://[{host}]:{self._port}/" if ":" in host else f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Listen; returns when connections are taken. Raises AgentError, with the cure, if the address is not free."""
        if self._thread is not None:
            return
        listening = self._bind()
        self._port = listening.getsockname()[1]
        running: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listening, running)), name="page", daemon=True
        )
        self._thread.start()
        running.result(_STOP_S)

    def stop(self) -> None:
        """End every stream and connection; safe to call again."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._end()
        thread.join(_STOP_S)
        if thread.is_alive():
            log.error("thread does not end name=%s", thread.name)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            return socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            why = _REASONS.get(error.errno or 0, error.strerror or str(error))
            raise AgentError(
                f"the status page cannot listen on {self._host}:{self._port}: {why} ([page] listen)"
            ) from error

    async def _serve(self, listening: socket.socket, running: Future[None]) -> None:
        loop = asyncio.get_running_loop()
        server = uvicorn.Server(_settings(self._app, self._patience))

        def end() -> None:
            self._app.state.live.close()
            server.should_exit = True

        self._end = lambda: loop.call_soon_threadsafe(end)
        moving = asyncio.create_task(self._move())
        running.set_result(None)
        try:
            await server.serve(sockets=[listening])
        finally:
            moving.cancel()
            listening.close()

    async def _move(self) -> None:
        """Promise from within the loop: a loop that is stuck cannot."""
        while True:
            self._promise(time.monotonic() + _LOOK_S + _LONGEST_S)
            await asyncio.sleep(_LOOK_S)


def _settings(app: Starlette, patience: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=type("Connection", (Connection,), {"patience": patience}),
        ws="none",
        lifespan="on",
        log_config=None,
        # Whoever can reach the port can send nonsense; the log is not theirs to fill.
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=MAX_HEADERS,
    )


class Connection(H11Protocol):
    """One connection, which must get on: uvicorn itself waits for ever for a request to be completed or read."""

    patience = REQUEST_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or send it away if there are enough."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.write(_FULL)
            transport.close()
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; from the request's last one on the client has done its part."""
        super().data_received(data)
        self._judge()

    def on_response_complete(self) -> None:
        """The answer is out: now it must be taken, and the next question come."""
        super().on_response_complete()
        self._judge()

    def pause_writing(self) -> None:
        """The client does not take what it asked for."""
        super().pause_writing()
        self._hurry()

    def resume_writing(self) -> None:
        """It goes on."""
        super().resume_writing()
        self._judge()

    def _judge(self) -> None:
        """While an answer is being made the client need not do anything; else its time runs."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._calm()
        else:
            self._hurry()

    def _hurry(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.transport.abort)

    def _calm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
