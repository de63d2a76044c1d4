"""The page over HTTP, without a network: what is answered, to whom, and what every answer carries."""

import asyncio
import gzip
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from edge_agent.config.types import Names
from edge_agent.journal.open import open_journal
from edge_agent.ledger import Calendar
from edge_agent.page.app import create_app
from edge_agent.page.source import Source
from edge_agent.picture import Picture
from edge_agent.recorder.recorder import Recorder, Settings
from edge_agent.records import CardRef, Event, Severity
from tests.page.rig import Rig, config

BASE = "http://192.168.1.20:8080"
ASSET = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def ask(source: Source, path: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
    """Send one request to a fresh page."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(source))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=given)

    return asyncio.run(request())


@pytest.fixture(name="rig")
def _rig() -> Rig:
    rig = Rig()
    rig.normal()
    return rig


def test_the_screen_is_chinese_unless_english_is_asked_for(rig: Rig) -> None:
    """Chinese first; the browser, the switch and its cookie can say otherwise, and the document says which it is."""
    plain = ask(rig.source)
    assert '<html lang="zh-CN">' in plain.text
    assert "一切正常" in plain.text
    english = ask(rig.source, accept_language="en-US")
    assert '<html lang="en">' in english.text
    assert "All normal" in english.text
    switched = ask(rig.source, "/?lang=en")
    assert switched.headers["set-cookie"].startswith("lang=en;")
    assert "All normal" in ask(rig.source, cookie="lang=en").text
    assert "set-cookie" not in ask(rig.source, "/?lang=xx").headers


def test_the_station_file_chooses_the_language_of_the_undecided(rig: Rig) -> None:
    """`[page] language` is for browsers that ask for neither."""
    rig.config = config(page={"language": "en"})
    assert "All normal" in ask(rig.source, accept_language="de").text


def test_every_tile_is_on_the_screen(rig: Rig) -> None:
    """Door, visits, room and air conditioner, cabinet, cloud, machine, devices: readable in the bare document."""
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", ask(rig.source).text))
    for words in (
        "站门 关闭", "47 人次", "昨日 133", "24.6 °C", "湿度 52 %", "空调 制冷 · 指令 制冷", "6 /12 可换", "✓ 在线",
        "待传 3", "已校准", "21.4 GB", "没有告警", "室内温湿度 正常", "换电柜部件（13）", "7 号仓 充电中 82%",
    ):  # fmt: skip
        assert words in text, words


def test_trouble_is_said_in_words(rig: Rig) -> None:
    """Severity, alarm, device, since when and why; nothing is said by colour alone."""
    rig.lose("aircon")
    rig.alarm("battery-05", "battery_over_temp", Severity.CRITICAL)
    rig.clock.advance(130)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", ask(rig.source).text))
    for words in (
        "紧急 电池温度过高 5 号电池 · 12:00 起 · 2 分钟",
        "另有 1 条告警",
        "重要 设备无应答 空调",
        "no answer",
    ):
        assert words in text, words
    assert "一切正常" not in text


def test_a_commanded_state_that_is_not_observed_stands_out(rig: Rig) -> None:
    """The order and what became of it are different things."""
    rig.say("aircon", state="stopped")
    assert "停止 ≠ 指令 制冷" in ask(rig.source).text


def test_text_from_outside_is_text(rig: Rig) -> None:
    """A hostile label, device value or reason cannot become markup, on the page or in its parts."""
    evil = "<script>alert(1)</script>\"'&"
    names = Names(zh=evil, en=evil)
    room, *others = (device for device in rig.config.device if device.name != "inputs")
    devices = (room.model_copy(update={"label": names}), *others)
    station = rig.config.station.model_copy(update={"name": names})
    rig.config = rig.config.model_copy(update={"device": devices, "station": station})
    rig.say("aircon", state=evil, commanded=evil)
    rig.alarm("room", "device_silent", why=evil)
    for path in ("/", "/parts"):
        text = ask(rig.source, path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize("path", ["/", "/parts", "/api/status", "/static/page.css", "/nowhere"])
def test_every_answer_is_guarded(rig: Rig, path: str) -> None:
    """No foreign content, no frame, no sniffing, no referrer for others, whatever the path."""
    headers = ask(rig.source, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "cache-control" in headers


def test_nothing_comes_from_another_host(rig: Rig) -> None:
    """The document names no address but its own, and holds no inline script or style that its policy would block."""
    text = ask(rig.source).text
    assert not re.search(r"""(?:src|href|action|content)=["'](?:https?:)?//""", text)
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", text)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("192.168.1.20:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        (socket.gethostname(), 200),
        (f"{socket.gethostname().partition('.')[0].upper()}.local:8080", 200),
        ("attacker.example", 421),
        ("192.168.1.20.attacker.example:8080", 421),
        ("localhost:8080@attacker.example", 421),
        ("", 421),
    ],
)
def test_only_own_names_are_answered(rig: Rig, host: str, status: int) -> None:
    """A foreign name that resolves to this machine is DNS rebinding."""
    assert ask(rig.source, host=host).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_the_page_is_read_only(rig: Rig, method: str) -> None:
    """Anything but GET and HEAD is refused, on every path but those of the work screen's forms."""
    for path in ("/", "/events", "/work", "/nowhere"):
        answer = ask(rig.source, path, method)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_answers_without_a_body(rig: Rig) -> None:
    """Also where GET would stream for ever."""
    for path in ("/", "/events", "/api/status"):
        answer = ask(rig.source, path, "HEAD")
        assert (answer.status_code, answer.content) == (200, b"")


