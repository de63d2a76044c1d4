"""Writes docs/alarms.md from the catalogue: `python -m edge_agent.config.alarm_table > docs/alarms.md`."""

import sys
from collections.abc import Iterator

from edge_agent.advice import ADVICE
from edge_agent.alarms import CATALOGUE, LATCHED, LIFE_SAFETY
from edge_agent.records import Severity

_HEAD = """\
# Alarms

<!-- Generated from the catalogue: python -m edge_agent.config.alarm_table > docs/alarms.md -->

Every alarm that the agent or a driver may raise, most severe first, in the words of the page and of the wire: what it
means, and what to do. A station file adds its own with `[[alarm]]`, and tunes or switches off the built-in ones in
`[alarms]`: [configuration.md](configuration.md). How an alarm comes about and what it does not claim:
[what-the-numbers-mean.md](what-the-numbers-mean.md#alarms).

* **latched**: stays up after its cause is over, until somebody has acknowledged or cleared it (`[alarms] latch`).
* **siren**: calls for every `[[reflex]]` that names no alarms of its own, and cannot be switched off.

每条告警的含义和处理办法，按严重程度排列。**latched**：原因消失后仍保持，直到有人确认或清除。**siren**：触发本地警笛，不可关闭。
"""
_ORDER = (Severity.CRITICAL, Severity.MAJOR, Severity.WARNING, Severity.INFO)


def render() -> str:
    """Return the whole page as Markdown."""
    return "\n".join([_HEAD, *_table(), ""])


def _table() -> Iterator[str]:
    yield "| code | severity | meaning · 含义 | what to do · 处理 |"
    yield "|---|---|---|---|"
    for severity in _ORDER:
        for code, kind in CATALOGUE.items():
            if kind.severity is severity:
                marks = [mark for mark, codes in (("latched", LATCHED), ("siren", LIFE_SAFETY)) if code in codes]
                how = ", ".join([severity.value, *marks])
                advice = ADVICE[code]
                yield f"| `{code}` | {how} | {kind.en} · {kind.zh} | {advice.en} · {advice.zh} |"


if __name__ == "__main__":
    sys.stdout.write(render())
