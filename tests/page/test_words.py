"""Catalogues, the choice of a language, and how each writes what it shows."""

import re
from importlib.resources import files

import pytest

from edge_agent.alarms import CATALOGUE
from edge_agent.page.words import LANGUAGES, choose, words
from tests.page.rig import NOON, config

PLACES = re.compile(r"\{(\w*)\}")


def test_both_catalogues_say_the_same_things() -> None:
    """Every text exists in every language, with the same places to fill in, and none is empty."""
    zh, en = words("zh").texts, words("en").texts
    assert zh.keys() == en.keys()
    for key, text in zh.items():
        assert text
        assert en[key]
        assert sorted(PLACES.findall(text)) == sorted(PLACES.findall(en[key])) or key == "visits.count", key


def test_every_text_is_used() -> None:
    """A catalogue holds nothing that no template and no module names; whole families are addressed by value."""
    page = files("edge_agent.page")
    code = "".join(
        file.read_text(encoding="utf-8")
        for folder in (page, page.joinpath("templates"))
        for file in folder.iterdir()
        if file.name.endswith((".py", ".html"))
    )
    families = set(re.findall(r"['\"](\w+)\.['\"]\s*~", code)) | set(re.findall(r"f\"(\w+)\.\{", code))
    families |= {"ago", "span"}
    loose = [
        key
        for key in words("zh").texts
        if key.partition(".")[0] not in families and f"'{key}'" not in code and f'"{key}"' not in code
    ]
    assert loose == []


def test_chinese_texts_are_chinese() -> None:
    """No English text was left in the Chinese catalogue."""
    assert [key for key, text in words("zh").texts.items() if not re.search(r"[\u4e00-\u9fff]", text)] == []
    assert [code for code, kind in CATALOGUE.items() if not re.search(r"[\u4e00-\u9fff]", kind.zh)] == []


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "expected"),
    [
        (None, None, "", "zh"),
        (None, None, "en-GB,en;q=0.9", "en"),
        (None, None, "de, en;q=0.5, zh-CN;q=0.8", "zh"),
        (None, None, "de, fr", "zh"),
        (None, None, "en;q=0, zh;q=0.1", "zh"),
        (None, None, "en;q=nonsense", "en"),
        (None, "zh", "en", "zh"),
        ("en", "zh", "zh", "en"),
        ("klingon", "also not", "en", "en"),
    ],
)
def test_language_is_the_switch_then_the_cookie_then_the_browser(
    query: str | None, cookie: str | None, accept: str, expected: str
) -> None:
    """The most deliberate choice wins; what is not one of ours is passed over."""
    assert choose(query, cookie, accept, "zh") == expected


def test_spans_grow_in_their_units() -> None:
    """Seconds, minutes, hours and days, rounded down, never negative."""
    zh, en = words("zh"), words("en")
    assert [zh.ago(seconds) for seconds in (-3, 0.9, 59, 60, 3599, 86399, 86400)] == [
        "0 秒前", "0 秒前", "59 秒前", "1 分钟前", "59 分钟前", "23 小时前", "1 天前",
    ]  # fmt: skip
    assert en.span(7300) == "2 h"


def test_times_are_local_and_name_the_day_only_when_it_is_another() -> None:
    """14:02 means today in the station's zone."""
    zone = config().station.zone
    assert words("zh").time(round(NOON * 1000), zone, NOON) == "12:00"
    assert words("zh").time(round((NOON - 86400) * 1000), zone, NOON) == "05-28 12:00"
    assert words("zh").time(10**18, zone, NOON)


def test_values_carry_the_unit_of_their_name() -> None:
    """Units, words and lists are written out; an unknown point goes by its own name."""
    zh, en = words("zh"), words("en")
    assert zh.value("temperature_c", 24.6) == "24.6 °C"
    assert zh.value("state", "cooling") == "制冷"
    assert zh.value("state", "vendor word") == "vendor word"
    assert zh.value("present", value=True) == "是"
    assert en.value("cells_v", (3.3, 3.31)) == "3.3 / 3.31 V"
    assert en.value("protections", ()) == "–"
    assert en.value("soc_pct", None) == "–"
    assert zh.point("lock_07") == "柜锁 7"
    assert en.point("water_flow_l") == "water flow"
    assert en.point("back_room") == "back room"
    assert en.size(3_240_000_000) == "3.2 GB"


def test_there_is_one_catalogue_a_language() -> None:
    """A language without a file, or a file without a language, is a mistake."""
    found = {file.name for file in files("edge_agent.page").joinpath("catalogue").iterdir()}
    assert found == {f"{language}.toml" for language in LANGUAGES}
