"""The page in a real browser, in the size of a phone: languages, live changes, and life without JavaScript."""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from edge_agent.page.app import create_app
from edge_agent.page.live import MAX_STREAMS
from edge_agent.page.server import PageServer
from edge_agent.records import Severity
from tests.page.rig import Rig

pytestmark = pytest.mark.needs("chromium")

PHONE = {"width": 390, "height": 844}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(name="rig")
def _rig() -> Rig:
    rig = Rig()
    rig.normal()
    return rig


@pytest.fixture(name="server")
def _server(rig: Rig) -> Iterator[PageServer]:
    server = PageServer(create_app(rig.source), "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


@pytest.fixture(name="phone")
def _phone(browser: Browser, server: PageServer) -> Iterator[Page]:
    """A Chinese phone with the page open; anything the browser complains of fails the test."""
    context = browser.new_context(viewport=PHONE, locale="zh-CN")  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    foreign: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(server.url) else foreign.append(request.url))
    page.goto(server.url)
    yield page
    context.close()
    assert [one for one in complaints if "503" not in one and "ERR_" not in one] == []
    assert foreign == []


def test_ten_seconds_are_enough(phone: Page) -> None:
    """The verdict and all six tiles are on the first screen of a phone, none cut off, nothing scrolls sideways."""
    expect(phone.locator("#banner")).to_contain_text("一切正常")
    expect(phone.locator("#banner")).to_have_attribute("role", "status")
    for part in ("door", "visits", "climate", "uplink", "cabinets", "machine"):
        box = phone.locator(f"#{part}").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= PHONE["height"]
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_language_is_switched_and_remembered(phone: Page, server: PageServer) -> None:
    """One touch to English; the next visit is English too."""
    expect(phone.locator("html")).to_have_attribute("lang", "zh-CN")
    phone.get_by_role("link", name="English").click()
    expect(phone.locator("#banner")).to_contain_text("All normal")
    phone.goto(server.url)
    expect(phone.locator("html")).to_have_attribute("lang", "en")


def test_changes_appear_by_themselves(rig: Rig, phone: Page) -> None:
    """An alarm, a visit and a temperature reach the open page, its title too; what was unfolded stays so."""
    rig.say("room", temperature_c=18.5, humidity_pct=61.0)
    # The page is live: what comes first over the stream puts in every part, also below a finger.
    expect(phone.locator("#climate")).to_contain_text("18.5 °C")
    details = phone.locator("#points-room")
    details.locator("summary").click()
    rig.alarm("inputs", "smoke", Severity.CRITICAL)
    rig.say("room", temperature_c=19.5, humidity_pct=61.0)
    expect(phone.locator("#banner")).to_contain_text("烟雾报警")
    expect(phone.locator("#climate")).to_contain_text("19.5 °C")
    expect(details).to_have_attribute("open", "")
    expect(phone).to_have_title("✕ 解放路驿站")
    rig.clear()
    expect(phone.locator("#banner")).to_contain_text("一切正常")


def test_ages_grow_between_changes(phone: Page) -> None:
    """The page counts on by itself."""
    expect(phone.locator("#visits")).to_contain_text("1 分钟前")
    expect(phone.locator("#door time")).to_have_text(re.compile(r"^[2-9] 秒前$"), timeout=8000)


def test_a_lost_connection_is_said(phone: Page, server: PageServer) -> None:
    """After 20 s of silence a banner covers the old data; it goes when the server is back."""
    phone.wait_for_function("document.getElementById('updated').textContent !== ''")
    server.stop()
    phone.evaluate("performance.now = (now => () => now() + 25000)(performance.now.bind(performance))")
    lost = phone.locator("#lost")
    expect(lost).to_be_visible()
    expect(lost).to_have_text("连接断开，显示的是旧数据")
    server.start()
    expect(lost).to_be_hidden(timeout=15_000)


def test_a_page_without_a_stream_is_not_called_disconnected(browser: Browser, phone: Page, server: PageServer) -> None:
    """With every stream taken it asks instead."""
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    other, late = context.new_page(), phone.context.new_page()
    other.goto(server.url)
    # A browser opens six connections to a host at most, so the places are taken from two.
    for page in (phone, other):
        page.evaluate("n => { while (n--) { fetch('/events'); } }", MAX_STREAMS // 2)
    with late.expect_response(lambda answer: answer.url.startswith(server.url + "parts")) as asked:
        late.goto(server.url)
    assert asked.value.status == 200
    expect(late.locator("#lost")).to_be_hidden()
    late.close()
    context.close()


def test_it_reads_without_javascript(browser: Browser, server: PageServer) -> None:
    """Everything is in the document, and it refreshes itself."""
    context = browser.new_context(viewport=PHONE, java_script_enabled=False, locale="zh-CN")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(server.url)
    for words in ("一切正常", "24.6 °C", "6/12 可换", "47 人次"):
        expect(page.locator("main")).to_contain_text(words)
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_text_can_be_read_and_touched(
    browser: Browser, rig: Rig, server: PageServer, scheme: Any, language: str
) -> None:
    """In both languages, light and dark: contrast of at least 4.5 to 1, targets of at least 48 pixels."""
    rig.alarm("battery-05", "battery_over_temp", Severity.CRITICAL)
    rig.alarm("cabinet-03", "slot_unreadable", Severity.WARNING)
    rig.say("cabinet-09", door="open")
    rig.clock.advance(50)  # by now every tile is stale
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{server.url}?lang={language}")
    assert page.evaluate(CONTRAST) == []
    for target in page.locator("a, summary").all():
        box = target.bounding_box()
        assert box is None or box["height"] == 0 or box["height"] >= 48, target.text_content()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()


CONTRAST = """() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const poor = [];
  for (const element of document.querySelectorAll('main *, header *, footer')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.offsetParent) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([element.className, ratio.toFixed(2), element.textContent.trim()]);
  }
  return poor;
}"""
"""Text whose contrast with the ground behind it is below WCAG 2.2, 1.4.3 (level AA)."""
