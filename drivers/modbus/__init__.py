"""Modbus RTU devices, each described by a profile."""

from drivers.modbus.driver import ModbusDriver

DRIVER = ModbusDriver

__all__ = ["DRIVER"]
