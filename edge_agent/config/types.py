"""The kinds of value a station file holds, each with its check and a message that says what to write instead."""

import ipaddress
import re
import zoneinfo
from datetime import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def misfit(key: str, text: str) -> PydanticCustomError:
    """Return the error of a check over several keys of a table that is best shown at the line of `key`."""
    return PydanticCustomError("misfit", "{text}", {"key": key, "text": text})


def _id(text: str) -> str:
    if "{n" in text:
        raise ValueError("has a number to fill in – add repeat = 12 (or as many as there are) to this table")
    if not _ID.fullmatch(text):
        raise ValueError(
            "is not a usable id – take 2 to 32 of a-z, 0-9 and -, beginning with a letter or digit; "
            "names for people go into name or label"
        )
    return text


def _absolute(text: object) -> object:
    if not isinstance(text, str) or not text.startswith("/"):
        raise ValueError('is not a full path – write it from the root, like "/etc/edge-agent/…"')
    return text


def _device_file(text: str) -> str:
    if not text.startswith("/dev/"):
        raise ValueError('is not a device file – write it like "/dev/serial/by-path/…" (ls /dev/serial/by-path)')
    return text


def _ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(
            'is not an IP address – give the device a fixed one and write it like "192.168.1.100"'
        ) from None


def _zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError('is not a time zone – take an IANA name, like "Asia/Shanghai"') from None
    return name


def _time_of_day(text: object) -> time:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('is not a time of day – write hours and minutes as text, like "04:00"')
    return time(int(match[1]), int(match[2]))


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError('is not an address and port – write it like "127.0.0.1:8080"')
    return text


def _broker(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in {"mqtt", "mqtts"} and bool(url.hostname) and url.port != 0
    except ValueError:
        raise ValueError(_BROKER) from None
    if url.username is not None or url.password is not None:
        raise ValueError("holds a user or password – use username and password_file; secrets are never in this file")
    if not usable or url.path.strip("/") or url.query or url.fragment:
        raise ValueError(_BROKER)
    return text


_BROKER = 'is not the address of a broker – write it like "mqtts://broker.example.org:8883"'
"""The text given is never repeated: it may hold a password."""


Id = Annotated[str, AfterValidator(_id), WithJsonSchema({"type": "string", "format": "id"})]
"""An id of the wire contract: it becomes one level of a topic."""
File = Annotated[
    Path,
    BeforeValidator(_absolute),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "full path"}),
]
"""A full path."""
DeviceFile = Annotated[str, AfterValidator(_device_file)]
"""A file below /dev."""
IpAddress = Annotated[str, AfterValidator(_ip_address)]
"""An IPv4 or IPv6 address: a name would need a name server, and a station must work without."""
Zone = Annotated[str, AfterValidator(_zone)]
"""Name of an IANA time zone."""
TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    PlainSerializer(lambda at: at.strftime("%H:%M"), return_type=str),
    WithJsonSchema({"type": "string", "format": "time of day"}),
]
"""Hours and minutes, local."""
Listen = Annotated[str, AfterValidator(_listen)]
"""Address and port to listen on."""
Broker = Annotated[str, AfterValidator(_broker)]
"""URL of an MQTT broker without user and password."""


class Table(BaseModel):
    """A table of the station file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Names(Table):
    """A name for people."""

    zh: Annotated[str, Field(min_length=1)]
    """Chinese name."""
    en: Annotated[str, Field(min_length=1)]
    """English name."""
