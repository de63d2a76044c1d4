"""Card readers that send every card by themselves over a serial line."""

from drivers.card_uart.driver import CardUart
from drivers.card_uart.options import CardUartOptions as Options
from drivers.card_uart.simulator import CardUartSimulator as Simulator

DRIVER = CardUart

__all__ = ["DRIVER", "Options", "Simulator"]
