"""Battery-management boards: what a battery in a slot says of itself."""

from drivers.bms import decoder_daly, decoder_jbd, decoder_jk, decoder_ydt
from drivers.bms.driver import Bms
from drivers.bms.scan import SCANS
from edge_agent.driver import Decoder

DRIVER = Bms

DECODERS = {
    "bms_jbd": Decoder(decoder_jbd.explain, decoder_jbd.find),
    "bms_jbd_up": Decoder(decoder_jbd.explain, decoder_jbd.find),
    "bms_daly": Decoder(decoder_daly.explain, options=decoder_daly.OPTIONS),
    "bms_jk": Decoder(decoder_jk.explain, decoder_jk.find, decoder_jk.OPTIONS),
    "bms_pylontech": Decoder(decoder_ydt.explain_pylontech, decoder_ydt.find, decoder_ydt.OPTIONS),
    "bms_pace_seplos": Decoder(decoder_ydt.explain_pace_seplos, decoder_ydt.find, decoder_ydt.OPTIONS),
}

__all__ = ["DECODERS", "DRIVER", "SCANS"]
