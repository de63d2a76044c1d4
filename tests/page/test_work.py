"""The work screen: who may act, what becomes of a form, and what is kept out."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from edge_agent.cli import main
from edge_agent.commands import Gate
from edge_agent.maintenance import Known, MaintenanceVerbs
from edge_agent.page.access import Access, hashed, matches
from edge_agent.page.app import create_app
from edge_agent.page.desk import Desk
from edge_agent.page.work import arguments
from tests.journals import Bench, bench
from tests.page.rig import Rig, config

BASE = "http://192.168.1.20:8080"
PIN = "2580-zhan"
FORM = {"Origin": BASE, "Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Phone:
    """Somebody with a phone at a station whose recorder runs."""

    it: Bench
    rig: Rig
    client: httpx.AsyncClient
    app: Starlette

    def get(self, path: str = "/work", **headers: str) -> httpx.Response:
        """Open a page."""
        return asyncio.run(self.client.get(path, headers=headers))

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """Send a form."""
        return asyncio.run(self.client.post(path, data=fields, headers={"Origin": BASE, **(headers or {})}))

    def login(self, pin: str = PIN, who: str = "王师傅") -> httpx.Response:
        """Show the PIN."""
        return self.post("/login", pin=pin, who=who)

    def act(self, verb: str, **fields: str) -> httpx.Response:
        """Send a form of the work screen as the browser would."""
        key = re.search(r'name="form_key" value="(\w+)"', self.get().text)
        return self.post("/act", None, verb=verb, form_key=key[1] if key else "", **fields)

    def said(self) -> list[dict[str, Any]]:
        """Return every maintenance and audit record."""
        return [{"type": row.type, **json.loads(row.body)} for row in self.it.rows("usage")]


@contextmanager
def phone(tmp_path: Path, *, pin: bool = True, allow: tuple[str, ...] = ("station/*",)) -> Iterator[Phone]:
    """Give a phone; the gate, the recorder and the journal are real."""
    file = tmp_path / "page-pin"
    file.write_text(hashed(PIN), encoding="ascii")
    consumable = {"name": "water", "visits": 100, "label": {"zh": "饮用水", "en": "Water"}}
    page = {"pin_file": str(file), "allow": allow} if pin else {}
    with bench(tmp_path) as it:
        rig = Rig(config=config(page=page, consumable=[consumable], round=[{"name": "floor", "every": "12h"}]))
        rig.normal()
        rig.clock = it.clock
        gate = Gate(it.recorder, it.clock, (), {}, allow_here=allow if pin else ())
        MaintenanceVerbs(gate, it.recorder, Known({"aircon"}, {"water"}, {"floor"}, lambda: {"visits"}), it.clock.good)
        thread = threading.Thread(target=it.recorder.run, args=(lambda _deadline: None,))
        thread.start()
        app = create_app(replace(rig.source, desk=Desk(gate, it.recorder.submit, it.clock.wall)))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE)
        try:
            yield Phone(it, rig, client, app)
        finally:
            asyncio.run(client.aclose())
            it.recorder.stop()
            thread.join(10.0)


def test_without_a_pin_the_page_can_only_be_looked_at(tmp_path: Path) -> None:
    """It says so and how to set one; a form does nothing."""
    with phone(tmp_path, pin=False) as it:
        assert "edge-agent page-pin" in it.get().text
        assert "<form" not in it.get().text
        assert it.login().status_code == 200
        assert it.post("/act", verb="station/arrive", who="x").status_code == 403
    assert it.said() == []


def test_a_visit_from_arrival_to_departure(tmp_path: Path) -> None:
    """Log in, arrive, refill, clean, leave with a checklist: each is one record under the name given."""
    with phone(tmp_path) as it:
        answer = it.login()
        assert (answer.status_code, answer.headers["location"]) == (303, "/work")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "我已到站" in it.get().text
        assert "✓ 已登记" in it.act("station/arrive", me="1").text
        assert it.act("station/refill", consumable="water").status_code == 200
        assert it.act("station/level", consumable="water", level_pct="40").status_code == 200
        assert it.act("station/done", round="floor").status_code == 200
        left = it.act("station/depart", me="1", notes="ok", **{"check:照明": "yes", "check:空调": "no"})
        assert left.status_code == 200
        assert it.post("/logout").status_code == 403, "without the form's key"
        key = re.search(r'name="form_key" value="(\w+)"', it.get().text)
        assert it.post("/logout", form_key=key[1] if key else "").status_code == 303
        assert "口令" in it.get().text
    done = [one for one in it.said() if one["type"] == "maintenance"]
    assert [one["what"] for one in done] == ["arrived", "refilled", "measured", "done", "departed"]
    assert {one["by"] for one in done} == {"王师傅"}
    assert done[-1]["checklist"] == {"照明": True, "空调": False}
    login = it.said()[0]
    assert (login["type"], login["command"], login["by"], login["decision"]) == (
        "audit", "page/login", "王师傅", "accepted",
    )  # fmt: skip


def test_a_wrong_pin(tmp_path: Path) -> None:
    """It is said, it is on record, and five of them lock the page; a new PIN file opens it again."""
    with phone(tmp_path) as it:
        for _ in range(5):
            assert it.login("000000").status_code == 403
        locked = it.login()
        assert locked.status_code == 403
        assert "连续输错" in locked.text
        it.it.clock.advance(61.0)
        assert it.login("000000").status_code == 403
        it.it.clock.advance(61.0)
        assert it.login().status_code == 403, "twice as long the second time"
        (tmp_path / "page-pin").unlink()
        (tmp_path / "page-pin").write_text(hashed("another"), encoding="ascii")
        assert it.login("another").status_code == 303
    assert [one["decision"] for one in it.said()].count("refused") == 6


def test_a_session_ends_when_nobody_uses_it(tmp_path: Path) -> None:
    """After a quarter of an hour the form is refused and the login is shown."""
    with phone(tmp_path) as it:
        it.login()
        it.it.clock.advance(901.0)
        late = it.post("/act", verb="station/arrive", me="1", form_key="x")
        assert late.status_code == 403
        assert "登录已过期" in late.text


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"Origin": "http://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({}, {"form_key": "0" * 32}),
    ],
)
def test_a_form_of_another_site_is_refused(tmp_path: Path, headers: dict[str, str], fields: dict[str, str]) -> None:
    """Neither from elsewhere nor without the key that only this page knows."""
    with phone(tmp_path) as it:
        it.login()
        key = re.search(r'name="form_key" value="(\w+)"', it.get().text)
        sent = {"form_key": key[1] if key else "", **fields}
        assert it.post("/act", headers, verb="station/arrive", me="1", **sent).status_code == 403
    assert [one for one in it.said() if one["type"] == "maintenance"] == []


def test_what_the_gate_refuses_is_said(tmp_path: Path) -> None:
    """The reason is on the screen; hostile text is only text."""
    with phone(tmp_path) as it:
        it.login(who="<script>x</script>")
        assert "<script>x" not in it.get().text
        refused = it.act("station/refill", consumable="beer")
        assert refused.status_code == 409
        assert "there is no consumable" in refused.text
        assert it.act("journal/resend").status_code == 409
        assert it.act("door/open").status_code == 409


def test_only_what_the_station_allows(tmp_path: Path) -> None:
    """`[page] allow` is the list for whoever stands here, apart from the centre's."""
    with phone(tmp_path, allow=("station/done",)) as it:
        it.login()
        assert it.act("station/done", round="floor").status_code == 200
        assert "not on this station" in it.act("station/refill", consumable="water").text


