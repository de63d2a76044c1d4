"""The journal with its Recorder: opened first, closed last."""

import shutil
from pathlib import Path
from typing import Any

from edge_agent.clock import Clock
from edge_agent.config.model import Config
from edge_agent.early import Early
from edge_agent.journal.quota import Limits
from edge_agent.journal.reader import Reader
from edge_agent.journal.spare import MAX_BYTES, open_somewhere
from edge_agent.journal.upkeep import Upkeep
from edge_agent.parts.settings import cabinets_of, recorder_settings
from edge_agent.picture import Picture
from edge_agent.recorder.recorder import Recorder
from edge_agent.records import Alarm
from edge_agent.rules.abilities import STATION
from edge_agent.rules.make import conditions_of, make_rules
from edge_agent.rules.rule import Rules


class Store:
    """What has been accepted, on the disk or, while that takes nothing, in memory; `state` is what was remembered."""

    def __init__(self, config: Config, clock: Clock, picture: Picture) -> None:
        self._place = open_somewhere(config.journal.dir, clock.boot_id, station=config.station.id)
        self.journal = self._place.opened.journal
        self.state = self.journal.state()
        room = MAX_BYTES if self.in_memory else config.journal.max_size
        self._upkeep = Upkeep(self._place.opened, Limits(max_bytes=room))
        self.recorder = Recorder(
            self.journal,
            clock,
            recorder_settings(config),
            picture,
            cabinets_of(config, self.state),
            rules=make_rules(config, self.state, self.journal.ledger(), self.directory),
            upkeep=self._upkeep,
        )

    @property
    def directory(self) -> Path:
        """Where the journal is, and the keys of days beside it."""
        return self._place.directory

    @property
    def flights(self) -> Path:
        """Where flight records are."""
        return self.directory / "flight"

    @property
    def in_memory(self) -> bool:
        """True while it stands in for one on the disk."""
        return bool(self._place.why)

    def early(self, config: Config, clock: Clock) -> Early:
        """Build what judges ahead of the journal the alarms that call for a reflex."""
        codes = frozenset(code for reflex in config.reflex for code in reflex.causes)
        rules = Rules([conditions_of(config, self.state, codes)])
        return Early(cabinets_of(config, self.state), rules, self.journal.boot, clock)

    def reader(self) -> Reader:
        """Open the journal for reading."""
        return Reader(self.directory)

    def declare(self) -> None:
        """Tell the centre what a damaged journal has cost, or that there is none on the disk."""
        for code, why in (("journal_damaged", self._place.opened.damage), ("journal_unwritable", self._place.why)):
            detail: dict[str, Any] = {"why": why} if why else {}
            self.recorder.submit(STATION, [Alarm(code, active=bool(why), detail=detail)])
        # Whatever rule has failed before, the rules are new now.
        self.recorder.submit(STATION, [Alarm("rule_failed", active=False)])

    def close(self) -> None:
        """Let go of the files; one in memory is gone with that."""
        self._upkeep.close()
        self.journal.close()
        if self.in_memory:
            shutil.rmtree(self.directory, ignore_errors=True)
