"""Brokers that misbehave: nothing is deleted, memory is flat, and the uplink recovers by itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.demo.broker import Broker, Refusal
from edge_agent.demo.mqtt_packets import Publish
from edge_agent.demo.mqtt_wire import ProtocolError, ReasonCode
from edge_agent.records import Event
from edge_agent.uplink.backoff import Pauses
from edge_agent.uplink.replays import Replay
from tests.uplink.rig import BASE, Rig

HOUR = 3600.0


def delivered(rig: Rig) -> dict[str, set[int]]:
    """Seqs that the journal holds as acknowledged, by stream."""
    rig.store.recorder.flush()
    reader = rig.store.reader()
    try:
        return {
            stream: {seq for first, last in ranges for seq in range(first, last + 1)}
            for (stream, _), ranges in reader.delivered().items()
        }
    finally:
        reader.close()


def kept(rig: Rig, stream: str) -> set[int]:
    """Seqs of a stream in the journal."""
    reader = rig.store.reader()
    try:
        return {row.seq for row in reader.all_rows() if row.stream == stream}
    finally:
        reader.close()


def test_never_acknowledges(tmp_path: Path) -> None:
    """Without acknowledgements no more than the window is sent, nothing is deleted, and after 20 s it connects anew."""
    with Rig.of(tmp_path) as rig:
        rig.behave(never_ack=True)
        rig.store.visits(100)
        rig.until(lambda: len(rig.messages) >= 20)
        for _ in range(20):
            rig.step()
        assert len(rig.messages) == 20
        assert delivered(rig) == {}
        rig.until(lambda: not rig.link.online, advance=1.0, patient=False)
        assert "acknowledges nothing" in rig.link.why
        rig.behave()
        rig.drained()
        assert delivered(rig)["usage"] == kept(rig, "usage") == set(range(1, 101))
        assert set(rig.seqs("event/")) == set(range(1, 101))


@pytest.mark.parametrize("behaviour", [{"ack_delay_s": 0.1}, {"ack_delay_s": 0.1, "reverse_acks": True}])
def test_late_and_reversed(tmp_path: Path, behaviour: dict[str, object]) -> None:
    """Acknowledgements may come late and in any order: each counts for its own message, and none is sent twice."""
    with Rig.of(tmp_path) as rig:
        rig.behave(**behaviour)
        rig.store.visits(45)
        rig.drained()
        assert rig.seqs("event/") == list(range(1, 46))
        assert delivered(rig)["usage"] == set(range(1, 46))


def test_acknowledgement_after_the_loss(tmp_path: Path) -> None:
    """What was held back when the connection broke is sent again with the same ids; nothing is counted twice."""
    with Rig.of(tmp_path) as rig:
        rig.behave(hold_acks=True)
        rig.store.visits(5)
        rig.until(lambda: len(rig.bodies("event/")) == 5)
        rig.broker.call(lambda broker: broker.disconnect_all(None))
        rig.behave()
        rig.drained()
        assert rig.seqs("event/") == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
        assert rig.link.acknowledged == 5


def test_closes_after_connack(tmp_path: Path) -> None:
    """A broker that lets us in and closes at once is asked at growing intervals."""
    with Rig.of(tmp_path, pauses=Pauses(1.0, 300.0)) as rig:
        rig.behave(close_after_connack=True)
        rig.store.visits(3)
        began = rig.clock.monotonic()
        rig.until(lambda: rig.link.connections >= 12)
        assert rig.clock.monotonic() - began > 300
        rig.behave()
        rig.drained()
        assert delivered(rig)["usage"] == set(range(1, 4))


def test_black_hole(tmp_path: Path) -> None:
    """A broker that accepts TCP and says nothing is given up after 20 s."""
    with Rig.of(tmp_path) as rig:
        rig.behave(black_hole=True)
        rig.store.visits(3)
        rig.until(lambda: rig.link.why, advance=1.0, patient=False)
        assert rig.link.why == "broker accepts the connection but does not answer"
        rig.behave()
        rig.drained()


@pytest.mark.parametrize(
    "nonsense", [b"\x20\x00", b"\x20\x02\xff\xff", b"\xf0\xff\xff\xff\xff\x7f", b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
def test_malformed_connack(tmp_path: Path, nonsense: bytes) -> None:
    """Nonsense in place of a CONNACK costs the connection, nothing more."""
    with Rig.of(tmp_path) as rig:
        rig.behave(connack_bytes=nonsense)
        rig.store.visits(1)
        rig.until(lambda: rig.link.why, advance=1.0, patient=False)
        rig.behave()
        rig.drained()
        assert delivered(rig)["usage"] == set(range(1, 2))


@pytest.mark.parametrize("nonsense", [b"\x40\x01\x00", b"\x40\x03\x00\x01\x55", b"\x42\x02\x00\x01", b"\x00\x00"])
def test_malformed_puback(tmp_path: Path, nonsense: bytes) -> None:
    """Nonsense in place of a PUBACK acknowledges nothing."""
    with Rig.of(tmp_path) as rig:
        rig.behave(puback_bytes=nonsense)
        rig.store.visits(1)
        rig.until(lambda: rig.link.why, advance=1.0, patient=False)
        assert delivered(rig) == {}
        rig.behave()
        rig.drained()
        assert delivered(rig)["usage"] == set(range(1, 2))


def test_foreign_puback(tmp_path: Path) -> None:
    """An acknowledgement of a packet id that was never used acknowledges nothing."""
    with Rig.of(tmp_path) as rig:
        rig.behave(puback_bytes=b"\x40\x02\xff\xf0")
        rig.store.visits(1)
        rig.until(lambda: rig.link.why, advance=1.0, patient=False)
        assert delivered(rig) == {}


def test_receive_maximum_one(tmp_path: Path) -> None:
    """With receive maximum 1 one message is in flight at a time; the broker never has to complain."""
    with Rig.of(tmp_path) as rig:
        rig.behave(receive_maximum=1)
        rig.store.visits(30)
        rig.drained()
        assert rig.seqs("event/") == list(range(1, 31))
        assert rig.broker.call(lambda broker: broker.stats).protocol_errors == 0
        assert rig.link.connections == 1


def test_server_keep_alive(tmp_path: Path) -> None:
    """The server's keep alive is taken over in place of our own."""
    with Rig.of(tmp_path) as rig:
        rig.behave(server_keep_alive=7)
        rig.online()
        (connection,) = rig.connections
        assert connection._keepalive == connection._client._keepalive == 7  # type: ignore[attr-defined]


