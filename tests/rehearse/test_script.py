"""Mistakes in a script are named with their line; what is right becomes moments."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edge_agent.errors import AgentError, ConfigError
from edge_agent.rehearse.acts import Swipe
from edge_agent.rehearse.expect import unmet
from edge_agent.rehearse.file import load_script
from edge_agent.rehearse.plan import plan
from edge_agent.rehearse.play import Rehearsal
from edge_agent.rehearse.script import Script

HEAD = 'start = "2026-10-20 00:00"\nlasts = "3d"\n'
ZONE = ZoneInfo("Asia/Shanghai")


def problems(text: str, directory: Path) -> list[str]:
    """Return what is wrong with a script, as `LINE: text`."""
    path = directory / "script.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_script(path, directory)
    return [f"{problem.line}: {problem.text}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[at]]\ntime = "day 1 25:00"\nswipe = {}\n', '4: at number 1: time = "day 1 25:00" is not a moment'),
        (
            '[[at]]\ntime = "day 1 08:00"\nswipe = { crad = "A" }\n',
            "5: at number 1: unknown key 'crad' – did you mean 'card'?",
        ),
        ('[[at]]\ntime = "day 1 08:00"\n', "says when, but not what"),
        ('[[at]]\ntime = "day 1 08:00"\nkill = {}\nswap = {}\n', "says swap and kill"),
        ("[[every]]\nswipe = {}\n", "needs one of per_day, in_all, daily and period"),
        (
            '[[at]]\ntime = "day 1 08:00"\nswipe = { reader = "front-raeder" }\n',
            "5: at number 1: reader = 'front-raeder'",
        ),
        ('[[at]]\ntime = "day 1 08:00"\nswipe = { reader = "front-raeder" }\n', "did you mean 'front-reader'?"),
        ('[[at]]\ntime = "day 1 08:00"\ncontact = { input = "entrance.dor" }\n', "did you mean 'entrance.door'?"),
        ('[[at]]\ntime = "day 1 08:00"\ntake = { slot = 13 }\n', "there is no slot 13"),
        ('[[at]]\ntime = "day 1 08:00"\nfault = { device = "rom", lasts = "1h" }\n', "did you mean 'room'?"),
        ('[[at]]\ntime = "day 9 08:00"\nswipe = {}\n', "2: nothing happens in this time"),
        ('room = 3\n[[at]]\ntime = "day 1 08:00"\nswipe = {}\n', "3: "),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, expected: str, tmp_path: Path) -> None:
    """As those of the station file are: where, what, and what to do about it."""
    found = problems(HEAD + text, tmp_path)
    assert any(expected in one for one in found), found


def test_a_mistake_in_the_station_is_named_in_its_own_file(tmp_path: Path) -> None:
    """The script may be right and the station file not; a station inside the script has the script's lines."""
    (tmp_path / "station.toml").write_text('[station]\nid = "X"\n', encoding="utf-8")
    swipe = '[[at]]\ntime = "day 1 08:00"\nswipe = {}\n'
    found = problems(f'station = "station.toml"\n{HEAD}{swipe}', tmp_path)
    assert any(one.startswith("2: ") and "is not a usable id" in one for one in found)
    found = problems(f'{HEAD}{swipe}[station.station]\nid = "X"\n', tmp_path)
    assert any(one.startswith("7: ") and "is not a usable id" in one for one in found)


def script(**tables: Any) -> Script:
    """Return a script of three days."""
    return Script.model_validate({"start": "2026-10-20 00:00", "lasts": "3d", **tables})


def times(one: Script) -> list[str]:
    """Return the moments of a script, local."""
    return [f"{datetime.fromtimestamp(planned.at, tz=ZONE):%d %H:%M:%S}" for planned in plan(one, ZONE)]


def test_a_moment_is_of_a_day_or_of_a_date() -> None:
    """Day 1 is the day of `start`; what lies outside the script does not happen."""
    at: list[dict[str, Any]] = [
        {"time": time, "swipe": {}} for time in ("day 2 08:15", "2026-10-20 23:59:30", "day 4 00:00")
    ]
    assert times(script(at=at)) == ["20 23:59:30", "21 08:15:00"]


def test_what_happens_every_day() -> None:
    """At given times, on given days, and so many times at moments drawn by chance, in the hours that have a weight."""
    assert times(script(every=[{"daily": ["07:05"], "days": "2-3", "swipe": {}}])) == ["21 07:05:00", "22 07:05:00"]
    assert times(script(every=[{"period": "25h", "swipe": {}}])) == ["21 01:00:00", "22 02:00:00"]
    assert times(script(every=[{"daily": ["07:05"], "weekdays": ["tue"], "swipe": {}}])) == ["20 07:05:00"]
    nights = [0.0] * 22 + [1.0, 1.0]
    drawn = times(script(every=[{"per_day": 19, "hours": nights, "swipe": {}}]))
    assert len(drawn) == 3 * 19
    assert {moment[3:5] for moment in drawn} == {"22", "23"}


def test_what_follows() -> None:
    """`then` comes after what it follows, and after what came before it in the list."""
    then = [{"after": "2s", "swipe": {"card": "same"}}, {"after": "3s", "swipe": {"card": "B"}}]
    planned = plan(script(at=[{"time": "day 1 08:00", "swipe": {"card": "A"}, "then": then}]), ZONE)
    assert [one.at - planned[0].at for one in planned] == [0.0, 2.0, 5.0]
    assert [one.act.card for one in planned if isinstance(one.act, Swipe)] == ["A", "same", "B"]


def test_what_cannot_be_done_is_said_with_its_time(tmp_path: Path) -> None:
    """A battery that nobody has cannot be taken."""
    path = tmp_path / "script.toml"
    path.write_text(
        f'{HEAD}ask_every = "1h"\n[[at]]\ntime = "day 1 08:00"\ntake = {{ sn = "NONE" }}\n', encoding="utf-8"
    )
    loaded = load_script(path, tmp_path)
    with pytest.raises(AgentError, match=r"2026-10-20 08:00: nobody can take that battery"):
        Rehearsal(loaded.script, loaded.config).play()


def test_expectations() -> None:
    """Values, ranges, lengths of lists; what is missing counts as 0."""
    found = {"swaps": [1, 2], "ledger": {"visits": 7}}
    for expect, holds in (
        ({"swaps": 2}, True),
        ({"swaps": 3}, False),
        ({"ledger": {"visits": 7, "denied": 0}}, True),
        ({"ledger": {"visits": {"at_least": 5, "at_most": 7}}}, True),
        ({"ledger": {"visits": {"at_least": 8}}}, False),
        ({"alarms": {"room/device_silent": {"raised": 1}}}, False),
    ):
        assert all(check.holds for check in unmet(found, expect)) is holds
