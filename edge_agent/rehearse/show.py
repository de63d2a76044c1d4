"""The result of a rehearsal as tables for a person, in Chinese or English."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_WORDS = {
    "zh": {
        "ledger": "台账",
        "figure": "项目",
        "found": "结果",
        "truth": "真值",
        "undated": "未定日期",
        "by_day": "逐日",
        "day": "日期",
        "alarms": "报警",
        "alarm": "报警",
        "raised": "触发",
        "cleared": "解除",
        "active": "仍存在",
        "yes": "是",
        "no": "否",
        "outages": "中断",
        "cause": "类型/原因",
        "count": "次数",
        "hours": "小时",
        "abilities": "能力（小时）",
        "ability": "能力",
        "swaps": "换电",
        "time": "时间（UTC）",
        "returned": "归还",
        "taken": "取走",
        "seen": "目击",
        "gaps": "缺口",
        "none": "无",
        "centre": "中心收到 {records} 条记录，{waiting} 条未到",
        "starts": "开机 {boots} 次，强杀 {kills} 次，重启 {restarts} 次",
        "holds": "全部 {count} 项核对一致",
        "fails": "{count} 项核对中有 {wrong} 项不一致：",
        "line": "  {what}：应为 {want}，实为 {found}",
    },
    "en": {
        "ledger": "Ledger",
        "figure": "figure",
        "found": "found",
        "truth": "truth",
        "undated": "undated",
        "by_day": "By day",
        "day": "day",
        "alarms": "Alarms",
        "alarm": "alarm",
        "raised": "raised",
        "cleared": "cleared",
        "active": "still raised",
        "yes": "yes",
        "no": "no",
        "outages": "Outages",
        "cause": "type/cause",
        "count": "count",
        "hours": "hours",
        "abilities": "Abilities (hours)",
        "ability": "ability",
        "swaps": "Swaps",
        "time": "time (UTC)",
        "returned": "returned",
        "taken": "taken",
        "seen": "witnessed",
        "gaps": "Gaps",
        "none": "none",
        "centre": "The centre has {records} records, {waiting} have not arrived",
        "starts": "{boots} boots, {kills} kills, {restarts} restarts",
        "holds": "all {count} checks hold",
        "fails": "{wrong} of {count} checks do not hold:",
        "line": "  {what}: should be {want}, is {found}",
    },
}


def lines(result: Mapping[str, Any], language: str) -> Iterator[str]:
    """Yield the lines of all tables, the verdict last."""
    words = _WORDS[language]
    yield f"{result['station']}  {result['from']}  {result['lasts_s'] / 86_400:g} d  seed {result['seed']}"
    yield from _section(words["ledger"], _ledger(result, words), words)
    yield from _section(words["by_day"], _days(result, words), words)
    yield from _section(words["abilities"], _abilities(result, words), words)
    yield from _section(words["outages"], _outages(result, words), words)
    yield from _section(words["alarms"], _alarms(result, words), words)
    yield from _section(words["swaps"], _swaps(result, words), words)
    gaps = [[gap["stream"], f"{gap['from_seq']}–{gap['to_seq']}", gap["reason"]] for gap in result["gaps"]]
    yield from _section(words["gaps"], gaps, words)
    yield ""
    yield words["centre"].format(**result["centre"])
    yield words["starts"].format(**result["starts"])
    wrong = [check for check in result["checks"] if not check["holds"]]
    yield words["fails" if wrong else "holds"].format(count=len(result["checks"]), wrong=len(wrong))
    yield from (words["line"].format(**check) for check in wrong)


def _ledger(result: Mapping[str, Any], words: Mapping[str, str]) -> list[list[str]]:
    found, truth = result["ledger"]["lifetime"], result["truth"]["ledger"]["lifetime"]
    undated = result["ledger"]["undated"]
    rows = [
        [name, str(found.get(name, 0)), str(truth.get(name, "")), str(undated.get(name, ""))]
        for name in sorted(found.keys() | truth.keys())
    ]
    return [[words[key] for key in ("figure", "found", "truth", "undated")], *rows] if rows else []


def _days(result: Mapping[str, Any], words: Mapping[str, str]) -> list[list[str]]:
    days = result["ledger"]["days"]
    # Seconds stand under abilities and outages: a line of a day is to fit a screen.
    names = sorted({name for day in days.values() for name in day["totals"] if not name.endswith("_s")})
    rows = [[day, *(str(of["totals"].get(name, 0)) for name in names)] for day, of in days.items()]
    return [[words["day"], *names], *rows] if rows else []


def _abilities(result: Mapping[str, Any], words: Mapping[str, str]) -> list[list[str]]:
    abilities = result["abilities"]
    states = sorted({state for of in abilities.values() for state in of})
    rows = [[name, *(_hours(of.get(state, 0)) for state in states)] for name, of in abilities.items()]
    return [[words["ability"], *states], *rows] if rows else []


def _outages(result: Mapping[str, Any], words: Mapping[str, str]) -> list[list[str]]:
    rows = [[name, str(of["count"]), _hours(of["seconds"])] for name, of in result["outages"].items()]
    return [[words[key] for key in ("cause", "count", "hours")], *rows] if rows else []


def _hours(seconds: int) -> str:
    return f"{seconds / 3600:.2f}"


def _alarms(result: Mapping[str, Any], words: Mapping[str, str]) -> list[list[str]]:
    rows = [
        [name, str(of["raised"]), str(of["cleared"]), words["yes" if of["active"] else "no"]]
        for name, of in result["alarms"].items()
    ]
    return [[words[key] for key in ("alarm", "raised", "cleared", "active")], *rows] if rows else []


def _swaps(result: Mapping[str, Any], words: Mapping[str, str]) -> list[list[str]]:
    rows = [
        [
            str(swap["time"] or words["undated"]),
            str(swap.get("returned_sn", "?")),
            str(swap.get("taken_sn", "?")),
            words["yes" if swap["observed"] else "no"],
        ]
        for swap in result["swaps"]
    ]
    return [[words[key] for key in ("time", "returned", "taken", "seen")], *rows] if rows else []


def _section(title: str, rows: Sequence[Sequence[str]], words: Mapping[str, str]) -> Iterator[str]:
    yield ""
    yield title if rows else f"{title}: {words['none']}"
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Return the columns of a terminal that `text` takes: Chinese signs take two."""
    return sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)