def test_silent_broker(tmp_path: Path) -> None:
    """A link that breaks without a word is found by the broker's silence, though there is nothing to send."""
    with Rig.of(tmp_path) as rig:
        rig.drained()
        (connection,) = rig.connections
        # Counted from what was heard last: an acknowledgement may still be on its way.
        connection._clock = lambda: connection._heard + 91.0  # type: ignore[attr-defined]
        rig.until(lambda: not rig.link.online)
        assert rig.link.why == "broker is silent for 91 s"


def test_broker_that_stops_in_the_middle(tmp_path: Path) -> None:
    """A broker that goes mute under load is left after 20 s, and what it may have had is sent again."""
    with Rig.of(tmp_path) as rig:
        rig.behave(silent_after=10)
        rig.store.visits(30)
        rig.until(lambda: rig.link.why, advance=1.0, patient=False)
        rig.behave()
        rig.drained()
        assert delivered(rig)["usage"] == set(range(1, 31))


def test_connection_reset_under_load(tmp_path: Path) -> None:
    """A connection that is reset again and again still brings everything across."""
    with Rig.of(tmp_path) as rig:
        rig.behave(drop_after=15)
        rig.store.visits(60)
        rig.until(lambda: rig.link.connections >= 4)
        rig.behave()
        rig.drained()
        assert set(rig.seqs("event/")) == set(range(1, 61))
        assert delivered(rig)["usage"] == set(range(1, 61))


def refuse(rig: Rig, topic: str, code: ReasonCode, times: int | None = None) -> None:
    """Let the broker refuse a topic of ours."""
    rig.behave(refusals=(Refusal(f"{BASE}/{topic}", code, times),))


