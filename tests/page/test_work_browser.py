"""The work screen in a real browser without scripts: what a browser adds to a form, and hides, is the browser's own."""

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from edge_agent.page.server import PageServer
from tests.page.test_browser import ARGUMENTS, PHONE
from tests.page.test_work import PIN, phone

pytestmark = pytest.mark.needs("chromium")


def test_a_visit_with_a_phone(tmp_path: Path) -> None:
    """From the overview to the forms: log in, arrive, tick what is in order, leave."""
    with phone(tmp_path) as it, sync_playwright() as playwright:
        server = PageServer(it.app, "127.0.0.1", 0)
        server.start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        try:
            page = browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=False).new_page()  # type: ignore[arg-type]
            page.goto(server.url)
            page.get_by_role("link", name="维护登记").click()
            page.get_by_label("姓名").fill("王师傅")
            page.get_by_label("口令").fill(PIN)
            page.get_by_role("button", name="进入").click()
            page.get_by_role("button", name="我已到站").click()
            expect(page.get_by_role("status")).to_contain_text("已登记")
            page.get_by_label("照明").check()
            page.get_by_role("button", name="我要离站").click()
            expect(page.get_by_role("status")).to_contain_text("已登记")
            for button in page.get_by_role("button").all():
                box = button.bounding_box()
                assert box is not None
                assert box["height"] >= 44, "a thumb must hit it"
        finally:
            browser.close()
            server.stop()
    said = [json.loads(row.body) for row in it.it.rows("usage") if row.type == "maintenance"]
    assert [one["what"] for one in said] == ["arrived", "departed"]
    assert said[1]["checklist"]["照明"] is True
    assert said[1]["checklist"]["空调"] is False
