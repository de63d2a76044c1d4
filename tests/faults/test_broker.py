"""Brokers and networks that fail for long: nothing is deleted, memory is flat, and the agent recovers by itself."""

import contextlib
import gc
import select
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.demo.broker import Refusal
from edge_agent.demo.mqtt_wire import ReasonCode
from edge_agent.journal.journal import Batch
from edge_agent.journal.row import Row
from edge_agent.uplink.backoff import Pauses
from tests.uplink.rig import Rig

ROWS = 1500
FLAT = 4 << 20
"""Bytes. The test's broker and pytest's captured logs count too; a connection kept of each attempt is far more."""


def fill(rig: Rig) -> None:
    """Put a backlog of visits in, of two devices in turn."""
    journal = rig.store.journal
    stamp = (journal.boot, 1000, 1_780_000_000_000, True)
    body = '{"reader":"' + "x" * 900 + '"}'
    first = journal.reserve("usage", ROWS)
    journal.commit(
        Batch(
            [
                Row("usage", journal.epoch, seq, "gate" if seq % 2 else "door", "visit", *stamp, body)
                for seq in range(first, first + ROWS)
            ]
        )
    )


def live(rig: Rig, steps: int) -> None:
    """Let station time pass; while the broker owes an answer only slowly, since its answers take real time."""
    for _ in range(steps):
        rest = rig.step()
        rig.clock.advance(0.2 if rig.waits else max(10.0, rest))
        del rig.connections[:-1]


@pytest.mark.parametrize(
    "behaviour",
    [
        {"never_ack": True},
        {"refusals": (Refusal("#", ReasonCode.QUOTA_EXCEEDED),)},
        {"refusals": (Refusal("#", ReasonCode.NOT_AUTHORIZED),)},
        {"close_after_connack": True},
        {"puback_bytes": b"\x40\x01\x00"},
        {"black_hole": True},
    ],
    ids=["never acknowledges", "0x97", "0x87", "closes", "malformed", "black hole"],
)
def test_memory_is_flat_and_nothing_goes(tmp_path: Path, behaviour: dict[str, Any]) -> None:
    """Hours with a bad broker delete nothing and cost no memory; when it is well again everything arrives."""
    with Rig.of(tmp_path, pauses=Pauses(60.0, 300.0)) as rig:
        fill(rig)
        rig.behave(**behaviour)
        live(rig, 200)
        rig.messages.clear()
        gc.collect()
        tracemalloc.start()
        live(rig, 600)
        rig.messages.clear()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert grown < FLAT
        rig.store.recorder.flush()
        reader = rig.store.reader()
        assert sum(row.type == "visit" for row in reader.all_rows()) == ROWS
        assert not any(stream == "usage" for stream, _ in reader.delivered())
        reader.close()
        rig.behave()
        for _ in range(1000):
            live(rig, 20)
            if rig.pending["usage"] == 0:
                break
        assert set(rig.seqs("event/door") + rig.seqs("event/gate")) == set(range(1, ROWS + 1))


class Wire:
    """A TCP connection in the middle that can stop carrying one direction without a word."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.up = self.down = True
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Cut everything."""
        self._end.set()
        self._thread.join()
        self._server.close()

    def _run(self) -> None:
        pairs: dict[socket.socket, tuple[socket.socket, str]] = {}
        while not self._end.is_set():
            for ready in select.select([self._server, *pairs], [], [], 0.02)[0]:
                if ready is self._server:
                    station = self._server.accept()[0]
                    broker = socket.create_connection(("127.0.0.1", self._target))
                    pairs |= {station: (broker, "up"), broker: (station, "down")}
                elif ready in pairs:
                    other, direction = pairs[ready]
                    data = b""
                    with contextlib.suppress(OSError):
                        data = ready.recv(65_536)
                    if not data:
                        for end in (ready, other):
                            pairs.pop(end, None)
                            end.close()
                    elif getattr(self, direction):
                        with contextlib.suppress(OSError):
                            other.sendall(data)
        for end in pairs:
            end.close()


@pytest.fixture(name="wire")
def fixture_wire(tmp_path: Path) -> Iterator[tuple[Rig, Wire]]:
    """A rig whose connections go through a wire."""
    with Rig.of(tmp_path) as rig:
        wire = Wire(rig.broker.port)
        rig.address = replace(rig.address, port=wire.port)
        try:
            yield rig, wire
        finally:
            rig.uplink.close()
            wire.close()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_one_way_loss(wire: tuple[Rig, Wire], direction: str) -> None:
    """A network that loses one direction in silence is noticed within 30 s of the next record, and nothing is lost."""
    rig, link = wire
    rig.store.visits(5)
    rig.drained()
    setattr(link, direction, False)
    rig.store.visits(5)
    began = rig.clock.monotonic()
    rig.until(lambda: not rig.link.online, advance=1.0, patient=False)
    assert rig.clock.monotonic() - began <= 30
    setattr(link, direction, True)
    rig.until(lambda: rig.pending["usage"] == 0 and rig.link.online, advance=1.0)
    assert set(rig.seqs("event/door")) == set(range(1, 11))
