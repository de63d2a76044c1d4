"""Modbus devices, each described by a profile."""

from drivers.modbus.decoder import DECODERS
from drivers.modbus.driver import ModbusDriver

DRIVER = ModbusDriver

__all__ = ["DECODERS", "DRIVER"]
