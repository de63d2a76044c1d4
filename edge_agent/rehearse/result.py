"""What is in the journal after a rehearsal, as one object: the keys of `edge-agent rehearse --json`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from edge_agent.journal.account import read
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS
from edge_agent.ledger import LIFE, Calendar
from edge_agent.rehearse.expect import Check, differences, unmet
from edge_agent.rehearse.play import Rehearsal
from edge_agent.rehearse.seen import Seen

Result: TypeAlias = dict[str, Any]


def result_of(rehearsal: Rehearsal, journal: Path) -> Result:
    """Return the result of a rehearsal that has been played; `journal` is the folder it was played in."""
    reader = Reader(journal)
    try:
        found = _found(rehearsal, reader)
    finally:
        reader.close()
    truth = rehearsal.truth
    found["truth"] = {
        "ledger": {"lifetime": truth.lifetime(), "days": truth.days()},
        "alarms": truth.alarms(),
        "outages": {
            f"outage/{cause}": {"count": count, "seconds": truth.down_s[cause]}
            for cause, count in sorted(truth.outages.items())
        },
        "visitors": truth.visitors(),
        "missed_swipes": truth.missed,
        "hours_known": not truth.lied,
        "all_dated": not truth.lied and set(range(1, rehearsal.clock.boots + 1)) <= truth.synced,
    }
    checks: list[Check] = [*differences(found, rehearsal.script.expect), *unmet(found, rehearsal.script.expect)]
    found["checks"] = [check.body() for check in checks]
    found["holds"] = all(check.holds for check in checks)
    return found


def _found(rehearsal: Rehearsal, reader: Reader) -> Result:
    script, config = rehearsal.script, rehearsal.config
    offsets = reader.offsets()

    def time_of(row: Row) -> str | None:
        ms = row.wall_ms if row.good else row.mono_ms + offsets[row.boot] if row.boot in offsets else None
        return None if ms is None else datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat(timespec="seconds")

    return {
        "station": config.station.id,
        "from": str(script.start),
        "lasts_s": round(script.lasts),
        "seed": script.seed,
        "ledger": _ledger(reader, Calendar(config.station.zone, config.station.day_starts)),
        "alarms": _alarms(rehearsal.seen),
        "swaps": [{"time": time_of(row), "device": row.device, **json.loads(row.body)} for row in rehearsal.seen.swaps],
        "visitors": dict(sorted(rehearsal.seen.visitors.items())),
        "outages": _outages(rehearsal.seen),
        "abilities": {ability.name: _states(reader, ability.name) for ability in config.ability},
        "comfort": _states(reader, "comfort"),
        "gaps": [_gap(row) for row in rehearsal.seen.gaps],
        "records": {stream: rehearsal.seen.records[stream] for stream in STREAMS},
        "centre": _centre(rehearsal, reader),
        "commands": {
            reply["id"]: {"ok": reply["ok"], **({"reason": reply["reason"]} if "reason" in reply else {})}
            for reply in rehearsal.centre.replies.values()
        },
        "starts": {"boots": rehearsal.clock.boots, "kills": rehearsal.kills, "restarts": rehearsal.restarts},
    }


def _ledger(reader: Reader, calendar: Calendar) -> Result:
    account = read(reader, calendar)
    return {
        "lifetime": dict(sorted(account.lifetime.items())),
        "undated": dict(sorted(account.undated.items())),
        "days": {
            str(when): {"totals": dict(sorted(day.totals.items())), "hours": dict(sorted(day.hours.items()))}
            for when, day in sorted(account.days.items())
        },
    }


def _alarms(seen: Seen) -> Result:
    """Return DEVICE/CODE -> how often raised and cleared, and whether it is raised at the end."""
    return {
        name: {"raised": seen.raised[name], "cleared": seen.cleared[name], "active": active}
        for name, active in sorted(seen.active.items())
    }


def _outages(seen: Seen) -> Result:
    """Return TYPE/CAUSE -> how often, and how many seconds in all as far as they are known."""
    found: dict[str, dict[str, int]] = {}
    for row in seen.outages:
        body = json.loads(row.body)
        one = found.setdefault(f"{row.type}/{body['cause']}", {"count": 0, "seconds": 0})
        one["count"] += 1
        one["seconds"] += body.get("seconds", 0)
    return dict(sorted(found.items()))


def _states(reader: Reader, subject: str) -> dict[str, int]:
    """Return state -> seconds, of an ability or of comfort."""
    counts = {name: count for (bucket, name), count in reader.ledger().items() if bucket == LIFE}
    head = f"{subject}_"
    states = {name: count for name, count in counts.items() if name.startswith(head) and name.endswith("_s")}
    return {name.removeprefix(head).removesuffix("_s"): count for name, count in sorted(states.items())}


def _gap(row: Row) -> Result:
    body = json.loads(row.body)
    return {"stream": row.stream, **{key: body[key] for key in ("from_seq", "to_seq", "reason")}}


def _centre(rehearsal: Rehearsal, reader: Reader) -> Result:
    """Return what reached the centre; `waiting` is accepted and not there yet."""
    sink = rehearsal.centre.sink
    arrived = {tuple(name.split("/")[1:]) for name in sink.records}
    epochs = reader.epochs()
    rows = ((epochs[row.epoch], row.stream, str(row.seq)) for row in reader.all_rows())
    return {
        "records": len(sink.records),
        "waiting": sum(row not in arrived for row in rows),
        "conflicting": sink.conflicting,
    }