def judge_by(rig: Rig, judge: Callable[[Publish], ReasonCode]) -> None:
    """Let the broker refuse what `judge` refuses."""

    def install(broker: Broker) -> None:
        accept = broker.accept

        def judged(publish: Publish, client_id: str) -> ReasonCode:
            code = judge(publish)
            return code if code >= ReasonCode.UNSPECIFIED_ERROR else accept(publish, client_id)

        broker.accept = judged  # type: ignore[method-assign]

    rig.broker.call(install)


def test_a_refused_topic_is_held_alone(tmp_path: Path) -> None:
    """0x87 holds its topic; others flow; the alarm is raised once with the topic; after an hour it is tried again."""
    with Rig.of(tmp_path) as rig:
        refuse(rig, "event/gate", ReasonCode.NOT_AUTHORIZED)
        for n in range(20):
            rig.store.visits(1, device="gate" if n % 2 else "door")
        rig.until(lambda: rig.pending["usage"] == 10 and len(rig.seqs("event/")) == 10, advance=1.0)
        assert rig.seqs("event/door") == list(range(1, 21, 2))
        rig.until(lambda: rig.bodies("alarm/station/publish_refused"), advance=1.0)
        (raised,) = rig.bodies("alarm/station/publish_refused")
        assert raised["detail"] == {"topic": f"{BASE}/event/gate", "reason": "0x87"}
        refused = rig.broker.call(lambda broker: broker.stats).refused
        rig.until(lambda: rig.clock.monotonic() > 1000 + HOUR - 60, advance=30.0)
        assert rig.broker.call(lambda broker: broker.stats).refused == refused
        rig.until(lambda: rig.broker.call(lambda broker: broker.stats).refused > refused, advance=1.0)
        rig.behave()
        rig.until(lambda: rig.pending["usage"] == 0, advance=60.0)
        assert rig.seqs("event/gate") == list(range(2, 21, 2))
        rig.until(lambda: len(rig.bodies("alarm/station/publish_refused")) == 2, advance=1.0)
        assert rig.store.alarms() == [("publish_refused", "raised"), ("publish_refused", "cleared")]
        assert delivered(rig)["usage"] == set(range(1, 21))


def test_a_refused_topic_is_tried_after_a_reconnect(tmp_path: Path) -> None:
    """A new connection may have new rights."""
    with Rig.of(tmp_path) as rig:
        refuse(rig, "event/gate", ReasonCode.NOT_AUTHORIZED)
        rig.store.visits(3, device="gate")
        rig.until(lambda: rig.broker.call(lambda broker: broker.stats).refused == 3)
        rig.behave()
        rig.broker.call(lambda broker: broker.disconnect_all(None))
        rig.until(lambda: rig.pending["usage"] == 0, advance=1.0)
        assert rig.seqs("event/gate") == [1, 2, 3]


@pytest.mark.parametrize("freed_by", ["an hour", "a reconnect"])
def test_a_refused_topic_is_held_in_a_replay(tmp_path: Path, freed_by: str) -> None:
    """What is asked for again and refused waits with its topic, the rest of the range goes on; then it comes, too."""
    with Rig.of(tmp_path) as rig:
        for n in range(40):
            rig.store.visits(1, device="gate" if n % 2 else "door")
            rig.store.samples(1, device="yard" if n % 2 else "room")
        rig.drained()
        rig.messages.clear()
        rig.behave(
            refusals=(
                Refusal(f"{BASE}/event/gate", ReasonCode.NOT_AUTHORIZED),
                Refusal(f"{BASE}/tele/yard", ReasonCode.NOT_AUTHORIZED),
            )
        )
        rig.uplink._replay(Replay("usage", 1, 1, 40))
        rig.uplink._replay(Replay("tele", 1, 1, 40))
        rig.until(lambda: len(rig.seqs("event/door")) == 20 and len(_samples(rig, "room")) == 20, advance=1.0)
        rig.drained()
        assert rig.seqs("event/gate") == _samples(rig, "yard") == []
        rig.behave()
        if freed_by == "a reconnect":
            rig.broker.call(lambda broker: broker.disconnect_all(None))
        else:
            rig.clock.advance(HOUR)
        rig.until(lambda: len(rig.seqs("event/gate")) == 20 and len(_samples(rig, "yard")) == 20, advance=1.0)
        rig.drained()
        assert sorted(rig.seqs("event/gate")) == _samples(rig, "yard") == list(range(2, 41, 2))
        assert rig.seqs("event/door") == _samples(rig, "room") == list(range(1, 40, 2))


