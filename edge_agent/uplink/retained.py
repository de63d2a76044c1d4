"""The retained pictures of a connection: `status`, `info`, `usage`, `public`, `state/<device>`, sent when they change.

They have no history: what counts is that the broker's copy is the newest, also after it was refused or lost its state.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from edge_agent.picture import Picture, View
from edge_agent.public import Card, public
from edge_agent.uplink import payloads
from edge_agent.uplink.connection import Message
from edge_agent.uplink.topics import Topics
from edge_agent.wire_json import dumps

_STATE_EXPIRY = 86_400
PUBLIC_EXPIRY = 900
"""Seconds after which nobody is to believe the public card of a station that has fallen silent."""
_PUBLIC_EVERY_MS = 300_000
_INFO_EVERY_MS = 60_000
"""Points come one by one after a start: they are told together."""


class Retained:
    """Knows what this connection has been told.

    `unknown` are alarms, (device, code), that a journal in memory may have raised and the one on the disk has never
    heard of: it cannot clear them, so the broker's copies are taken back unless they are raised now.
    """

    def __init__(
        self,
        topics: Topics,
        picture: Picture,
        info: Callable[[], Mapping[str, object]],
        unknown: Sequence[tuple[str, str]] = (),
        card: Card | None = None,
    ) -> None:
        self._card = card
        self._public_told_ms = 0
        self._info_looked_ms = 0
        self._unknown = unknown
        self._topics = topics
        self._picture = picture
        self._info = info
        self._session = ""
        self._told: dict[str, int] = {}
        self._seen: View | None = None
        self._greeted = False

    def begin(self, session: str) -> None:
        """Begin a connection: the broker may have lost everything."""
        self._session = session
        self._told.clear()
        self.look_again()

    def forget(self, topic: str) -> None:
        """The broker has not taken the newest message of `topic`: it is to be told again."""
        self._told.pop(topic, None)
        self.look_again()

    def look_again(self) -> None:
        """A topic may be free again."""
        self._seen = None
        self._greeted = False

    def greeting(self, now_ms: int, holds: Callable[[str], bool]) -> Message | None:
        """Return who we are, first of all on a connection."""
        if self._greeted:
            return None
        topics = self._topics
        if self._tell(topics.leaf("status"), 1, holds):
            payload = payloads.status(online=True, session=self._session, now_ms=now_ms)
            return Message(topics.leaf("status"), payload, retain=True)
        if (info := self._changed_info(now_ms, holds)) is not None:
            return info
        for alarm in self._unknown:
            if alarm not in self._picture.view.alarms and self._tell(topics.alarm(*alarm), 1, holds):
                return Message(topics.alarm(*alarm), b"", retain=True)
        self._greeted = True
        return None

    def next(self, now_ms: int, holds: Callable[[str], bool]) -> Message | None:
        """Return the next picture that has changed."""
        view = self._picture.view
        if view is self._seen and not self._public_is_old(now_ms):
            return None
        for message in self._changed(view, now_ms, holds):
            return message
        self._seen = view
        return None

    def _changed_info(self, now_ms: int, holds: Callable[[str], bool]) -> Message | None:
        """Return `info` if it is another one: devices tell new points, most of them right after the start."""
        self._info_looked_ms = now_ms
        topic = self._topics.leaf("info")
        said = payloads.encode(self._info())
        return Message(topic, said, retain=True) if self._tell(topic, hash(said), holds) else None

    def _changed(self, view: View, now_ms: int, holds: Callable[[str], bool]) -> Iterator[Message]:
        if abs(now_ms - self._info_looked_ms) >= _INFO_EVERY_MS:
            info = self._changed_info(now_ms, holds)
            if info is not None:
                yield info
        topic = self._topics.leaf("usage")
        if self._tell(topic, view.totals.changes, holds):
            yield Message(topic, payloads.usage(view.totals, now_ms), retain=True)
        if self._card is not None:
            topic = self._topics.leaf("public")
            said = public(self._card, view)
            if self._public_is_old(now_ms):
                self._told.pop(topic, None)
            if self._tell(topic, hash(dumps(said)), holds):
                self._public_told_ms = now_ms
                yield Message(topic, payloads.public(said, now_ms), retain=True, expiry=PUBLIC_EXPIRY)
        for name, device in view.devices.items():
            topic = self._topics.state(name)
            if self._tell(topic, device.told, holds):
                yield Message(topic, payloads.state(device, now_ms), retain=True, expiry=_STATE_EXPIRY)

    def _public_is_old(self, now_ms: int) -> bool:
        """Return whether the card must be told again before it expires; a clock that was set says nothing."""
        return self._card is not None and abs(now_ms - self._public_told_ms) >= _PUBLIC_EVERY_MS

    def _tell(self, topic: str, version: int, holds: Callable[[str], bool]) -> bool:
        if self._told.get(topic) == version or holds(topic):
            return False
        self._told[topic] = version
        return True
