"""Doors, buttons, detectors and pulses on GPIO lines."""

from drivers.contacts.driver import Contacts
from drivers.contacts.options import ContactsOptions as Options
from drivers.contacts.simulator import ContactsSimulator as Simulator

DRIVER = Contacts

__all__ = ["DRIVER", "Options", "Simulator"]
