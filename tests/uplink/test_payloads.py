"""The exact JSON of the wire contract, from stored rows and pictures."""

import json
from dataclasses import replace
from datetime import date

import pytest

from edge_agent.journal.row import Row
from edge_agent.picture import Device, Point, Totals
from edge_agent.records import Quality, Reading
from edge_agent.uplink import payloads
from edge_agent.uplink.payloads import Names

EPOCH = "0123456789abcdef"
NAMES = Names("s1", {1: EPOCH}, {2: 1_700_000_000_000})
WALL = 1_780_000_000_123
TS = "2026-05-28T20:26:40.123Z"


def row(body: str = "{}", stream: str = "usage", kind: str = "visit") -> Row:
    """Row 7 of the first epoch, stamped by a good clock."""
    return Row(stream, 1, 7, "door", kind, 1, 5000, WALL, good=True, body=body)


UNDATED = {"boot": 3, "good": False}
DATED_LATER = {"boot": 2, "good": False}


def test_event() -> None:
    """A usage record carries its id for ever, its order and its time before what it says."""
    assert payloads.event(row('{"direction":"进"}'), NAMES, late=False).decode() == (
        f'{{"id":"s1/{EPOCH}/usage/7","epoch":"{EPOCH}","seq":7,"type":"visit","ts":"{TS}",'
        '"clock":"synced","late":false,"direction":"进"}'
    )


def test_event_without_more() -> None:
    """An empty body adds nothing, and a late one says so."""
    body = json.loads(payloads.event(row(), NAMES, late=True))
    assert set(body) == {"id", "epoch", "seq", "type", "ts", "clock", "late"}
    assert body["late"] is True


@pytest.mark.parametrize(
    ("changes", "clock", "ts"),
    [(UNDATED, "unsynced", TS), (DATED_LATER, "corrected", "2023-11-14T22:13:25.000Z")],
)
def test_unsynced_time(changes: dict[str, object], clock: str, ts: str) -> None:
    """What a clock that was not good stamped is dated by its boot's offset once that is known, and says so."""
    body = json.loads(payloads.event(row()._replace(**changes), NAMES, late=False))  # type: ignore[arg-type]
    assert (body["clock"], body["ts"]) == (clock, ts)


