"""Card readers that must be asked for the card on them."""

from drivers.card_polled.decoder import explain, find
from drivers.card_polled.driver import CardPolled
from drivers.card_polled.driver import CardPolledOptions as Options
from drivers.card_polled.simulator import CardPolledSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = CardPolled
DECODERS = {"uart_polled_reader": Decoder(explain, find)}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