def test_other_sites_may_link_but_not_fetch(rig: Rig) -> None:
    """A browser says who made it ask; only a person following a link may come from elsewhere."""
    assert ask(rig.source, "/events", sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status_code == 403
    assert ask(rig.source, "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status_code == 200
    assert ask(rig.source, "/parts", sec_fetch_site="same-origin", sec_fetch_mode="cors").status_code == 200


def test_long_requests_are_refused(rig: Rig) -> None:
    """8 KB of request line and headers are enough for anyone."""
    assert ask(rig.source, cookie="x" * 9000).status_code == 431
    assert ask(rig.source, "/?" + "x" * 9000).status_code == 431


def test_the_first_view_is_small(rig: Rig) -> None:
    """Everything the first view needs, compressed, is at most 15 kB."""
    rig.alarm("battery-05", "battery_over_temp", Severity.CRITICAL)
    page = ask(rig.source, accept_encoding="gzip")
    assert page.headers["content-encoding"] == "gzip"
    assets = ASSET.findall(page.text)
    assert len(assets) == 3
    bodies = [page.content, *(ask(rig.source, asset).content for asset in assets)]
    assert sum(len(gzip.compress(body)) for body in bodies) <= 15_000


def test_assets_are_kept_by_the_browser_until_they_change(rig: Rig) -> None:
    """Their address names their content; what does not exist is not found."""
    for asset in ASSET.findall(ask(rig.source).text):
        answer = ask(rig.source, asset)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert "?v=" in asset
    assert ask(rig.source, "/static/../app.py").status_code == 404
    assert ask(rig.source, "/static/app.py").status_code == 404


def test_it_refreshes_itself_without_javascript(rig: Rig) -> None:
    """`<noscript>` holds the refresh."""
    assert re.search(r'<noscript><meta http-equiv="refresh" content="\d+"></noscript>', ask(rig.source).text)


@pytest.mark.parametrize(
    ("language", "wanted"),
    [("zh", ("li 已确认", "检查设备供电")), ("en", ("acknowledged by li", "Check its power"))],
)
def test_an_alarm_says_what_to_do_and_who_does_it(rig: Rig, language: str, wanted: tuple[str, str]) -> None:
    """In the reader's language: ten seconds are enough to know whether somebody is on the way."""
    rig.alarm("aircon", "device_silent", by="li")
    page = ask(rig.source, f"/?lang={language}").text
    assert all(text in page for text in wanted)


def test_the_screen_is_also_data(rig: Rig) -> None:
    """`/api/status` says the same in JSON, with ages in seconds and no key for what is not known."""
    rig.alarm("aircon", "device_silent", why="no answer")
    rig.clock.advance(7)
    answer = ask(rig.source, "/api/status").json()
    assert answer["verdict"] == "major"
    assert answer["concerns"] == [
        {
            "device": "aircon",
            "label": {"zh": "空调", "en": "Air conditioner"},
            "code": "device_silent",
            "severity": "major",
            "text": {"zh": "设备无应答", "en": "Device does not answer"},
            "age_s": 7.0,
            "why": "no answer",
        }
    ]
    assert (answer["visits"]["today"], answer["uplink"]["pending"]["tele"]) == (47, 3)
    assert (answer["climate"]["temperature_c"], answer["climate"]["age_s"]) == (24.6, 7.0)
    assert answer["cabinets"][0]["slots"][6] == {"slot": 7, "state": "charging", "door": "closed", "soc_pct": 82}
    assert "soc_pct" not in answer["cabinets"][0]["slots"][11]
    room = next(device for device in answer["devices"] if device["name"] == "room")
    assert room["points"]["temperature_c"] == {"value": 24.6, "quality": "good"}
    json.dumps(answer)


@pytest.fixture(name="recorded")
def _recorded(tmp_path: Path) -> Iterator[tuple[Rig, str]]:
    """A station where a card has just been swiped, through the real recorder, its reference published."""
    rig = Rig()
    card = CardRef("5f3a" * 8, "k1")
    opened = open_journal(tmp_path, rig.clock.boot_id)
    settings = Settings(Calendar(rig.config.station.zone, rig.config.station.day_starts), publish_card_ref=True)
    recorder = Recorder(opened.journal, rig.clock, settings, rig.picture)
    recorder.submit("front", [Event("visit", {"reader": "front"}, card=card)])
    recorder.step()
    yield rig, card.ref
    opened.journal.close()


def test_no_card_reference_is_shown(recorded: tuple[Rig, str]) -> None:
    """A visit counts on the page, in its parts and its data, and nobody can be recognised by it."""
    rig, reference = recorded
    for path in ("/", "/parts", "/api/status"):
        assert reference not in ask(rig.source, path).text
    assert "1 人次" in ask(rig.source).text


def test_an_empty_picture_can_be_shown() -> None:
    """The first second after a start, in both languages."""
    source = replace(Rig().source, picture=Picture())
    for path in ("/?lang=zh", "/?lang=en", "/parts", "/api/status"):
        assert ask(source, path).status_code == 200


def test_flight_records_are_listed_and_had(rig: Rig, tmp_path: Path) -> None:
    """The bytes around a fault can be fetched with a phone; nothing else below that directory can."""
    (tmp_path / "rs485.200.jsonl").write_text('{"frame_hex": "00"}\n')
    (tmp_path / "rs485.100.jsonl").write_text("{}\n")
    (tmp_path / "secret").write_text("no")
    source = replace(rig.source, flight=tmp_path)
    assert ask(source, "/flight").json() == ["rs485.100.jsonl", "rs485.200.jsonl"]
    assert ask(source, "/flight/rs485.200.jsonl").text == '{"frame_hex": "00"}\n'
    for path in ("/flight/secret", "/flight/..%2Fsecret", "/flight/none.1.jsonl"):
        assert ask(source, path).status_code == 404
    assert ask(rig.source, "/flight").json() == []
