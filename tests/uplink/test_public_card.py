"""The public card on its way: told when it changes, repeated before it expires, and only if the station wants it."""

from pathlib import Path

from edge_agent.public import Card
from edge_agent.records import Reading
from tests.uplink.rig import Rig

CARD = Card({"zh": "站", "en": "Station"}, {}, ("room", "temperature_c"), ())


def test_told_when_it_changes(tmp_path: Path) -> None:
    """A tenth of a degree is no news to the public; a whole one is."""
    with Rig.of(tmp_path, card=CARD) as rig:
        rig.store.record("room", Reading("temperature_c", 20.1))
        rig.drained()
        rig.until(lambda: [body.get("temperature_c") for body in rig.bodies("public")][-1:] == [20])
        told = len(rig.bodies("public"))
        rig.store.record("room", Reading("temperature_c", 20.2))
        rig.store.record("door", Reading("door", "open"))
        rig.until(lambda: len(rig.bodies("state/door")) == 1)
        assert len(rig.bodies("public")) == told
        rig.store.record("room", Reading("temperature_c", 21.0))
        rig.until(lambda: rig.bodies("public")[-1].get("temperature_c") == 21)
        message = [one for one in rig.messages if one.topic.endswith("/public")][-1]
        assert message.retain
        assert message.properties.message_expiry_interval == 900


def test_repeated_before_it_expires(tmp_path: Path) -> None:
    """A station where nothing changes stays on the map."""
    with Rig.of(tmp_path, card=CARD) as rig:
        rig.until(lambda: len(rig.bodies("public")) == 1)
        rig.clock.advance(301.0)
        rig.until(lambda: len(rig.bodies("public")) == 2)


def test_not_told_unless_wanted(tmp_path: Path) -> None:
    """Without a card there is no such topic."""
    with Rig.of(tmp_path) as rig:
        rig.store.record("room", Reading("temperature_c", 20.1))
        rig.drained()
        rig.until(lambda: len(rig.bodies("state/room")) == 1)
        assert rig.bodies("public") == []
