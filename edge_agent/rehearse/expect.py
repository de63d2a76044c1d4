"""Whether a result is what it must be: equal to the truth, and to what the script expects by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.rehearse.truth import COUNTED, INFERRED

_LATE_S = 62
"""The last sign of life is a minute old at most, and a start takes its time."""
_NAMES = (*COUNTED, *(name + INFERRED for name in COUNTED))


@dataclass(frozen=True, slots=True)
class Check:
    """One figure: `what` is its place in the result, with dots in between."""

    what: str
    want: Any
    found: Any
    holds: bool

    def body(self) -> dict[str, Any]:
        """Return it as in the JSON output."""
        return {"what": self.what, "want": self.want, "found": self.found, "holds": self.holds}


def differences(found: Mapping[str, Any], expect: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the checks against the truth; of alarms, those that `expect` names are left to it."""
    truth = found["truth"]
    lifetime = found["ledger"]["lifetime"]
    for name in _NAMES:
        want, have = truth["ledger"]["lifetime"].get(name, 0), lifetime.get(name, 0)
        if want or have:
            yield _equal(f"ledger.lifetime.{name}", want, have)
    if truth["hours_known"]:
        yield from _days(truth["ledger"]["days"], found["ledger"]["days"])
    named = expect.get("alarms", {})
    for name in sorted(truth["alarms"].keys() | found["alarms"].keys()):
        if name in named:
            continue
        nothing = {"raised": 0, "cleared": 0}
        have = {key: found["alarms"].get(name, nothing)[key] for key in nothing}
        yield _equal(f"alarms.{name}", truth["alarms"].get(name, nothing), have)
    for day, visitors in found["visitors"].items() if truth["hours_known"] else ():
        yield _equal(f"visitors.{day}", truth["visitors"].get(day, 0), visitors)
    yield from _outages(found, lasts=found["lasts_s"])
    for name in ("waiting", "conflicting"):
        if name not in expect.get("centre", {}):
            yield _equal(f"centre.{name}", 0, found["centre"][name])


def unmet(found: Mapping[str, Any], expect: Mapping[str, Any], path: str = "") -> Iterator[Check]:
    """Yield a check for each value of `expect`; what the result does not have counts as 0.

    A table with `at_least` or `at_most` is a range; a number in place of a list, its length.
    """
    for key, want in expect.items():
        where = f"{path}{key}"
        have = found.get(key, {} if isinstance(want, Mapping) else 0)
        if isinstance(have, list) and isinstance(want, int):
            have = len(have)
        if isinstance(want, Mapping) and want.keys() & {"at_least", "at_most"}:
            low, high = want.get("at_least", have), want.get("at_most", have)
            number = isinstance(have, int | float)
            yield Check(where, dict(want), have, number and low <= have <= high)
        elif isinstance(want, Mapping):
            yield from unmet(have if isinstance(have, Mapping) else {}, want, f"{where}.")
        else:
            yield _equal(where, want, have)


def _days(truth: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Check]:
    """Yield one check a day: its hours of everything that was witnessed."""
    for day in sorted(truth.keys() | found.keys()):
        hours = found.get(day, {}).get("hours", {})
        have = {name: list(hours[name]) for name in COUNTED if any(hours.get(name, ()))}
        want = {name: list(counts) for name, counts in truth.get(day, {}).items() if name in COUNTED}
        if want or have:
            yield _equal(f"ledger.days.{day}", want, have)


def _outages(found: Mapping[str, Any], lasts: int) -> Iterator[Check]:
    """Yield the checks of the times: each outage told once, and each second of every ability counted once.

    What happened within a minute before a sudden end is part of the outage, and an agent needs a moment to start.
    """
    truth = found["truth"]
    told = {name: of for name, of in found["outages"].items() if name.startswith("outage/")}
    for name in sorted(truth["outages"].keys() | told.keys()):
        want, have = (of.get(name, {"count": 0})["count"] for of in (truth["outages"], told))
        yield _equal(f"outages.{name}.count", want, have)
    if truth["all_dated"]:
        count, seconds = (sum(of[key] for of in truth["outages"].values()) for key in ("count", "seconds"))
        down = found["ledger"]["lifetime"].get("agent_down_s", 0)
        limits = {"at_least": seconds - count, "at_most": seconds + _LATE_S * count}
        yield Check("ledger.lifetime.agent_down_s", limits, down, limits["at_least"] <= down <= limits["at_most"])
        for name, states in found["abilities"].items():
            yield Check(f"abilities.{name}", lasts, sum(states.values()), abs(sum(states.values()) - lasts) <= 2)


def _equal(what: str, want: Any, found: Any) -> Check:
    return Check(what, want, found, want == found)
