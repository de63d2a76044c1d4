"""Writes docs/rehearse.md from the models: `python -m edge_agent.rehearse.reference > docs/rehearse.md`."""

import sys
from collections.abc import Iterator

from edge_agent.config.described import keys_in
from edge_agent.config.messages import models_in
from edge_agent.config.reference import section
from edge_agent.rehearse.acts import VERBS, Doing
from edge_agent.rehearse.script import At, Every, Room, Script, Then

_HEAD = """\
# Rehearse a month

<!-- Generated from the models: python -m edge_agent.rehearse.reference > docs/rehearse.md -->

    edge-agent rehearse config/rehearsals/month.toml

plays a scripted stretch of station time through the agent, in seconds: who swipes when, which battery goes where, what
the room does, which device, power, network or clock fails when. Only the far ends of the wires and the clock are made
up. Drivers, workers, rules, ledger, journal and uplink are those of a station, built by the same code, and worked in
turn by one thread: the same script gives the same result, to the last record.

What has a thread of its own beside them is not in it: the page, climate keeping, the siren's reflexes.

What really happened is known, because the script says so. At the end every figure is compared with it; exit code 0
means that all of them are the truth.

## A first script

```toml
start = "2026-10-20 00:00"
lasts = "2d"
ask_every = "10m"

# Nineteen people a day, most of them at noon and at night; one in ten holds the card to the reader twice.
[[every]]
per_day = 19
hours = [6, 5, 3, 2, 1, 1, 1, 1, 2, 2, 2, 3, 5, 4, 3, 2, 2, 2, 3, 3, 4, 6, 8, 8]
swipe = { card = "one of 60" }
then = [{ after = "2s", chance = 0.1, swipe = { card = "same", means = "nothing" } }]

# On the second day the power fails for 40 minutes, and the clock is wrong until the network is back.
[[at]]
time = "day 2 10:20"
power_cut = { lasts = "40m", clock = "1970", synced_after = "5m" }

# What must come out of it, beside what is compared anyway.
[expect]
starts = { boots = 2 }
swaps = 0
```

It is played at the station of `edge-agent demo`; `station = "/etc/edge-agent/station.toml"` takes yours. Nothing of
that station is touched: journal and card key are made for the rehearsal, and no network is used.
Mistakes in a script are named all at once, each with its line.

## What is compared

| figure | the truth |
|---|---|
| visits, denied cards, exits, door openings, batteries in and out, swaps | what was done and could be noticed |
| the same by business day and hour | when it did it; left out if the machine believed a wrong clock |
| what is `…_inferred` | the batteries that were changed without power |
| different cards of each day | the cards of its visits |
| outages of the agent, by cause; its seconds down | kills, restarts, power cuts; up to a minute more each |
| seconds of all states of each ability, together | the length of the script |
| alarms, each raised and cleared so many times | what `contact`, `overheat` and `fault` mean; no other alarm may be |
| records at the centre | all that were accepted, each with one content |

An alarm that only the rules of a station know of stands in `[expect]`: `alarms = { "room/room_not_following" = { raised
= 1 } }`. An alarm named there is left to that line.

## Who is missed, and who tries again

* A card that is held to a reader without power, or to one in trouble, is a missed swipe (`truth.missed_swipes`) and no
  visit.
* The agent's process ends (`kill`, `restart`): whoever has not been noticed – no record of it is in the journal – does
  it again once the agent is back, half a minute later. Whoever comes meanwhile waits as long. A second swipe that means
  nothing is not made up for.
* Without power people still move batteries. Each slot that holds another battery afterwards is one battery out and one
  in, inferred; no swap.
* While lock board, contacts or batteries of a cabinet are in trouble, its riders come later.
* A device already in trouble gets no more of it.

A device is silent after three questions without an answer, so a `fault` shorter than three times `ask_every` raises no
alarm: write `means = "nothing"`.

## The output

`--json` prints one object:

| key | value |
|---|---|
| `station`, `from`, `lasts_s`, `seed` | what was played |
| `ledger` | `lifetime` and `undated`: name → count; `days`: business day → `totals` and `hours` (name → 24 counts) |
| `alarms` | DEVICE/CODE → `raised`, `cleared`: how often; `active`: whether it is raised at the end |
| `swaps` | a list: `time` (UTC, null if undated), `device`, `slots`, `returned_sn`, `taken_sn`, `observed` |
| `visitors` | business day → different cards; days with too few of them, or not closed, have none |
| `outages` | TYPE/CAUSE (`outage/power`, `uplink_outage/network`) → `count`, and `seconds` as far as told |
| `abilities` | ability → state → seconds |
| `comfort` | state → seconds |
| `gaps` | a list: `stream`, `from_seq`, `to_seq`, `reason` |
| `records` | stream → rows in the journal |
| `centre` | `records` that arrived, accepted ones `waiting`, `conflicting` ones |
| `commands` | id → `ok`, and the `reason` where that is false: the answers that the centre got |
| `starts` | `boots`, `kills`, `restarts` |
| `truth` | `ledger`, `alarms`, `outages`, `visitors` in the same shape; `missed_swipes`, `hours_known`, `all_dated` |
| `checks` | a list of what was compared: `what` (place in the result), `want`, `found`, `holds` |
| `holds` | true if all of them do |

`hours_known`: no wrong clock was believed; `all_dated`: nor did a boot end before it knew the time.

`[expect]` has the same shape: each value that stands there must be found. `{ at_least = 5, at_most = 9 }` is a range, a
number in place of a list its length, and what the result does not have counts as 0.

## The script
"""


def render() -> str:
    """Return the whole page as Markdown."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield _HEAD
    own = {name: field for name, field in keys_in(Script).items() if name not in {"room", "at", "every"}}
    yield from section("### Begin of the file", Script, own)
    yield from section("### `[room]`", Room)
    for title, model in (("`[[at]]`", At), ("`[[every]]`", Every), ("`then`", Then)):
        fields = {name: field for name, field in keys_in(model).items() if name not in {*VERBS, "then"}}
        yield from section(f"### {title}", model, fields)
    yield "## What can happen\n\nThe verbs of `[[at]]`, `[[every]]` and of what stands in their list `then`.\n"
    for verb in VERBS:
        yield from section(f"### `{verb}`", next(models_in(Doing.model_fields[verb].annotation)))


if __name__ == "__main__":
    sys.stdout.write(render())