@pytest.mark.parametrize("content", [b"x" * 20_000, b"\xff\xfe=1", b"&".join(b"a=1" for _ in range(100))])
def test_what_is_no_form(tmp_path: Path, content: bytes) -> None:
    """Too long, not text, too many fields: refused, and nothing fails."""
    with phone(tmp_path) as it:
        answer = asyncio.run(it.client.post("/login", content=content, headers=FORM))
        assert answer.status_code in {400, 413}


def test_both_languages(tmp_path: Path) -> None:
    """The switch works here, too."""
    with phone(tmp_path) as it:
        it.login()
        text = it.get("/work?lang=en").text
        assert '<html lang="en">' in text
        assert "I have arrived" in text


def test_pins_are_kept_as_hashes() -> None:
    """Two hashes of one PIN differ, each matches it alone, and damage matches nothing."""
    first, second = hashed(PIN), hashed(PIN)
    assert first != second
    assert matches(PIN, first)
    assert not matches("2580-zham", first)
    for damaged in ("", "scrypt", "scrypt$zz$zz", "plain$00$00", first[:-9] + "$"):
        assert not matches(PIN, damaged)


def test_sessions_are_few(tmp_path: Path) -> None:
    """The one unused for longest makes way."""
    now = [0.0]
    access = Access(tmp_path / "none", lambda: now[0])
    tokens = []
    for _ in range(9):
        now[0] += 1
        tokens.append(access.begin("li"))
    assert access.session(tokens[0]) is None
    assert access.session(tokens[8]) is not None
    assert not access.check("anything")


def test_fields_become_arguments() -> None:
    """Numbers and ticks by their names; what is empty is left out."""
    fields = {"verb": "v", "form_key": "k", "me": "1", "notes": " ", "level_pct": "4x", "check:a": "yes", "n": " x "}
    assert arguments(fields, "li") == {"who": "li", "level_pct": "4x", "checklist": {"a": True}, "n": "x"}
    assert arguments({"minutes": "60", "level_pct": "4.5"}, "li") == {"minutes": 60, "level_pct": 4.5}


def test_setting_the_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The file holds a hash, is nobody else's to read, and a short PIN is refused."""
    file = tmp_path / "page-pin"
    given = tmp_path / "stdin"
    given.write_text(f"{PIN}\n", encoding="utf-8")
    with given.open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["page-pin", str(file)]) == 0
    assert matches(PIN, file.read_text(encoding="ascii"))
    assert file.stat().st_mode & 0o777 == 0o600
    given.write_text("123\n", encoding="utf-8")
    with given.open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["page-pin", str(file)]) == 1
    assert "at least 6" in capsys.readouterr().err
    given.write_text(f"{PIN}\n", encoding="utf-8")
    with given.open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["page-pin", str(tmp_path / "missing" / "pin")]) == 1
    assert "run this with sudo" in capsys.readouterr().err
