"""Battery-management boards: what a battery in a slot says of itself."""

from drivers.bms import decoder_daly, decoder_jbd, decoder_jk
from drivers.bms.decoder_ydt import explain_pace_seplos, explain_pylontech
from drivers.bms.driver import Bms
from drivers.bms.scan import SCANS

DRIVER = Bms

DECODERS = {
    "bms_jbd": decoder_jbd.explain,
    "bms_jbd_up": decoder_jbd.explain,
    "bms_daly": decoder_daly.explain,
    "bms_jk": decoder_jk.explain,
    "bms_pylontech": explain_pylontech,
    "bms_pace_seplos": explain_pace_seplos,
}

__all__ = ["DECODERS", "DRIVER", "SCANS"]
