"""Live updates as server-sent events (WHATWG HTML, "Server-sent events"): the whole screen, then what changed.

A stream never queues: each remembers what it has sent and is given the newest look, so a slow phone skips what it
missed and costs nothing.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from edge_agent.page.words import Language
from edge_agent.picture import Picture

MAX_STREAMS = 8
_RETRY_MS = 3000
"""How long a browser waits before it connects again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a stream speaks, in seconds."""

    rest: float = 0.5
    """At most two updates a second: faster than anyone reads."""
    ageing: float = 5.0
    """A look is taken at least this often: values turn stale, and the machine changes, without anybody saying so."""
    beat: float = 15.0
    """Longest silence. A page that hears nothing for 20 s says that the connection is lost."""


_AT = re.compile(r'(?<=data-at=")[-\d.]+')


@dataclass(frozen=True, slots=True)
class Part:
    """HTML of one place of the screen, with the monotonic times in its `data-at` attributes taken out.

    Every poll makes everything a little younger; only times need to be sent then, not the screen.
    """

    bare: str
    html: str
    ages: tuple[float, ...]

    @classmethod
    def of(cls, html: str) -> "Part":
        """Take the times out. Text cannot pass for an attribute: its quotes are escaped."""
        return cls(_AT.sub("", html), html, tuple(float(at) for at in _AT.findall(html)))


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page needs to show a look: its monotonic time, and each part by the id of its place."""

    now: float
    parts: Mapping[str, Part]

    def since(self, before: Mapping[str, Part]) -> str:
        """Return as JSON what differs from `before`: HTML of parts, or only the times in them, in their order."""
        parts, ages = {}, {}
        for name, part in self.parts.items():
            known = before.get(name)
            if known is None or known.bare != part.bare:
                parts[name] = part.html
            elif known.ages != part.ages:
                ages[name] = part.ages
        return json.dumps({"now": round(self.now, 1), "parts": parts, "ages": ages}, ensure_ascii=False)


class Live:
    """All streams of one page; belongs to the loop that `open` was called in."""

    def __init__(self, picture: Picture, render: Callable[[Language], Frame], pace: Pace = Pace()) -> None:
        self._picture = picture
        self._render = render
        self._pace = pace
        self._frames: dict[Language, tuple[int, float, Frame]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pulse = asyncio.Event()
        self._generation = 0
        self._woken = False
        self._closed = False
        self._streams = 0
        self._sent = 0

    @property
    def full(self) -> bool:
        """True if no further stream is taken."""
        return self._streams >= MAX_STREAMS

    def open(self) -> None:
        """Begin to listen to the picture; call from the running loop."""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._picture.subscribe(self._changed)

    def close(self) -> None:
        """End every stream."""
        if not self._closed and self._loop is not None:
            self._closed = True
            self._picture.unsubscribe(self._changed)
            self._wake()

    async def stream(self, language: Language) -> AsyncGenerator[str, None]:
        """Yield events until the client leaves or the page closes."""
        if self.full:
            return
        self._streams += 1
        try:
            yield f"retry: {_RETRY_MS}\n\n"
            before: Mapping[str, Part] = {}
            told_at = float("-inf")
            while not self._closed:
                pulse = self._pulse
                frame = self._frame(language)
                now = self._time()
                if frame.parts != before:
                    yield self._event("state", frame.since(before))
                    before, told_at = frame.parts, now
                elif now - told_at >= self._pace.beat - self._pace.ageing:
                    # A comment keeps the connection open, but only an event can be heard by the page's script.
                    yield ": still here\n" + self._event("state", Frame(frame.now, {}).since({}))
                    told_at = now
                await self._rest(pulse)
        finally:
            self._streams -= 1

    async def _rest(self, pulse: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(pulse.wait(), self._pace.ageing)
        except TimeoutError:
            return
        if not self._closed:
            await asyncio.sleep(self._pace.rest)

    def _event(self, name: str, data: str) -> str:
        self._sent += 1
        return f"id: {self._sent}\nevent: {name}\ndata: {data}\n\n"

    def _frame(self, language: Language) -> Frame:
        """Return the newest look, made once for all streams of a language."""
        made = self._frames.get(language)
        now = self._time()
        if made is None or made[0] != self._generation or now - made[1] >= self._pace.ageing / 2:
            made = (self._generation, now, self._render(language))
            self._frames[language] = made
        return made[2]

    def _changed(self) -> None:
        """Called by whoever changed the picture, in their thread."""
        loop = self._loop
        if loop is None or self._woken or not self._streams:
            return
        self._woken = True
        try:
            loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # The loop has ended between the change and this call; the changing thread has nothing to do with it.
            self._woken = False

    def _wake(self) -> None:
        self._woken = False
        self._generation += 1
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    def _time(self) -> float:
        assert self._loop is not None  # noqa: S101  (opened before the first stream; tells the type checker)
        return self._loop.time()
