"""Lock boards of parcel and battery cabinets: door states, and opening a door."""

from drivers.lockboard.driver import LockBoard

DRIVER = LockBoard
