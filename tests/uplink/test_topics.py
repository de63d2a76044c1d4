"""Where each record is published, and what counts as a command or a place for its answer."""

import pytest

from edge_agent.journal.row import Row
from edge_agent.uplink.topics import Topics

TOPICS = Topics("stations", "east", "d1", "s1")
BASE = "stations/v1/east/d1/s1"


def row(stream: str, kind: str) -> Row:
    """A row of no further interest."""
    return Row(stream, 1, 1, "door", kind, 1, 0, 0, good=True, body="{}")


def test_fixed_topics() -> None:
    """Every class of topic has the station's prefix of fixed depth."""
    assert TOPICS.base == BASE
    assert TOPICS.leaf("status") == f"{BASE}/status"
    assert TOPICS.state("room") == f"{BASE}/state/room"
    assert TOPICS.reply("42") == f"{BASE}/reply/42"
    assert TOPICS.commands == f"{BASE}/cmd/#"


@pytest.mark.parametrize(
    ("stream", "kind", "topic"),
    [
        ("usage", "visit", "event/door"),
        ("alarm", "smoke", "alarm/door/smoke"),
        ("tele", "sample", "tele/door"),
        ("usage", "gap", "gap/usage"),
        ("tele", "gap", "gap/tele"),
        ("alarm", "clock_correction", "clock"),
    ],
)
def test_topic_of_a_row(stream: str, kind: str, topic: str) -> None:
    """A row's stream and type decide where it goes; losses and corrections have topics of their own."""
    assert TOPICS.of(row(stream, kind)) == f"{BASE}/{topic}"


@pytest.mark.parametrize(
    ("topic", "verb"),
    [
        (f"{BASE}/cmd/journal/resend", "journal/resend"),
        (f"{BASE}/cmd/a/b/c", "a/b/c"),
        (f"{BASE}/event/a", None),
        (f"{BASE}x/cmd/a/b", None),
    ],
)
def test_verb(topic: str, verb: str | None) -> None:
    """A command's topic names what is asked for, below the station's own prefix only."""
    assert TOPICS.verb(topic) == verb


@pytest.mark.parametrize(
    ("topic", "may"),
    [
        (f"{BASE}/reply/x", True),
        (f"{BASE}/answers/7", True),
        (f"{BASE}/", False),
        (f"{BASE}/event/door", False),
        (f"{BASE}/status", False),
        (f"{BASE}/reply/+", False),
        ("stations/v1/east/d1/s2/reply/x", False),
    ],
)
def test_where_an_answer_may_go(topic: str, *, may: bool) -> None:
    """An answer goes nowhere outside the station's prefix and never poses as a record of it."""
    assert TOPICS.may_answer_at(topic) is may