def _samples(rig: Rig, device: str) -> list[int]:
    return sorted(sample["seq"] for batch in rig.bodies(f"tele/{device}") for sample in batch["samples"])


def test_refused_pictures(tmp_path: Path) -> None:
    """Also state, usage, info and status are kept and told again when they may."""
    with Rig.of(tmp_path) as rig:
        rig.behave(
            refusals=tuple(
                Refusal(f"{BASE}/{topic}", code)
                for topic, code in (
                    ("state/room", ReasonCode.NOT_AUTHORIZED),
                    ("usage", ReasonCode.PACKET_TOO_LARGE),
                    ("status", ReasonCode.NOT_AUTHORIZED),
                )
            )
        )
        rig.store.samples(1)
        rig.drained()
        refused = rig.broker.call(lambda broker: broker.stats).refused
        assert refused >= 3
        rig.store.samples(1)
        rig.store.visits(1)
        rig.drained()
        assert rig.broker.call(lambda broker: broker.stats).refused == refused
        rig.behave()
        rig.until(lambda: all(rig.bodies(topic) for topic in ("state/room", "usage", "status")), advance=60.0)
        assert rig.bodies("usage")[-1]["lifetime"]["visits"] == 1


@pytest.mark.parametrize("code", [ReasonCode.UNSPECIFIED_ERROR, ReasonCode.QUOTA_EXCEEDED, ReasonCode(0x93)])
def test_a_broker_in_trouble(tmp_path: Path, code: ReasonCode) -> None:
    """0x80, 0x93, 0x97: everything rests, longer each time, and goes on where it stopped, in order."""
    with Rig.of(tmp_path) as rig:
        refuse(rig, "#", code)
        rig.store.visits(30)
        began = rig.clock.monotonic()
        rig.until(lambda: rig.broker.call(lambda broker: broker.stats).refused >= 100, advance=0.5)
        assert rig.clock.monotonic() - began >= 1 + 2 + 4 + 8
        assert delivered(rig) == {}
        rig.behave()
        rig.drained()
        assert rig.seqs("event/") == list(range(1, 31))
        rig.until(lambda: len(rig.store.alarms()) == 2, advance=10.0)
        assert rig.store.alarms() == [("publish_refused", "raised"), ("publish_refused", "cleared")]


def test_refused_now_and_then(tmp_path: Path) -> None:
    """A broker that refuses a few of many gets them again; the alarm does not flutter."""
    with Rig.of(tmp_path) as rig:
        refuse(rig, "event/#", ReasonCode.QUOTA_EXCEEDED, times=7)
        rig.store.visits(60)
        rig.until(lambda: rig.pending["usage"] == 0, advance=0.5)
        assert set(rig.seqs("event/")) == set(range(1, 61))
        assert rig.store.alarms() == [("publish_refused", "raised")]


