"""The screen as JSON: `GET /api/status`. Times are ages in seconds; an absent value is an absent key."""

from dataclasses import asdict
from typing import Any

from edge_agent.page.cabinets import CabinetTile
from edge_agent.page.concerns import Concern
from edge_agent.page.devices import DeviceRow
from edge_agent.page.overview import Overview
from edge_agent.page.source import Source
from edge_agent.page.words import Bilingual


def report(source: Source, look: Overview) -> dict[str, Any]:
    """Return everything on the screen, in both languages where it is for people."""
    station, view = source.config.station, source.picture.view
    uplink, storage = view.uplink, view.storage
    return {
        "station": {"id": station.id, "name": _both(station.name)},
        "agent": {"version": source.version, "running_s": _age(look, look.machine.started)},
        "verdict": look.verdict.level,
        "concerns": [_concern(look, one) for one in look.concerns],
        "doubtful_devices": look.verdict.doubtful,
        "waiting_devices": look.verdict.waiting,
        "door": _known({"state": look.door.state, "age_s": _age(look, look.door.at), "stale": look.door.stale}),
        "visits": _known(
            {
                "today": look.visits.today,
                "undated": look.visits.undated,
                "yesterday": look.visits.yesterday,
                "last_s": _age(look, look.visits.last),
            }
        ),
        "climate": _known(
            {
                "temperature_c": look.climate.temperature,
                "humidity_pct": look.climate.humidity,
                "age_s": _age(look, look.climate.at),
                "stale": look.climate.stale,
                "aircon_observed": look.climate.observed,
                "aircon_commanded": look.climate.commanded,
            }
        ),
        "cabinets": [_cabinet(look, one) for one in look.cabinets],
        "uplink": _known(
            {
                "online": uplink.online,
                "since_s": _age(look, look.uplink.since),
                "why": uplink.why or None,
                "broker": uplink.broker,
                "pending": dict(uplink.pending),
                "oldest_s": None if look.uplink.oldest_s is None else round(look.uplink.oldest_s, 1),
                "published": uplink.published,
                "acknowledged": uplink.acknowledged,
            }
        ),
        "journal": {
            "accepted": dict(view.commits.accepted),
            "commits": view.commits.count,
            "slowest_commit_s": round(view.commits.slowest_s, 4),
            "trouble": storage.trouble,
            "used": dict(storage.used),
            "quota": dict(storage.quota),
            "room_days": storage.days,
            "written_day": storage.written_day,
        },
        "machine": {"clock_good": look.machine.clock_good, **_known(asdict(look.machine.machine))},
        "devices": [_device(look, one) for one in look.devices],
    }


def _concern(look: Overview, one: Concern) -> dict[str, Any]:
    return _known(
        {
            "device": one.device,
            "label": _both(one.label),
            "code": one.code,
            "severity": one.severity.value,
            "text": _both(one.text),
            "age_s": _age(look, one.since.at),
            "why": one.why or None,
            "acknowledged_by": one.by or None,
            "shelved_by": one.shelved or None,
            "latched": one.latched or None,
            "flapping": one.flapping or None,
        }
    )


def _cabinet(look: Overview, one: CabinetTile) -> dict[str, Any]:
    slots = [
        _known({"slot": slot.number, "state": slot.state, "door": slot.door, "soc_pct": slot.soc}) for slot in one.slots
    ]
    return _known(
        {
            "name": one.name,
            "available": one.available,
            "total": one.total,
            "state": one.state,
            "age_s": _age(look, one.at),
            "stale": one.stale,
            "slots": slots,
        }
    )


def _device(look: Overview, one: DeviceRow) -> dict[str, Any]:
    points = {
        point.name: _known({"value": point.value, "quality": point.quality.value, "why": point.why or None})
        for point in one.points
    }
    return _known(
        {
            "name": one.name,
            "label": _both(one.label),
            "state": one.state,
            "age_s": _age(look, one.at),
            "why": one.why or None,
            "polls": one.polls,
            "good": one.good,
            "failed": one.failed,
            "points": points,
        }
    )


def _both(text: Bilingual) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _age(look: Overview, at: float | None) -> float | None:
    return None if at is None else round(max(0.0, look.now - at), 1)


def _known(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}
