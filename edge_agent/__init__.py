"""Edge agent for unmanned 24-hour stations: reads the wires, keeps every count, tells the centre."""

__version__ = "0.1.0"
