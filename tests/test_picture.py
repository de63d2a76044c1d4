"""The live picture: consistent, immutable, and everybody is told."""

from dataclasses import replace

import pytest

from edge_agent.picture import Device, Picture, View, with_readings
from edge_agent.records import Quality, Reading


def test_subscribers_are_told_after_each_change() -> None:
    """Whoever subscribed is called with the new view in place, until it leaves."""
    picture = Picture()
    seen: list[float | None] = []

    def look() -> None:
        seen.append(picture.view.last_visit_mono)

    picture.subscribe(look)
    picture.change(lambda view: replace(view, last_visit_mono=1.0))
    picture.change(lambda view: replace(view, last_visit_mono=2.0))
    picture.unsubscribe(look)
    picture.change(lambda view: replace(view, last_visit_mono=3.0))
    assert seen == [1.0, 2.0]
    assert picture.view.last_visit_mono == 3.0


def test_one_look_stays_as_it_is() -> None:
    """A view that was taken does not change any more."""
    picture = Picture()
    before = picture.view
    picture.change(lambda view: replace(view, last_visit_mono=1.0))
    assert before == View()


def test_a_failing_change_changes_nothing() -> None:
    """An edit that raises leaves the view and the lock as they were."""
    picture = Picture()

    def wrong(_view: View) -> View:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        picture.change(wrong)
    picture.change(lambda view: replace(view, last_visit_mono=1.0))
    assert picture.view.last_visit_mono == 1.0


def test_values_age_and_leave() -> None:
    """A quality keeps the moment it began; an absent value leaves; a device stays otherwise as it was."""
    device = with_readings(Device(told=4), {"a": Reading("a", 1), "b": Reading("b", 2)}, 1000, 1.0)
    assert (device.points["a"].since_ms, device.points["a"].wall_ms) == (1000, 1000)
    device = with_readings(device, {"a": Reading("a", 3)}, 2000, 2.0)
    assert (device.points["a"].since_ms, device.points["a"].wall_ms) == (1000, 2000)
    device = with_readings(device, {"a": Reading("a", 3, quality=Quality.BAD)}, 3000, 3.0)
    assert (device.points["a"].since_ms, device.points["a"].wall_ms) == (3000, 2000)
    device = with_readings(device, {"a": Reading("a", None), "c": Reading("c", None)}, 4000, 4.0)
    assert list(device.points) == ["b"]
    device = with_readings(device, {"b": Reading("b", None, quality=Quality.BAD)}, 5000, 5.0)
    assert device.points["b"].reading.quality is Quality.BAD
    assert device.told == 4
