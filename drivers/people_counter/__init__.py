"""People through a door, counted by two light beams."""

from drivers.people_counter.driver import PeopleCounter
from drivers.people_counter.driver import PeopleCounterOptions as Options
from drivers.people_counter.simulator import PeopleCounterSimulator as Simulator

DRIVER = PeopleCounter

__all__ = ["DRIVER", "Options", "Simulator"]
