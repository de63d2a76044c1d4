"""The alarms of a station's own as conditions, and what they say."""

from collections.abc import Iterable

from edge_agent.alarms import AlarmKind
from edge_agent.config.alarms import AlarmRule
from edge_agent.config.maintenance import split
from edge_agent.rules.judges import Differs, Heard, Judge, Limit, Rises, Same, When, Window
from edge_agent.rules.watch import Spec


def spec_of(rule: AlarmRule) -> Spec:
    """Return the condition of one `[[alarm]]` table."""
    after = rule.frozen or rule.silent or rule.after
    return Spec(rule.name, rule.device, rule.alarm, _judge(rule), after, rule.clear_after, rule.only_while)


def kinds_of(rules: Iterable[AlarmRule]) -> dict[tuple[str, str], AlarmKind]:
    """Return what the alarms with a text of their own say: (device, code) -> kind."""
    return {
        (rule.device, rule.alarm): AlarmKind(rule.severity, rule.text.zh, rule.text.en)
        for rule in rules
        if rule.text is not None
    }


def _judge(rule: AlarmRule) -> Judge:
    if rule.when is not None:
        return When(rule.when)
    point = split(rule.point or "")
    if rule.above is not None:
        return Limit(point, rule.above, rule.hysteresis)
    if rule.below is not None:
        return Limit(point, rule.below, rule.hysteresis, sign=-1)
    if rule.rises is not None:
        return Rises(point, rule.rises, Window(rule.within))
    if rule.differs_from is not None:
        return Differs(point, split(rule.differs_from), rule.by)
    return Same(frozenset({point})) if rule.frozen is not None else Heard(point)
