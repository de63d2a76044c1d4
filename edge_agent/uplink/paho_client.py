"""Paho's client, cured of what costs a station its connection or its speed; the only place that knows its insides.

Holds for paho 2.1 and 2.2. Each cure has a test that fails without it (tests/uplink).
"""

from typing import Literal

import paho.mqtt.client as mqtt
from paho.mqtt.client import PUBACK
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_PUBACK_CODES = frozenset({0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
"""Refusals that a PUBACK may carry (MQTT 5, table 3-4); paho takes any other for a malformed packet."""
_SUCCESS = ReasonCode(PacketTypes.PUBACK)
_NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]


class Client(mqtt.Client):
    """An MQTT 5 client without a thread of its own."""

    def __init__(self, client_id: str) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
        self.foreign: dict[int, int] = {}
        """Packet id -> reason code that the standard does not know for PUBACK."""

    def keep_alive(self, seconds: int) -> None:
        """Take over the server's wish: paho 2.1 ignores it and would be thrown out for silence."""
        self._keepalive = seconds

    def reason(self, code: ReasonCode) -> ReasonCode:
        """Return why the broker ends the connection: paho 2.1 passes over a code that has no properties behind it."""
        packet = self._in_packet["packet"]
        return ReasonCode(PacketTypes.DISCONNECT, identifier=packet[0]) if packet else code

    def _sock_send(self, buf: bytes | bytearray) -> int:
        """Leave it to reading to find a broken connection.

        A write that fails makes paho close the socket at once, with the broker's last words (DISCONNECT and its
        reason) still unread in it.
        """
        try:
            return super()._sock_send(buf)
        except BlockingIOError:
            raise
        except OSError as error:
            raise BlockingIOError from error

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """Take the plain PUBACK, nearly every one, by a short way: paho's own takes half as long as sending did.

        And hear reason codes that belong to other packets: mosquitto says 0x95 here to what exceeds its size limit.
        """
        packet = self._in_packet["packet"]
        if len(packet) == 2 and self._in_packet["command"] == PUBACK:
            mid = int.from_bytes(packet)
            with self._out_message_mutex:
                known = mid in self._out_messages
                return self._do_on_publish(mid, _SUCCESS, _NO_PROPERTIES) if known else MQTTErrorCode.MQTT_ERR_SUCCESS
        if len(packet) > 2 and packet[2] >= 0x80 and packet[2] not in _PUBACK_CODES:
            self.foreign[int.from_bytes(packet[:2])] = packet[2]
            self._in_packet["packet"] = bytearray(packet[:2] + b"\x80" + packet[3:])
        return super()._handle_pubackcomp(cmd)
