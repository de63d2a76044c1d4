"""What befalls a station: power, network, clock, wires and devices that fail, and the agent that ends."""

import math
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.config.types import Table
from edge_agent.parts.settings import topics_of
from edge_agent.rehearse.acts import Aircon, Ask, ClockFault, Fault, Kill, NetworkDown, PowerCut, Restart, Set
from edge_agent.rehearse.moments import unix
from edge_agent.rehearse.riders import Known
from edge_agent.rehearse.truth import INFERRED, Note

if TYPE_CHECKING:
    from edge_agent.rehearse.play import Rehearsal

_SETTLE_S = 30.0
"""A device that has come back is asked within this time."""


class Mishaps:
    """Acts on a `Rehearsal`."""

    def __init__(self, rehearsal: "Rehearsal") -> None:
        self._of = rehearsal
        self._until: dict[str, float] = {}
        """Device or link -> true time at which its trouble is over."""
        self._asked = 0
        self.power_back = -math.inf
        """True time at which the power comes back."""

    def until(self, device: str) -> float:
        """Return the true time until which a device cannot be counted on."""
        link = self._of.wires.link_of(device)
        return max(self._until.get(name, -math.inf) for name in (device, link)) + _SETTLE_S

    def befall(self, act: Table) -> None:
        """Let it happen."""
        it = self._of
        match act:
            case Set():
                it.wires.show(act.point, act.value)
            case Aircon() if it.room is not None:
                it.room.works = act.works
            case Fault():
                self._fault(act)
            case PowerCut() if it.powered:
                self._power_cut(act)
            case Kill():
                self._commit()
                it.kill(act.down)
            case Restart():
                it.restart(act.down)
            case NetworkDown():
                self._network(reachable=False)
                it.at(it.clock.true + act.lasts, partial(self._network, reachable=True))
            case Ask():
                self._ask(act)
            case ClockFault():
                it.clock.show(self._shown(act), good=act.believed, synced_after=_seconds(act.synced_after))

    def _commit(self) -> None:
        """A station commits every few seconds: nobody is to lose what waits here for half an hour."""
        if self._of.agent is not None:
            self._of.agent.station.recorder.flush()

    # ---- devices and wires

    def _fault(self, act: Fault) -> None:
        """Begin trouble; who is in trouble already does not get more of it."""
        it, name = self._of, act.device or act.link or ""
        if self._until.get(name, -math.inf) > it.clock.true:
            return
        self._until[name] = it.clock.true + act.lasts
        code = act.means or ("device_silent" if act.device else "link_lost")
        alarm = "" if code == "nothing" else f"{name}/{code}"
        it.truth.raised[alarm] += bool(alarm)
        self._trouble(act, begins=True)
        it.at(self._until[name], partial(self._repair, act, alarm))

    def _repair(self, act: Fault, alarm: str) -> None:
        self._of.truth.cleared[alarm] += bool(alarm)
        self._trouble(act, begins=False)

    def _trouble(self, act: Fault, *, begins: bool) -> None:
        wires = self._of.wires
        if act.device is not None:
            wires.ends[act.device].trouble = act.how if begins else ""
        elif act.link is not None:
            wires.pull(act.link, pulled=begins)

    # ---- power, network, clock

    def _power_cut(self, act: PowerCut) -> None:
        it = self._of
        self._commit()
        stopped = it.clock.wall()
        lost = it.end(in_order=False)
        known = it.people.riders.known()
        for stimulus in lost:
            if stimulus.lasting:
                stimulus.do()
            else:
                it.truth.missed += not stimulus.optional
        it.powered = False
        self.power_back = it.clock.true + act.lasts
        it.at(self.power_back, partial(self._power_on, act, known, stopped), rank=0)

    def _power_on(self, act: PowerCut, known: Known, stopped: float) -> None:
        """Boot; what has changed in the cabinets meanwhile can only be inferred."""
        it = self._of
        it.clock.boot()
        it.clock.show(self._booted(act, stopped), good=False, synced_after=_seconds(act.synced_after))
        found = it.people.riders.known()
        changed = {slot for slot, _ in known.items() ^ found.items()}
        for slot in changed:
            for name, where in (("batteries_out", known), ("batteries_in", found)):
                if slot in where:
                    it.truth.note(Note(name + INFERRED, it.clock.true, it.clock.boots))
        it.powered = True
        it.truth.down("power", act.lasts)
        it.start()
        it.closed_until(it.clock.true + _SETTLE_S)
        it.postpone(_SETTLE_S)

    def _network(self, *, reachable: bool) -> None:
        self._of.centre.reachable = reachable
        if self._of.agent is not None:
            self._of.agent.send_soon()

    def _ask(self, act: Ask) -> None:
        """Send a command; what it clears is cleared if it got through."""
        it = self._of
        if it.agent is None or not it.centre.reachable:
            return
        self._asked += 1
        now = datetime.fromtimestamp(it.clock.true, tz=UTC).isoformat()
        topic = f"{topics_of(it.config).base}/cmd/{act.verb}"
        it.centre.ask(topic, {"id": f"rehearsal-{self._asked}", "by": act.by, "ts": now, **act.args})
        it.agent.send_soon()
        if act.clears is not None:
            it.truth.cleared[act.clears] += 1

    def _booted(self, act: PowerCut, stopped: float) -> float:
        """Return what the clock shows after the boot, Unix seconds."""
        match act.clock:
            case "right":
                return self._of.clock.true
            case "1970":
                return 0.0
            case "stopped":
                return stopped
            case shown:
                return unix(shown, self._of.config.station.zone)

    def _shown(self, act: ClockFault) -> float:
        if act.shows is None:
            return self._of.clock.true + 3600 * (act.off_by or 0.0)
        return 0.0 if act.shows == "1970" else unix(act.shows, self._of.config.station.zone)


def _seconds(after: float | str) -> float | None:
    return after if isinstance(after, float) else None
