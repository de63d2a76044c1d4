"""Commands over MQTT to the journal, from the operator's publish to the answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.records import Event
from edge_agent.uplink.verbs import JournalVerbs
from tests.uplink.rig import BASE, Rig, ids


@pytest.fixture(name="rig")
def fixture_rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig with five visits delivered, and its recorder at work."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(5)
        rig.drained()
        rig.messages.clear()
        with rig.recorder_running():
            yield rig


def span(first: int, last: int) -> dict[str, Any]:
    """Both ends of a range; `from` is a word of Python's."""
    return {"from": first, "to": last}


def answer(rig: Rig, name: str = "c1") -> dict[str, Any]:
    """Wait for the answer to a command and return it."""
    rig.until(lambda: rig.bodies(f"reply/{name}"))
    found = rig.bodies(f"reply/{name}")[-1]
    assert found.pop("id") == name
    return found


def remembered(rig: Rig, prefix: str) -> dict[str, str]:
    """What the journal keeps under a prefix."""
    rig.store.recorder.submit_durably("station", [], {}, within=5.0)
    reader = rig.store.reader()
    try:
        return reader.remembered(prefix)
    finally:
        reader.close()


def test_resend(rig: Rig) -> None:
    """A range is sent again with the same ids, late; the answer says what is held of it; the audit follows."""
    epoch = rig.store.journal.epoch_name
    rig.command("journal/resend", stream="usage", epoch=epoch, **span(3, 5))
    assert answer(rig) == {"ok": True, "from": 3, "to": 5}
    rig.until(lambda: len(rig.bodies("event/station")) == 1 and len(rig.bodies("event/door")) == 3)
    again = rig.bodies("event/door")
    assert ids(again) == [f"s1/{epoch}/usage/{n}" for n in (3, 4, 5)]
    assert all(body["late"] for body in again)
    (audit,) = rig.bodies("event/station")
    assert (audit["type"], audit["command"], audit["by"]) == ("audit", "journal/resend", "tester")
    assert audit["decision"] == "accepted"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"from": 100, "to": 109}, "nothing of that range is held here"),
        ({"from": 3, "to": 2}, "Value error, to lies before from"),
        ({"from": 0, "to": 2}, "from: Input should be greater than or equal to 1"),
        ({"from": 1, "to": 2, "epoch": "f" * 16}, "no such epoch here"),
        ({"from": 1, "to": 2, "stream": "other"}, "stream: Input should be 'alarm', 'usage' or 'tele'"),
        ({"first": 1, "to": 2}, "from: Field required"),
    ],
)
def test_resend_refused(rig: Rig, asked: dict[str, Any], reason: str) -> None:
    """What cannot be sent again is said so."""
    body = {"stream": "usage", "epoch": rig.store.journal.epoch_name} | asked
    rig.command("journal/resend", **body)
    assert answer(rig) == {"ok": False, "reason": reason}


def test_resend_beyond_the_end(rig: Rig) -> None:
    """The answer names the part of the range that is held."""
    epoch = rig.store.journal.epoch_name
    rig.command("journal/resend", stream="tele", epoch=epoch, **span(1, 99))
    assert answer(rig)["reason"] == "nothing of that range is held here"
    rig.command("journal/resend", id="c2", stream="usage", epoch=epoch, **span(5, 99))
    assert answer(rig, "c2")["to"] in range(5, 99)


def test_resend_too_many(rig: Rig) -> None:
    """When too many ranges wait already the asker is told so."""
    JournalVerbs(rig.gate, rig.store.reader, rig.store.recorder, lambda _replay: False)
    epoch = rig.store.journal.epoch_name
    rig.command("journal/resend", stream="usage", epoch=epoch, **span(1, 5))
    assert answer(rig) == {"ok": False, "reason": "too many ranges wait already"}


