"""Finding battery boards: each make is read at its usual speeds; a board that is not there costs one silence.

Boards whose frames carry no address are found only while they are alone on their pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge_agent.driver import Json, Scan

_SIGN = "charge the battery once: current_a must be above 0, else set current_sign"


def _alone(**keys: Json) -> Scan:
    """Return the scan of a make without addresses."""
    return Scan(range(1), lambda _, __: [keys], within=0.4, longest=320, note=_SIGN)


def _addressed(addresses: range, **keys: Json) -> Scan:
    """Return the scan of a make with addresses; the address is put into each question."""

    def candidates(address: int, answer: bytes) -> Sequence[Mapping[str, Json]]:
        del answer
        return [{**keys, "address": address}]

    return Scan(addresses, candidates, longest=200, note=_SIGN)


SCANS = {
    "bms_jbd": _alone(family="jbd", framing="dd"),
    "bms_jbd_up": _addressed(range(1, 248), family="jbd", framing="up"),
    "bms_daly": _alone(family="daly", framing="a5", host="4"),
    "bms_daly_uart": _alone(family="daly", framing="a5", host="8"),
    "bms_daly_modbus": _addressed(range(1, 16), family="daly", framing="modbus"),
    "bms_seplos_v3": replace(_addressed(range(16), family="seplos_v3"), lines=((19200, "N"), (9600, "N")), modbus=True),
    "bms_ydt1363": replace(
        _addressed(range(255), family="ydt1363", dialect="auto"),
        lines=((9600, "N"), (19200, "N"), (115200, "N")),
        usual=16,
    ),
    "bms_jk": replace(_alone(family="jk"), lines=((115200, "N"), (9600, "N"))),
}
"""Protocol -> scan."""
