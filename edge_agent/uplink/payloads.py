"""Payloads of the wire contract: pure functions from rows and pictures to UTF-8 JSON.

The journal stores what happened, not the message: time corrections that became known later are applied here, where a
row is rendered.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from edge_agent.journal.row import Row
from edge_agent.picture import Device, Point, Totals
from edge_agent.records import Json, Quality

MAX_PAYLOAD = 8192
"""Bytes; the contract's limit, which every broker of the fleet takes."""
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999, where RFC 3339 ends too."""
_SECONDS = "_s"
"""End of the ledger's names that count seconds: their hours are in `service` events, and too long for each message."""
_INTERVALS = frozenset({"outage", "uplink_outage", "mains_outage"})
"""Events that say from when to when something lasted."""
_MAX_STATE_TUPLE = 8
"""Longer number lists (cell voltages) travel in `tele` only."""


@dataclass(frozen=True, slots=True)
class Names:
    """What rendering needs besides the row: the station's id, epoch names and the clock offsets of past boots."""

    station: str
    epochs: Mapping[int, str]
    offsets: Mapping[int, int]

    def id(self, row: Row) -> str:
        """`<station>/<epoch>/<stream>/<seq>`: the record's name for ever."""
        return f"{self.station}/{self.epochs[row.epoch]}/{row.stream}/{row.seq}"

    def time(self, boot: int, mono_ms: int, wall_ms: int, good: object) -> str:
        """RFC 3339 UTC with milliseconds; computed if the clock was not good and the boot's offset is known.

        The wall clock of such a boot may have been stepped any number of times; its monotonic clock was not.
        """
        if not good and boot in self.offsets:
            return rfc3339(mono_ms + self.offsets[boot])
        return rfc3339(wall_ms)

    def clock(self, boot: int, *, good: bool) -> str:
        """`synced`, `corrected` (dated afterwards) or `unsynced`."""
        if good:
            return "synced"
        return "corrected" if boot in self.offsets else "unsynced"


