"""Writes the published contract from the code's own models: `python -m edge_agent.uplink.schema config/schema`.

One JSON Schema (draft 7, which every AsyncAPI tool reads) for each kind of payload, and one AsyncAPI 3.0 document that
says on which topic it travels.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from edge_agent.uplink import contract, verbs
from edge_agent.uplink.payloads import MAX_PAYLOAD
from edge_agent.uplink.retained import PUBLIC_EXPIRY
from edge_agent.uplink.topics import CONTRACT, Topics

_DIALECT = "http://json-schema.org/draft-07/schema#"
_FORMAT = "application/schema+json;version=draft-07"
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Channel:
    """One class of topics; `expiry` in seconds. What the station receives is `inbound`."""

    name: str
    topic: str
    model: type[BaseModel]
    retain: bool = False
    expiry: int | None = None
    inbound: bool = False


_OF = Topics("{root}", "{region}", "{district}", "{station}")
CHANNELS = (
    Channel("status", _OF.leaf("status"), contract.Status, retain=True),
    Channel("info", _OF.leaf("info"), contract.Info, retain=True),
    Channel("state", _OF.state("{device}"), contract.State, retain=True, expiry=_DAY),
    Channel("usage", _OF.leaf("usage"), contract.Usage, retain=True),
    Channel("public", _OF.leaf("public"), contract.Public, retain=True, expiry=PUBLIC_EXPIRY),
    Channel("event", _OF.event("{device}"), contract.Event),
    Channel("alarm", _OF.alarm("{device}", "{code}"), contract.Alarm, retain=True),
    Channel("tele", _OF.tele("{device}"), contract.Tele, expiry=7 * _DAY),
    Channel("gap", _OF.gap("{stream}"), contract.Gap),
    Channel("clock", _OF.leaf("clock"), contract.Correction),
    Channel("reply", _OF.reply("{command}"), contract.Reply, expiry=60),
    Channel("cmd-device", f"{_OF.base}/cmd/{{device}}/{{verb}}", contract.DeviceCommand, expiry=60, inbound=True),
    Channel("cmd-journal-resend", f"{_OF.base}/cmd/journal/resend", verbs.Resend, expiry=60, inbound=True),
    Channel("cmd-journal-committed", f"{_OF.base}/cmd/journal/committed", verbs.Committed, expiry=60, inbound=True),
)
_PARAMETERS = {
    "root": "First level, `stations` unless the station file says otherwise.",
    "region": "Region of the station.",
    "district": "District in that region.",
    "station": "Id of the station.",
    "device": "Id of the device; `journal`, `system` and `station` are the agent itself.",
    "code": "Code of the alarm.",
    "stream": "`alarm`, `usage` or `tele`.",
    "verb": "What the device is to do: one of its driver's verbs.",
    "command": "Id of the command that is answered.",
}


class _Absent(GenerateJsonSchema):
    """What may be None in a model may be absent on the wire; it is never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Leave null out."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """A default is only how a model says that a key may be absent."""
        return self.generate_inner(schema["schema"])


def schema_of(channel: Channel) -> dict[str, Any]:
    """Return the JSON Schema of one kind of payload."""
    made = channel.model.model_json_schema(by_alias=True, schema_generator=_Absent)
    return {"$schema": _DIALECT, "$id": f"{channel.name}.json", **made}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document; its schemas are the files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Unmanned station",
            "version": f"{CONTRACT.removeprefix('v')}.0.0",
            "description": "What a station publishes over MQTT 5 and what it can be asked. QoS 1 throughout; "
            f"payloads are UTF-8 JSON of at most {MAX_PAYLOAD} bytes. Rules beyond the shape: docs/wire-contract.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {channel.name: _operation(channel) for channel in CHANNELS},
    }


def _channel(channel: Channel) -> dict[str, Any]:
    summary = (channel.model.__doc__ or "").split("\n\n")[0]
    payload = {"schemaFormat": _FORMAT, "schema": {"$ref": f"./{channel.name}.json"}}
    message = {"summary": summary, "payload": payload}
    used = {name: {"description": text} for name, text in _PARAMETERS.items() if f"{{{name}}}" in channel.topic}
    return {"address": channel.topic, "parameters": used, "messages": {channel.name: message}}


def _operation(channel: Channel) -> dict[str, Any]:
    """`send` and `receive` are the station's own point of view (AsyncAPI 3.0, Operation Object)."""
    binding: dict[str, Any] = {"qos": 1, "retain": channel.retain, "bindingVersion": "0.2.0"}
    if channel.expiry is not None:
        binding["messageExpiryInterval"] = channel.expiry
    return {
        "action": "receive" if channel.inbound else "send",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{channel.name}"}],
        "bindings": {"mqtt": binding},
    }


def files() -> Iterator[tuple[str, str]]:
    """Yield (file name, content) of everything that is published."""
    for channel in CHANNELS:
        yield f"{channel.name}.json", _text(schema_of(channel))
    yield "asyncapi.json", _text(asyncapi())


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file, content in files():
        (Path(sys.argv[1]) / file).write_text(content, encoding="utf-8")
