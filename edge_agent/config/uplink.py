"""The way to the broker, as the station file says it."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from edge_agent.config.types import Broker, File, Id, Table, is_loopback, misfit
from edge_agent.units import Duration


class Reconnect(Table):
    """Random pauses before reconnecting, so that a whole fleet does not return in one second."""

    first: Annotated[Duration, Field(ge=0.01, le=3600)] = 60.0
    """Longest pause before the first attempt; each further attempt doubles it."""
    ceiling: Annotated[Duration, Field(ge=0.01, le=3600)] = 300.0
    """Longest pause at all."""

    @model_validator(mode="after")
    def _ordered(self) -> "Reconnect":
        if self.ceiling < self.first:
            raise misfit("ceiling", "ceiling is shorter than first – make it at least as long")
        return self


class Uplink(Table):
    """The way to the MQTT broker. The client id is always the station's id."""

    broker: Broker
    """`mqtts://host:8883`; `mqtt://host:1883` (not encrypted) only to this machine, or with `insecure = true`."""
    insecure: bool = False
    """Allow an unencrypted connection to another machine. It raises the alarm `plaintext_uplink`."""
    root: Id = "stations"
    """First level of every topic."""
    username: str | None = None
    """User name at the broker; usually the station's id."""
    password_file: File | None = None
    """File with the password. Default: the systemd credential `mqtt-password`, if the service was given one."""
    ca_file: File | None = None
    """Certificates (PEM) of the authority that signed the broker's. Default: the systemd credential
    `tls_ca.pem`, else the authorities of the system."""
    cert_file: File | None = None
    """Certificate (PEM) by which this station proves who it is. Default: the systemd credential `tls_cert.pem`."""
    key_file: File | None = None
    """Private key (PEM) of `cert_file`. Default: the systemd credential `tls_key.pem`."""
    keepalive: Annotated[Duration, Field(ge=5, le=3600)] = 60.0
    """Longest silence on the connection before it is tested."""
    reconnect: Reconnect = Reconnect()
    """Pauses before reconnecting."""
    pace: Annotated[int, Field(ge=0, le=10_000)] = 20
    """Backlog messages sent a second; 0 = as fast as the broker takes them."""
    window: Annotated[int, Field(ge=1, le=1000)] = 20
    """Messages sent and not yet acknowledged at most."""

    @model_validator(mode="after")
    def _consistent(self) -> "Uplink":
        if not self.tls and not self.insecure and not self.loopback:
            raise misfit("broker", "mqtt:// to another machine is not encrypted – use mqtts://, or set insecure = true")
        for name in ("ca_file", "cert_file", "key_file"):
            if not self.tls and getattr(self, name) is not None:
                raise misfit(name, f"{name} has no effect on mqtt:// – use mqtts:// or take it out")
        if self.password_file is not None and self.username is None:
            raise misfit("password_file", "password_file needs username – add it, usually the station's id")
        if (self.cert_file is None) != (self.key_file is None):
            given = "cert_file" if self.key_file is None else "key_file"
            raise misfit(given, "cert_file and key_file belong together – give both or neither")
        return self

    @property
    def tls(self) -> bool:
        """True if the connection is encrypted."""
        return self.broker.startswith("mqtts:")

    @property
    def host(self) -> str:
        """Name or address of the broker."""
        return urlsplit(self.broker).hostname or ""

    @property
    def port(self) -> int:
        """TCP port of the broker; 8883 with TLS and 1883 without unless named (IANA service names)."""
        return urlsplit(self.broker).port or (8883 if self.tls else 1883)

    @property
    def loopback(self) -> bool:
        """True if the broker is on this machine."""
        return is_loopback(self.host)
