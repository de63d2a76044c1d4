"""Edges of D0 and D1 become bursts of bits; a burst that may have lost, gained or swapped a bit says so.

Kernel edges arrive out of order and sometimes not at all; in order of delivery 1 to 2 of 20 cards came out as another
card with good parity (measured on simulated lines). So: order by time stamp, end by time stamp, and throw away
the burst on a hole in the sequence numbers or on a timing that no reader has.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from edge_agent.driver import Edge

MAX_BITS = 64
"""More than any format has: beyond it the lines carry noise, and nothing more is kept."""
SHORTEST_PERIOD = 20e-6
"""Seconds: closer edges are one pulse seen twice, cross-talk, or stamped too late to know their order."""
LONGEST_PERIOD = 20e-3
"""Seconds: readers send a bit every 1 to 2 ms."""


@dataclass(frozen=True, slots=True)
class Burst:
    """What came between two silences; `at` is the monotonic time (s) of its last edge, `reason` why it is no frame."""

    bits: str = field(repr=False)
    at: float
    reason: str = ""


@dataclass(frozen=True, slots=True, order=True)
class _Pulse:
    at: float
    bit: str = field(compare=False)
    fault: str = field(compare=False, default="")


class Collector:
    """Gathers the edges of one reader; holds at most one burst of `MAX_BITS`."""

    def __init__(self, d0: int, d1: int, frame_gap: float) -> None:
        self._bits = {d0: "0", d1: "1"}
        self._gap = frame_gap
        self._pulses: list[_Pulse] = []
        self._seqno: int | None = None
        self._fault = ""

    def feed(self, edges: Iterable[Edge]) -> Iterator[Burst]:
        """Take edges in order of delivery, of any lines of the request; yields the bursts that they complete."""
        fresh: list[_Pulse] = []
        for edge in edges:
            if edge.initial:
                self._seqno = None  # the lines were opened anew, and numbering with them
                continue
            if self._is_hole(edge):
                # What is missing belongs to the burst before or to the one after: neither can be believed.
                self._fault = "lost_edges"
                before = fresh or self._pulses
                if before:
                    before[-1] = replace(before[-1], fault="lost_edges")
            if not edge.high and edge.line in self._bits:
                fresh.append(_Pulse(edge.at, self._bits[edge.line], self._fault))
                self._fault = ""
        for pulse in sorted(fresh):
            insort(self._pulses, pulse)
            yield from self._cut()

    def quiet(self, now: float) -> Iterator[Burst]:
        """The lines have been silent until `now` (monotonic s)."""
        if self._pulses and now >= self._pulses[-1].at + self._gap:
            yield _burst(self._pulses)
            self._pulses = []

    def _is_hole(self, edge: Edge) -> bool:
        if edge.seqno is None:
            return False
        before, self._seqno = self._seqno, edge.seqno
        return before is not None and edge.seqno != before + 1

    def _cut(self) -> Iterator[Burst]:
        """Yield what lies before a silence; between the pulses kept there is none."""
        for index in range(len(self._pulses) - 1, 0, -1):
            if self._pulses[index].at - self._pulses[index - 1].at >= self._gap:
                yield _burst(self._pulses[:index])
                self._pulses = self._pulses[index:]
                return
        if len(self._pulses) > MAX_BITS:
            self._pulses = [replace(self._pulses[-1], fault="too_long")]


def _burst(pulses: list[_Pulse]) -> Burst:
    reason = next((pulse.fault for pulse in pulses if pulse.fault), "")
    if not reason:
        periods = [later.at - earlier.at for earlier, later in pairwise(pulses)]
        if any(period < SHORTEST_PERIOD for period in periods):
            reason = "glitch"
        elif any(period > LONGEST_PERIOD for period in periods):
            reason = "slow"
    return Burst("".join(pulse.bit for pulse in pulses), pulses[-1].at, reason)
