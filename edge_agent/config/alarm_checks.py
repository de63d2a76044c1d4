"""What the tables about alarms say of the rest of a station file."""

from edge_agent.alarms import CATALOGUE
from edge_agent.config.alarms import AlarmRule
from edge_agent.config.draft import Draft, Found
from edge_agent.config.maintenance import split
from edge_agent.config.messages import suggest
from edge_agent.driver import Actor, Command, DeviceError, Site, arguments


def alarms_whole(draft: Draft) -> Found:
    """Find rules over points that do not exist, and alarms that would be said in two ways."""
    said: dict[tuple[str, str], AlarmRule] = {}
    for index, rule in draft.alarms.items():
        for point in sorted(rule.points):
            if (text := draft.unknown(point)) is not None:
                yield ("alarm", index, "point" if rule.when is None else "when"), text
        if rule.text is None:
            continue
        before = said.setdefault((rule.device, rule.alarm), rule)
        if (rule.text, rule.severity) != (before.text, before.severity):
            text = f"{rule.alarm} of {rule.device!r} is said differently by {before.name!r} – give both one text"
            yield ("alarm", index, "text"), f"{text} and severity, or a code of its own"


def reflexes_fit(draft: Draft) -> Found:
    """Find reflexes that nothing can call for, or whose device cannot do what it is to be told."""
    codes = {*CATALOGUE, *(rule.alarm for rule in draft.alarms.values())}
    named = {name for _, name in draft.names("device")}
    devices = {device.name: device for device in draft.devices.values()}
    for index, reflex in draft.reflexes.items():
        for code in sorted(set(reflex.alarms) - codes):
            yield ("reflex", index, "alarms"), f"alarms: there is no alarm {code!r}{suggest(code, codes)}"
        if reflex.point is not None and (text := draft.unknown(split(reflex.point))) is not None:
            yield ("reflex", index, "point"), text
        if reflex.device not in named:
            yield ("reflex", index, "device"), f"there is no device {reflex.device!r}{suggest(reflex.device, named)}"
        elif (device := devices.get(reflex.device)) is not None:
            driver = draft.drivers[device.driver](device.options, Site())
            verbs = driver.verbs() if isinstance(driver, Actor) else {}
            for key, verb in (("on", reflex.on), ("off", reflex.off)):
                try:
                    arguments(verbs, Command(verb, dict(reflex.args)))
                except DeviceError as error:
                    hint = f" – {error.hint}" if error.hint else ""
                    yield ("reflex", index, key), f"{key}: {reflex.device} cannot: {error.what}{hint}"
