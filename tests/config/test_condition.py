"""The language of conditions: what it says, what it refuses, and that the unknown stays unknown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.condition import Comparison, Condition, Truth, parse
from edge_agent.records import Value


def judge(text: str, **values: Value | None) -> Truth:
    """Judge a condition over points of the device `it`."""
    return parse(text).truth(lambda one: one.holds(values.get(one.point[1])))


@pytest.mark.parametrize(
    ("text", "values", "truth"),
    [
        ("it.t <= 26", {"t": 26}, True),
        ("it.t <= 26.5", {"t": 27.1}, False),
        ("it.t > -5", {"t": -4.5}, True),
        ('it.state == "cooling"', {"state": "cooling"}, True),
        ("it.state != 'cooling'", {"state": "stopped"}, True),
        ("it.on", {"on": True}, True),
        ("not it.on", {"on": True}, False),
        ("it.on == false", {"on": False}, True),
        ("it.t<=26 or it.on", {"t": 30, "on": False}, False),
        ("it.a and it.b or it.c", {"a": True, "b": False, "c": True}, True),
        ("it.a and (it.b or it.c)", {"a": False, "b": False, "c": True}, False),
        # The unknown: missing, of another kind, a list; decided by the rest or not.
        ("it.t <= 26", {}, None),
        ("it.t <= 26", {"t": "warm"}, None),
        ("it.t == 1", {"t": True}, None),
        ("it.on", {"on": 1}, None),
        ("it.cells == 1", {"cells": (1, 2)}, None),
        ("not it.on", {}, None),
        ("it.a or it.b", {"b": True}, True),
        ("it.a or it.b", {"b": False}, None),
        ("it.a and it.b", {"b": False}, False),
        ("it.a and it.b", {"b": True}, None),
    ],
)
def test_what_a_condition_says(text: str, values: dict[str, Any], truth: Truth) -> None:
    """Comparisons, precedence, and Kleene's logic."""
    assert judge(text, **values) is truth


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a condition – write it as text"),
        (26, "is not a condition – write it as text"),
        ("room.t <=", 'at its end – expected a number, "text", true or false'),
        ("room.t <= warm", "at 'warm' – expected DEVICE.POINT"),
        ("room.t <= on.t", "at 'on.t' – expected a number"),
        ('room.t <= "26"', "expected a number behind <="),
        ("room.t = 26", "at '= 26' – expected DEVICE.POINT"),
        ("temperature <= 26", "at 'temperature <= 26'"),
        ("room.t <= 26 room.on", "at 'room.on' – expected and, or, or the end"),
        ("(room.on", "at its end – expected a closing bracket"),
        ("room.on within 3", "at '3' – expected a duration behind within, like 24h"),
        ("__import__('os')", "at \"__import__('os')\""),
        ("(" * 60 + "room.on" + ")" * 60, "at most 20 brackets"),
        ("not " * 60 + "room.on", "at most 20 brackets"),
        ("room.on or " * 60 + "room.on", "has 500 characters at most"),
    ],
)
def test_what_is_no_condition(text: object, said: str) -> None:
    """It is told at which word, and what was expected there."""
    with pytest.raises(ValueError, match="condition") as caught:
        parse(text)
    assert said in str(caught.value)


def test_what_was_within_a_time() -> None:
    """It is kept with the comparison, whoever evaluates remembers."""
    (one,) = parse("oven.running within 7d").comparisons
    assert one == Comparison(("oven", "running"), "==", literal=True, within=604_800.0)
    assert str(one) == "oven.running == true within 7d"
    assert str(parse("oven.state != 'a b'").comparisons[0]) == 'oven.state != "a b"'


def test_its_points() -> None:
    """Each device and point it asks for, once."""
    found = parse("room.t > 1 and (room.t < 9 or not 365-001.on)")
    assert found.points == {("room", "t"), ("365-001", "on")}


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else can happen, and what was read says the same when it is read again."""
    try:
        found = parse(text)
    except ValueError:
        return
    assert isinstance(found, Condition)
    assert parse(found) is found
    assert parse(found.text) == found
