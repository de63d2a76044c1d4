"""The machine the agent runs on: heat, supply, storage, network and clock."""

from drivers.system.driver import System
from drivers.system.driver import SystemOptions as Options
from drivers.system.simulator import SystemSimulator as Simulator

DRIVER = System

__all__ = ["DRIVER", "Options", "Simulator"]
