"""The monthly report: figures are those of the journal, both languages say the same, and it prints on A4."""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from edge_agent.cli import main
from edge_agent.clock import FakeClock
from edge_agent.config.file import load
from edge_agent.config.model import Config
from edge_agent.evidence.month import Month, collect
from edge_agent.evidence.render import days_csv, html, intervals_csv
from edge_agent.evidence.words import LANGUAGES, Words, _texts
from edge_agent.records import Alarm, Event, Reading
from edge_agent.rules.abilities import STATION, STOPPED
from edge_agent.rules.make import make_rules
from tests.journals import Bench

FILE = """
[station]
id = "365-001"
name = { zh = "建国路驿站", en = "Jianguo Road <Station>" }
region = "chaoyang"
district = "jianwai"
place = { address = "建国路 88 号" }

[uplink]
broker = "mqtt://127.0.0.1:1883"

[journal]
dir = "DIRECTORY"

[[link]]
name = "bus"
kind = "serial"
port = "/dev/serial/by-id/bus"

[[device]]
name = "room"
link = "bus"
driver = "modbus"
profile = "xy-md02"
every = "10m"

[[device]]
name = "oven"
link = "bus"
driver = "dlt645"
address = "000000000001"
every = "10m"

[[ability]]
name = "coolness"
room = "room"

[[ability]]
name = "hot_food"
available = "oven.voltage_v > 180"

[[ability]]
name = "charging"
label = { zh = "充电", en = "Charging" }
available = "oven.voltage_v > 180"

[comfort]
room = "room"
"""
BEGIN = 1_793_462_400.0
"""2026-11-01 00:00 in Shanghai, Unix seconds."""
DAY_S = 86_400


@pytest.fixture(name="config", scope="module")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    directory = tmp_path_factory.mktemp("evidence")
    file = directory / "station.toml"
    file.write_text(FILE.replace("DIRECTORY", str(directory / "journal")), encoding="utf-8")
    return load(file).config


@pytest.fixture(name="month", scope="module")
def _november(config: Config) -> Iterator[Month]:
    """Three days: a power cut, a hot evening, a silent meter, an alarm, a clean stop."""
    it = Bench(config.journal.dir.parent, FakeClock(wall=BEGIN - 600))
    it.make_rules = lambda journal: make_rules(config, journal.state(), journal.ledger(), it.directory)
    it.open()
    for hour in range(72):
        if hour == 30:
            it.crash()
            it.clock.advance(7200)
            it.clock.reboot("00000000-0000-4000-8000-000000000002")
            it.open()
        temperature = 31.0 if 40 <= hour < 44 else 24.0
        for _ in range(6):
            it.recorder.submit("room", [Reading("temperature_c", temperature)])
            if hour < 50:
                it.recorder.submit("oven", [Reading("voltage_v", 230.0)])
            it.step(600)
        if hour % 3 == 0:
            it.recorder.submit("door", [Event("visit", {"reader": "front"})])
        if hour in {50, 55}:
            it.recorder.submit("oven", [Alarm("device_silent", active=hour == 50)])
    it.recorder.submit(STATION, [Event(STOPPED)])
    it.step(1)
    it.close()
    with it.reader() as reader:
        yield collect(reader, config, "2026-11", round(it.clock.wall() * 1000))


def test_the_figures_are_those_of_the_journal(month: Month) -> None:
    """Each ability's seconds add up to those on record; the outage is named; what was silent is unknown."""
    assert [str(line.day.day) for line in month.days] == ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]
    assert month.totals["visits"] == 24
    assert month.abilities == ["coolness", "hot_food", "charging"]
    on_record = sum(month.seconds["agent"].values())
    assert on_record == 72 * 3600 + 7200 - 600
    for name in month.abilities:
        assert sum(month.seconds[name].values()) == on_record
    # From the last mark, which is as old as the last look at the time.
    assert 7200 <= month.seconds["agent"]["down_power"] <= 7200 + 600
    assert month.seconds["coolness"]["unavailable_device"] == 4 * 3600
    assert 21 * 3600 < month.seconds["hot_food"]["unknown_device"] <= 22 * 3600
    (outage,) = [one for one in month.intervals if one.kind == "outage"]
    assert (outage.what, outage.device) == ("power", "station")
    (alarm,) = [one for one in month.intervals if one.kind == "alarm" and one.what == "device_silent"]
    assert alarm.seconds == 5 * 3600
    assert month.chain_holds
    assert month.seal
    assert not month.gaps
    for line in month.days[1:3]:
        assert sum(line.seconds["agent"].values()) == DAY_S
        assert sum(line.seconds["coolness"].values()) == DAY_S