@pytest.mark.parametrize(
    ("wall_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1 << 62, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_out_of_range(wall_ms: int, text: str) -> None:
    """A battery clock gone mad still gives a valid time."""
    assert payloads.rfc3339(wall_ms) == text


def test_alarm() -> None:
    """An alarm says since when, dated like the record itself."""
    stored = '{"state":"raised","severity":"major","since":[2,5000,0,0],"text":{"zh":"丢","en":"lost"},"count":3}'
    assert payloads.alarm(row(stored, "alarm", "link_lost"), NAMES, late=False).decode() == (
        f'{{"id":"s1/{EPOCH}/alarm/7","epoch":"{EPOCH}","seq":7,"ts":"{TS}","clock":"synced","late":false,'
        '"state":"raised","severity":"major","text":{"zh":"丢","en":"lost"},"count":3,"since":"2023-11-14T22:13:25.000Z"}'
    )


def test_cleared() -> None:
    """A cleared alarm is told from a raised one without parsing it."""
    assert payloads.is_cleared(row('{"state":"cleared","severity":"major"}'))
    assert not payloads.is_cleared(row('{"state":"raised","detail":{"state":"cleared"}}'))


def test_gap() -> None:
    """A gap names the range that will not come, with times where they are known."""
    stored = '{"from_seq":1,"to_seq":5,"from":[1,0,1780000000000,1],"reason":"overflow","count":5}'
    body = json.loads(payloads.gap(row(stored, "tele", "gap"), NAMES))
    assert body == {
        "id": f"s1/{EPOCH}/tele/7",
        "epoch": EPOCH,
        "seq": 7,
        "ts": TS,
        "clock": "synced",
        "late": False,
        "from_seq": 1,
        "to_seq": 5,
        "from_ts": "2026-05-28T20:26:40.000Z",
        "reason": "overflow",
        "count": 5,
    }


def test_an_interval() -> None:
    """An outage says from when to when; times of a boot that was dated later are those known now."""
    stored = '{"from":[1,0,1780000000000,1],"to":[2,500,7,0],"cause":"power"}'
    body = json.loads(payloads.event(row(stored, "usage", "outage"), NAMES, late=False))
    assert (body["type"], body["cause"], body["from_ts"]) == ("outage", "power", "2026-05-28T20:26:40.000Z")
    assert body["to_ts"] == NAMES.time(2, 500, 7, good=False)
    assert "from" not in body


def test_correction() -> None:
    """A clock correction names its stream."""
    stored = '{"boot":"b","offset_ms":5,"uncertainty_ms":1,"from_seq":1,"to_seq":6}'
    body = json.loads(payloads.correction(row(stored, "usage", "clock_correction"), NAMES))
    assert (body["stream"], body["offset_ms"], body["from_seq"], body["to_seq"]) == ("usage", 5, 1, 6)


def test_tele() -> None:
    """A batch names its epoch once; a sample tells its clock only if that was not good."""
    rows = [
        row('{"temperature_c":21.5}', "tele", "sample"),
        row("{}", "tele", "sample")._replace(seq=8, boot=3, good=False),
    ]
    assert payloads.tele(rows, NAMES, late=True).decode() == (
        f'{{"epoch":"{EPOCH}","late":true,"samples":[{{"seq":7,"ts":"{TS}","temperature_c":21.5}},'
        f'{{"seq":8,"ts":"{TS}","clock":"unsynced"}}]}}'
    )
    assert json.loads(payloads.tele(rows[:1], NAMES, late=False)) == {
        "epoch": EPOCH,
        "samples": [{"seq": 7, "ts": TS, "temperature_c": 21.5}],
    }


def test_state() -> None:
    """Each value has its own time and quality; an absent value no value; cell arrays are left to the telemetry."""
    points = {
        "temperature_c": Point(Reading("temperature_c", 21.5), WALL, 1.0, WALL),
        "humidity_pct": Point(Reading("humidity_pct", None, quality=Quality.BAD, why="no answer"), WALL, 1.0, 0),
        "temps_c": Point(Reading("temps_c", (20.0, 21.0)), WALL, 1.0, WALL),
        "cells_v": Point(Reading("cells_v", (3.3,) * 16), WALL, 1.0, WALL),
    }
    assert json.loads(payloads.state(Device(points, 1), WALL)) == {
        "ts": TS,
        "points": {
            "temperature_c": {"value": 21.5, "ts": TS, "quality": "good"},
            "humidity_pct": {"ts": TS, "quality": "bad", "since": "1970-01-01T00:00:00.000Z", "why": "no answer"},
            "temps_c": {"value": [20.0, 21.0], "ts": TS, "quality": "good"},
        },
    }


def test_usage() -> None:
    """The ledger tells lifetime, today, this hour and yesterday, and up to which record they can be proved."""
    hours = [0] * 24
    hours[9] = 4
    totals = Totals(EPOCH, 7, {"visits": 9}, date(2026, 5, 28), 9, {"visits": 4}, {"visits": hours}, {"visits": 5}, {})
    body = json.loads(payloads.usage(totals, WALL))
    assert body == {
        "ts": TS,
        "lifetime": {"epoch": EPOCH, "visits": 9},
        "undated": {},
        "upto": {"epoch": EPOCH, "seq": 7},
        "today": {"day": "2026-05-28", "visits": 4},
        "this_hour": {"hour": 9, "visits": 4},
        "hours": {"visits": hours},
        "yesterday": {"visits": 5},
    }
    undated = json.loads(payloads.usage(replace(totals, day=None, undated={"visits": 2}), WALL))
    assert "today" not in undated
    assert undated["undated"] == {"visits": 2}


def test_status() -> None:
    """Online, stopped, and the will, which has no time of its own."""
    assert payloads.status(online=True, session="ab", now_ms=WALL) == (
        f'{{"state":"online","ts":"{TS}","session":"ab"}}'.encode()
    )
    assert json.loads(payloads.status(online=False, session="ab", now_ms=WALL, reason="stopped")) == {
        "state": "offline",
        "reason": "stopped",
        "ts": TS,
        "session": "ab",
    }
    assert payloads.status(online=False, session="ab", reason="lost") == (
        b'{"state":"offline","reason":"lost","session":"ab"}'
    )


def test_reply() -> None:
    """An answer names the command and, if it was refused, why."""
    assert payloads.reply("42", ok=True, reason="", result={"from": 1}) == b'{"id":"42","ok":true,"from":1}'
    assert payloads.reply("42", ok=False, reason="expired", result={}) == b'{"id":"42","ok":false,"reason":"expired"}'
