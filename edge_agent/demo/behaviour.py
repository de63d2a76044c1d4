"""How the broker misbehaves, as plain data: the faults real brokers showed, each for a test to switch on.

Faults combine freely, and a running broker takes a new `Behaviour` at once (`broker.behaviour = ...`):

    Behaviour(ack_delay_s=2.0)                                          # slow
    Behaviour(hold_acks=True, reverse_acks=True)                        # broker.release(): newest first
    Behaviour(refusals=(Refusal("+/v1/#", ReasonCode.QUOTA_EXCEEDED, times=3),))
    Behaviour(receive_maximum=1, drop_after=100)
"""

from dataclasses import dataclass

from edge_agent.demo.mqtt_wire import ReasonCode


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answer QoS 1 messages to matching topics with `reason`; the first `times` of them, or all with None.

    With a reason of 0x80 or more the message is not accepted: the sink, the subscribers and the retained store never
    see it. Messages of QoS 0 have no answer that could carry a reason and pass. The first refusal that matches is used.
    """

    topic_filter: str
    reason: ReasonCode
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What to do differently from a good broker; without arguments: nothing. A publish here is one of QoS 0 or 1."""

    black_hole: bool = False
    """Accept TCP, then neither read nor write, until `broker.release()`."""

    refuse_connect: ReasonCode | None = None
    """Answer every CONNECT with this reason and close."""

    connack_bytes: bytes | None = None
    """Send these bytes in place of each CONNACK."""

    close_after_connack: bool = False
    """Admit the client, then close without DISCONNECT."""

    receive_maximum: int | None = None
    """Announce this limit of unacknowledged QoS 1 publishes, and end with DISCONNECT 0x93 whoever exceeds it."""

    server_keep_alive: int | None = None
    """Announce and enforce this keep alive, in seconds, in place of the client's own."""

    never_ack: bool = False
    """Accept QoS 1 publishes and never say so."""

    hold_acks: bool = False
    """Keep PUBACKs back until `broker.release()`."""

    ack_delay_s: float = 0.0
    """Send each PUBACK this many seconds late (precision: the broker's tick)."""

    reverse_acks: bool = False
    """Send PUBACKs newest first: all that wait when the oldest of them is due, at the tick or on release."""

    puback_bytes: bytes | None = None
    """Send these bytes in place of each PUBACK."""

    refusals: tuple[Refusal, ...] = ()
    """Reason codes for chosen topics."""

    drop_after: int | None = None
    """Reset each connection at its nth publish: that one is accepted, its acknowledgement is not sent."""

    silent_after: int | None = None
    """From each connection's nth publish on (that one is accepted) neither read nor write, until `broker.release()`."""
