"""Modbus devices, each described by a profile."""

from drivers.modbus.decoder import DECODERS
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.scan import SCAN

DRIVER = ModbusDriver
SCANS = {"modbus_rtu": SCAN}

__all__ = ["DECODERS", "DRIVER", "SCANS"]
