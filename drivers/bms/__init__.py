"""Battery-management boards: what a battery in a slot says of itself."""

from drivers.bms.driver import Bms

DRIVER = Bms