@pytest.mark.parametrize(
    "code", [ReasonCode.TOPIC_NAME_INVALID, ReasonCode.PACKET_TOO_LARGE, ReasonCode.PAYLOAD_FORMAT_INVALID]
)
def test_a_row_that_can_never_pass(tmp_path: Path, code: ReasonCode) -> None:
    """0x90, 0x95, 0x99 set that row aside, kept; the rest flows; after a day a gap says that it will not come."""
    with Rig.of(tmp_path) as rig:
        refuse(rig, "event/gate", code)
        rig.store.visits(1, device="gate")
        rig.store.visits(3)
        rig.until(lambda: rig.seqs("event/door") == [2, 3, 4] and rig.store.alarms(), advance=1.0)
        refused = rig.broker.call(lambda broker: broker.stats).refused
        rig.until(lambda: rig.clock.monotonic() > 1000 + 23 * HOUR, advance=600.0)
        assert rig.broker.call(lambda broker: broker.stats).refused == refused == 1
        rig.store.recorder.flush()
        rig.restart_agent()
        rig.until(lambda: rig.bodies("gap/usage"), advance=600.0)
        (gap,) = rig.bodies("gap/usage")
        assert (gap["from_seq"], gap["to_seq"], gap["reason"], gap["count"]) == (1, 1, "refused", 1)
        assert "of_epoch" not in gap
        assert gap["from_ts"] == gap["to_ts"]
        assert rig.clock.monotonic() - 1000 >= 24 * HOUR
        assert set(range(1, 6)) <= kept(rig, "usage")
        rig.until(lambda: len(rig.store.alarms()) == 2, advance=10.0)
        assert rig.store.alarms() == [("publish_refused", "raised"), ("publish_refused", "cleared")]
        assert 1 not in delivered(rig)["usage"]
        assert {2, 3, 4} <= delivered(rig)["usage"]


def test_one_bad_sample_in_a_batch(tmp_path: Path) -> None:
    """A refused batch is halved until the one sample that cannot pass is found; its neighbours arrive."""
    with Rig.of(tmp_path) as rig:
        rig.store.samples(16)

        def judge(publish: Publish) -> ReasonCode:
            bad = b'"seq":9,' in publish.payload and b"samples" in publish.payload
            return ReasonCode.PAYLOAD_FORMAT_INVALID if bad else ReasonCode.SUCCESS

        judge_by(rig, judge)
        rig.until(lambda: len(delivered(rig).get("tele", ())) == 15, advance=1.0)
        seen = {sample["seq"] for batch in rig.bodies("tele/") for sample in batch["samples"]}
        assert seen == set(range(1, 17)) - {9}


def test_too_large_for_the_broker(tmp_path: Path) -> None:
    """What is larger than the broker says it takes is not sent: batches are smaller, one row too large is set aside."""
    with Rig.of(tmp_path) as rig:
        rig.broker.call(lambda broker: setattr(broker, "maximum_packet_size", 1500))
        rig.store.samples(100)
        rig.store.record("door", Event("visit", {"remark": "x" * 2000}))
        rig.store.visits(1)
        rig.until(lambda: rig.seqs("event/") == [2] and len(delivered(rig).get("tele", ())) == 100, advance=1.0)
        assert rig.link.connections == 1
        rig.until(rig.store.alarms, advance=1.0)
        assert rig.store.alarms() == [("publish_refused", "raised")]


def test_a_broker_that_cuts_what_is_too_large(tmp_path: Path) -> None:
    """A limit that the broker does not announce costs one connection for each culprit, and nothing is lost."""
    with Rig.of(tmp_path) as rig:

        def judge(publish: Publish) -> ReasonCode:
            if len(publish.payload) > 1000:
                raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, "too large")
            return ReasonCode.SUCCESS

        judge_by(rig, judge)
        rig.store.samples(60)
        rig.store.record("door", Event("visit", {"remark": "x" * 2000}))
        rig.store.visits(1)
        rig.until(lambda: rig.seqs("event/") == [2] and len(delivered(rig).get("tele", ())) == 60, advance=1.0)
        assert rig.link.connections <= 6


def test_the_log_tells_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that lets us in and takes nothing is one line in the log, however often; so is that it is well again."""
    caplog.set_level("INFO", "edge_agent.uplink")
    with Rig.of(tmp_path) as rig:
        rig.behave(never_ack=True)
        rig.store.visits(1)
        for _ in range(4):
            rig.online()
            rig.until(lambda: not rig.link.online, advance=0.5, patient=False)
        rig.behave()
        rig.drained()
        lines = [record.getMessage().split(",")[0].split(" broker=")[0] for record in caplog.records]
        assert lines == ["uplink is offline", "uplink is online"]
        assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