def test_committed(rig: Rig) -> None:
    """What the centre has stored for good is remembered; it never goes back, nor beyond what there is."""
    epoch = rig.store.journal.epoch_name
    for name, upto, expected in (
        ("a", 4, {"ok": True, "upto": 4}),
        ("b", 2, {"ok": True, "upto": 4}),
        ("c", 99, {"ok": False}),
    ):
        rig.command("journal/committed", id=name, stream="usage", epoch=epoch, upto=upto)
        found = answer(rig, name)
        reason = found.pop("reason", "")
        assert found == expected
    assert reason.startswith("that epoch has ")
    assert remembered(rig, "committed/") == {f"committed/usage/{epoch}": "4"}


def test_committed_beyond_what_there_is(rig: Rig) -> None:
    """If the centre has stored what the journal never had, a copy was put back: new records get a new epoch, once."""
    epoch = rig.store.journal.epoch_name
    rig.command("journal/committed", stream="usage", epoch=epoch, upto=99)
    assert not answer(rig)["ok"]
    rig.store.recorder.submit_durably("door", [Event("visit", {})], {}, within=5.0)
    rig.until(lambda: [body["epoch"] for body in rig.bodies("event/door")] not in ([], [epoch]))
    new = rig.store.journal.epoch_name
    assert new != epoch
    rig.command("journal/committed", id="c2", stream="usage", epoch=epoch, upto=99)
    assert not answer(rig, "c2")["ok"]
    assert rig.store.journal.epoch_name == new


def test_response_topic(rig: Rig) -> None:
    """The answer goes to the MQTT 5 response topic too, with the correlation data, if it is ours to write to."""
    epoch = rig.store.journal.epoch_name
    for name, reply_to in (
        ("a", f"{BASE}/answers/box"),
        ("b", "stations/v1/east/d1/s2/answers/box"),
        ("c", f"{BASE}/status"),
    ):
        rig.command("journal/committed", id=name, stream="usage", epoch=epoch, upto=1, reply_to=reply_to)
        assert answer(rig, name)["ok"]
    rig.until(lambda: rig.bodies("answers/box"))
    boxed = [message for message in rig.messages if message.topic.endswith("/box")]
    assert [message.topic for message in boxed] == [f"{BASE}/answers/box"]
    assert boxed[0].properties.correlation_data == b"\x07"
    assert boxed[0].expiry == 60
    assert all("ok" not in body for body in rig.bodies("status"))


def test_nonsense_and_strangers(rig: Rig) -> None:
    """What has no id is answered only where it asks for; what is no command of ours is not even looked at."""
    rig.command("journal/resend", id="../../x", reply_to=f"{BASE}/answers/box")
    rig.until(lambda: rig.bodies("answers/box"))
    assert rig.bodies("answers/box") == [{"id": "", "ok": False, "reason": rig.bodies("answers/box")[0]["reason"]}]
    rig.until(lambda: any(body["type"] == "audit" for body in rig.bodies("event/station")))


def test_not_allowed(rig: Rig) -> None:
    """What is not on the allow-list is refused, answered and audited."""
    rig.command("door/open")
    assert answer(rig) == {"ok": False, "reason": "not on this station's allow-list"}
    rig.until(lambda: [body["decision"] for body in rig.bodies("event/station")] == ["refused"])


def test_retained_command(tmp_path: Path) -> None:
    """A retained command is refused at each connection."""
    with Rig.of(tmp_path) as rig, rig.recorder_running():
        rig.command("journal/resend")
        command = rig.messages[-1]
        rig.broker.call(
            lambda broker: broker.publish(
                type(command)(command.topic, command.payload, 1, True, 30, command.properties, "x", broker.clock())
            )
        )
        assert answer(rig)["reason"].startswith("retained")


def test_a_flood_does_not_stop_delivery(rig: Rig) -> None:
    """A hundred and fifty commands at once are refused, for one reason or another, and records go on."""
    for n in range(150):
        rig.command("door/open", id=f"c{n}")
    rig.store.recorder.submit_durably("door", [], {}, within=5.0)
    rig.until(lambda: len(rig.bodies("reply/")) >= 100 and rig.link.online)
    reasons = {body["reason"] for body in rig.bodies("reply/")}
    assert reasons <= {
        "not on this station's allow-list",
        "too many commands",
        "busy: too many commands wait here",
    }
