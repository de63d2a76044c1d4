"""Card readers that must be asked for the card on them."""

from drivers.card_polled.decoder import explain
from drivers.card_polled.driver import CardPolled
from drivers.card_polled.driver import CardPolledOptions as Options
from drivers.card_polled.simulator import CardPolledSimulator as Simulator

DRIVER = CardPolled
DECODERS = {"uart_polled_reader": explain}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
