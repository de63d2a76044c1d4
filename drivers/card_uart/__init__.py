"""Card readers that send every card by themselves over a serial line."""

from drivers.card_uart.decoder import OPTIONS, explain
from drivers.card_uart.driver import CardUart
from drivers.card_uart.options import CardUartOptions as Options
from drivers.card_uart.simulator import CardUartSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = CardUart
DECODERS = {"rdm6300": Decoder(explain, options=OPTIONS)}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
