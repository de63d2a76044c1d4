"""What the demo's broker counts as arrived."""

from edge_agent.demo.sink import Sink

BASE = "stations/v1/cn/test/s1"


def test_only_records_are_counted() -> None:
    """Events, alarms and samples by their ids, once; a reply has an id, too, but is none."""
    sink = Sink()
    event = b'{"id":"s1/0123456789abcdef/usage/1","epoch":"0123456789abcdef","seq":1,"type":"visit"}'
    sink.take(f"{BASE}/event/door", event)
    sink.take(f"{BASE}/event/door", event)
    sink.take(f"{BASE}/tele/room", b'{"epoch":"0123456789abcdef","samples":[{"seq":7,"t":1}]}')
    sink.take(f"{BASE}/reply/c1", b'{"id":"c1","ok":true}')
    assert list(sink.of("usage")) == ["s1/0123456789abcdef/usage/1"]
    assert list(sink.of("tele")) == ["s1/0123456789abcdef/tele/7"]
    assert (len(sink.records), sink.duplicates, sink.conflicting) == (2, 1, 0)
    assert sink.last[f"{BASE}/reply/c1"]["ok"] is True
