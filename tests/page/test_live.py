"""The stream by itself: whole state first, then changes, never faster than the pace and never silent for long."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from typing import Any

from edge_agent.page.live import MAX_STREAMS, Frame, Live, Pace, Part
from edge_agent.page.words import Language
from edge_agent.picture import Picture

QUICK = Pace(rest=0.01, ageing=0.02, beat=0.06)
PATIENT = Pace(rest=0.01, ageing=5.0, beat=15.0)


class Screen:
    """Renders the number of connections of the uplink, and counts how often it was asked."""

    def __init__(self, pace: Pace) -> None:
        self.picture = Picture()
        self.renders = 0
        self.live = Live(self.picture, self.render, pace)

    def render(self, language: Language) -> Frame:
        """One part that changes and one that does not."""
        self.renders += 1
        uplink = self.picture.view.uplink
        parts = {
            "uplink": f"{language} {uplink.connections}",
            "door": f'closed <time data-at="{uplink.published}.5"></time>',
        }
        return Frame(float(self.renders), {name: Part.of(html) for name, html in parts.items()})

    def change(self, connections: int) -> None:
        """Change the picture, from whatever thread."""
        self.picture.change(lambda view: replace(view, uplink=replace(view.uplink, connections=connections)))


def state(event: str) -> dict[str, Any]:
    """Return the data of an event."""
    line = next(line for line in event.splitlines() if line.startswith("data: "))
    parts: dict[str, Any] = json.loads(line.removeprefix("data: "))["parts"]
    return parts


async def following(stream: AsyncGenerator[str, None]) -> str:
    """Return the next thing the stream says."""
    return await asyncio.wait_for(anext(stream), 5)


def watched(screen: Screen, work: Callable[[AsyncGenerator[str, None]], Coroutine[Any, Any, None]]) -> None:
    """Run `work` with a Chinese stream that has said hello."""

    async def run() -> None:
        screen.live.open()
        stream = screen.live.stream("zh")
        assert (await following(stream)).startswith("retry: ")
        await work(stream)
        screen.live.close()

    asyncio.run(run())


def test_the_whole_state_comes_first_and_then_what_changed() -> None:
    """A part that stays the same is not sent again; every event has an id."""
    screen = Screen(PATIENT)

    async def work(stream: AsyncGenerator[str, None]) -> None:
        first = await following(stream)
        assert first.startswith("id: 1\nevent: state\n")
        assert state(first) == {"uplink": "zh 0", "door": 'closed <time data-at="0.5"></time>'}
        await asyncio.to_thread(screen.change, 1)
        second = await following(stream)
        assert second.startswith("id: 2\n")
        assert state(second) == {"uplink": "zh 1"}

    watched(screen, work)


def test_what_only_got_younger_is_sent_as_times() -> None:
    """A poll that brings the same values costs a few bytes, not the screen."""
    screen = Screen(PATIENT)

    async def work(stream: AsyncGenerator[str, None]) -> None:
        await following(stream)
        screen.picture.change(lambda view: replace(view, uplink=replace(view.uplink, published=7)))
        event = await following(stream)
        assert json.loads(event.splitlines()[2].removeprefix("data: ")) == {
            "now": 2.0,
            "parts": {},
            "ages": {"door": [7.5]},
        }

    watched(screen, work)


def test_text_cannot_pass_for_a_time() -> None:
    """What a device says is escaped, so it is never taken out of the page."""
    part = Part.of('<p>data-at=&#34;12&#34;</p><time data-at="3.4"></time>')
    assert part.ages == (3.4,)
    assert "data-at=&#34;12&#34;" in part.bare


def test_a_burst_of_changes_is_one_look() -> None:
    """A slow reader is given the newest state, not every one in between."""
    screen = Screen(PATIENT)

    async def work(stream: AsyncGenerator[str, None]) -> None:
        await following(stream)
        for number in range(1, 501):
            screen.change(number)
        while state(await following(stream)) != {"uplink": "zh 500"}:
            pass
        assert screen.renders < 6

    watched(screen, work)


def test_phones_of_one_language_share_a_look() -> None:
    """Rendering costs once a language, however many watch."""
    screen = Screen(PATIENT)

    async def work(_: AsyncGenerator[str, None]) -> None:
        streams = [screen.live.stream("en") for _ in range(4)]
        for stream in streams:
            await following(stream)
            await following(stream)
        assert screen.renders == 1
        for stream in streams:
            await stream.aclose()

    watched(screen, work)


def test_a_quiet_stream_still_says_that_it_lives() -> None:
    """A comment for the way, an event for the script, both well within the page's patience."""
    screen = Screen(QUICK)

    async def work(stream: AsyncGenerator[str, None]) -> None:
        await following(stream)
        beat = await following(stream)
        assert beat.startswith(": ")
        assert "\nevent: state\n" in beat
        assert state(beat) == {}

    watched(screen, work)


def test_values_age_without_anybody_saying_so() -> None:
    """What the server would render differently by now is sent, though the picture did not change."""
    screen = Screen(QUICK)

    async def work(stream: AsyncGenerator[str, None]) -> None:
        await following(stream)
        screen.picture._view = replace(  # nobody is told, as when only time passes
            screen.picture.view, uplink=replace(screen.picture.view.uplink, connections=9)
        )
        while "uplink" not in state(await following(stream)):
            pass

    watched(screen, work)


def test_there_are_only_so_many_streams_and_a_place_becomes_free() -> None:
    """The ninth is told so; one that leaves makes room."""
    screen = Screen(PATIENT)

    async def work(stream: AsyncGenerator[str, None]) -> None:
        others = [screen.live.stream("zh") for _ in range(MAX_STREAMS - 1)]
        for other in others:
            await following(other)
        assert screen.live.full
        assert [event async for event in screen.live.stream("zh")] == []
        await stream.aclose()
        assert not screen.live.full
        for other in others:
            await other.aclose()

    watched(screen, work)


def test_closing_ends_every_stream_and_lets_the_picture_go() -> None:
    """A later change calls nobody, also when the loop is long gone."""
    screen = Screen(PATIENT)

    async def run() -> None:
        screen.live.open()
        stream = screen.live.stream("zh")
        await following(stream)
        await following(stream)
        screen.live.close()
        screen.live.close()
        assert [event async for event in stream] == []

    asyncio.run(run())
    screen.change(1)
    screen.live._changed()