def rfc3339(wall_ms: int) -> str:
    """Format Unix milliseconds; a wall clock out of datetime's range (a broken battery clock) is clamped."""
    seconds, ms = divmod(min(max(wall_ms, 0), _LAST_MS), 1000)
    return f"{_second(seconds)}.{ms:03}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Neighbouring rows share their second: half the cost of rendering a backlog was here."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def encode(body: Mapping[str, Json] | Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def event(row: Row, names: Names, *, late: bool) -> bytes:
    """Render a usage-stream record; its body is spliced in as stored, which keeps a long backlog cheap to send."""
    if row.type in _INTERVALS:
        row = _with(row, _dated(json.loads(row.body), names))
    return _record(row, names, late=late, extra=f',"type":"{row.type}"').encode()


def alarm(row: Row, names: Names, *, late: bool) -> bytes:
    """Render an alarm-stream record; `since` is stored as a stamp so that it can be corrected like the row itself."""
    body = json.loads(row.body)
    body["since"] = names.time(*body.pop("since"))
    if "shelved" in body:
        body["shelved"]["until"] = names.time(*body["shelved"]["until"])
    return _record(_with(row, body), names, late=late).encode()


def is_cleared(row: Row) -> bool:
    """Return True if an alarm-stream row says that the alarm is over."""
    return row.body.startswith('{"state":"cleared"')


def gap(row: Row, names: Names) -> bytes:
    """Render a declared loss."""
    return _record(_with(row, _dated(json.loads(row.body), names)), names, late=False).encode()


def _dated(body: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return `body` with the times of the stamps `from` and `to`, stored so that they can be corrected like a row."""
    times = {f"{key}_ts": names.time(*body.pop(key)) for key in ("from", "to") if key in body}
    return body | times


def correction(row: Row, names: Names) -> bytes:
    """Render a `clock_correction`: by how much the times of a boot, sent before its clock was good, were wrong."""
    return _record(_with(row, {"stream": row.stream} | json.loads(row.body)), names, late=False).encode()


def tele(rows: Sequence[Row], names: Names, *, late: bool) -> bytes:
    """Render a batch of samples of one device and one epoch."""
    samples = ",".join(_sample(row, names) for row in rows)
    mark = ',"late":true' if late else ""
    return f'{{"epoch":"{names.epochs[rows[0].epoch]}"{mark},"samples":[{samples}]}}'.encode()


def _sample(row: Row, names: Names) -> str:
    stamp = names.time(row.boot, row.mono_ms, row.wall_ms, row.good)
    clock = "" if row.good else f',"clock":"{names.clock(row.boot, good=False)}"'
    return f'{{"seq":{row.seq},"ts":"{stamp}"{clock}{_rest(row.body)}'


def _record(row: Row, names: Names, *, late: bool, extra: str = "") -> str:
    stamp = names.time(row.boot, row.mono_ms, row.wall_ms, row.good)
    clock = names.clock(row.boot, good=row.good)
    head = f'{{"id":"{names.id(row)}","epoch":"{names.epochs[row.epoch]}","seq":{row.seq}{extra},"ts":"{stamp}"'
    return f'{head},"clock":"{clock}","late":{"true" if late else "false"}{_rest(row.body)}'


def _with(row: Row, body: Mapping[str, Json]) -> Row:
    return row._replace(body=json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _rest(body: str) -> str:
    """Continue an open JSON object with the members of `body`."""
    return "}" if body == "{}" else "," + body[1:]


def state(device: Device, now_ms: int) -> bytes:
    """Render the latest picture of a device: each value with its own time and quality."""
    points: dict[str, Json] = {}
    for name, point in device.points.items():
        value = point.reading.value
        if not (isinstance(value, tuple) and len(value) > _MAX_STATE_TUPLE):
            points[name] = _point(point)
    return encode({"ts": rfc3339(now_ms), "points": points})


def _point(point: Point) -> dict[str, Json]:
    reading = point.reading
    rendered: dict[str, Json] = {}
    if reading.value is not None:
        rendered["value"] = list(reading.value) if isinstance(reading.value, tuple) else reading.value
    rendered["ts"] = rfc3339(point.wall_ms)
    rendered["quality"] = str(reading.quality)
    if reading.quality is not Quality.GOOD:
        rendered["since"] = rfc3339(point.since_ms)
        rendered["why"] = reading.why
    return rendered


def usage(totals: Totals, now_ms: int) -> bytes:
    """Render the ledger: numbers that can be proved against the events up to `upto`."""
    body: dict[str, Any] = {
        "ts": rfc3339(now_ms),
        "lifetime": {"epoch": totals.epoch_name, **totals.lifetime},
        "undated": dict(totals.undated),
        "upto": {"epoch": totals.epoch_name, "seq": totals.seq},
    }
    if totals.day is not None:
        hours = {name: list(counts) for name, counts in totals.hours.items()}
        counted = {name: counts for name, counts in hours.items() if not name.endswith(_SECONDS)}
        body["today"] = {"day": str(totals.day), **totals.today, **totals.figures}
        body["this_hour"] = {"hour": totals.hour, **{name: counts[totals.hour] for name, counts in hours.items()}}
        body["hours"] = counted
        body["yesterday"] = dict(totals.yesterday)
    return encode(body)


def public(card: Mapping[str, Json], now_ms: int) -> bytes:
    """Render the public station card."""
    said = dict(card)
    since_ms = said.pop("since_ms", None)
    since = {"since": rfc3339(since_ms)} if isinstance(since_ms, int) else {}
    return encode({"ts": rfc3339(now_ms)} | since | said)


def status(*, online: bool, session: str, now_ms: int | None = None, reason: str = "") -> bytes:
    """Render `status` and the will; `session` tells a late will of an earlier connection apart."""
    body: dict[str, Json] = {"state": "online" if online else "offline"}
    if reason:
        body["reason"] = reason
    if now_ms is not None:
        body["ts"] = rfc3339(now_ms)
    body["session"] = session
    return encode(body)


def reply(command: str, *, ok: bool, reason: str, result: Mapping[str, Json]) -> bytes:
    """Render the answer to a command; `reason` says why not, `result` is what the verb has to say."""
    body: dict[str, Any] = {"id": command, "ok": ok}
    if reason:
        body["reason"] = reason
    return encode(body | dict(result))