def test_the_page_needs_nothing_else(month: Month) -> None:
    """No script, no address, no markup out of a name; each language is whole."""
    text = html(month)
    assert "<script" not in text
    assert "http" not in text
    assert "src=" not in text
    assert "Jianguo Road &lt;Station&gt;" in text
    for words in ("服务月报", "纳凉", "充电", "断电", "Monthly service report", "Coolness", "Charging", "What these"):
        assert words in text
    assert "Monthly service report" not in html(month, ["zh"])
    assert "服务月报" not in html(month, ["en"])


def test_the_tables_hold_everything(month: Month) -> None:
    """A line a day that a spreadsheet reads, seconds with their causes; each outage and alarm with its times."""
    days = list(csv.DictReader(io.StringIO(days_csv(month).removeprefix("\ufeff"))))
    assert [day["status"] for day in days] == ["closed", "closed", "closed", "open"]
    assert sum(int(day["visits"]) for day in days) == 24
    assert sum(int(day["coolness_unavailable_device_s"]) for day in days) == 4 * 3600
    intervals = list(csv.DictReader(io.StringIO(intervals_csv(month).removeprefix("\ufeff"))))
    assert {"outage", "alarm"} == {one["kind"] for one in intervals}
    assert all(one["from"].endswith("Z") for one in intervals)


def test_both_languages_have_every_text() -> None:
    """No text without its other language."""

    def leaves(table: dict[str, Any]) -> Iterator[dict[str, str]]:
        for inner in table.values():
            if set(inner) & {"zh", "en"}:
                yield inner
            else:
                yield from leaves(inner)

    assert all(set(text) == set(LANGUAGES) and all(text.values()) for text in leaves(_texts()))


def test_nothing_is_rounded_up(config: Config) -> None:
    """One second of outage in a month is not 100 %."""
    words = Words("en", config.station.zone)
    assert words.share(2_591_999, 2_592_000) == "99.9 %"
    assert words.share(5, 5) == "100.0 %"
    assert words.share(0, 0) == "–"
    assert words.span(7325) == "2:02:05"


def test_the_verb_writes_three_files(
    month: Month, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And names them; a month without any record says so; a month that is none is refused."""
    file = config.journal.dir.parent / "station.toml"
    assert month.name == "2026-11"
    assert main(["report", "2026-11", str(file), "--lang", "zh", "--out", str(tmp_path / "new")]) == 0
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == [
        "365-001-2026-11.html",
        "365-001-2026-11-days.csv",
        "365-001-2026-11-intervals.csv",
    ]
    assert "建国路驿站" in (tmp_path / "new" / "365-001-2026-11.html").read_text(encoding="utf-8")
    assert main(["report", "2025-01", str(file), "--out", str(tmp_path)]) == 0
    assert "本月没有任何记录" in (tmp_path / "365-001-2025-01.html").read_text(encoding="utf-8")
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert main(["report", "2026-11", str(file), "--out", str(tmp_path / "taken")]) == 1
    with pytest.raises(SystemExit):
        main(["report", "2026-13", str(file)])


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_prints_on_paper(month: Month, tmp_path: Path, language: Any) -> None:
    """In a real browser: nothing is wider than the sheet, nothing is fetched, and a month takes a few pages of A4."""
    page_file = tmp_path / "report.html"
    page_file.write_text(html(month, [language]), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 718, "height": 1000})
        fetched: list[str] = []
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
        pdf = page.pdf(prefer_css_page_size=True)
        browser.close()
    assert fetched == [page_file.as_uri()]
    assert len(re.findall(rb"/Type /Page\b", pdf)) in {2, 3}
