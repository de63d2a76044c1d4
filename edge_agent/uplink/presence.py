"""How the uplink stands, as others see it: the broker by `status` and the will, the page by the picture."""

import secrets
from dataclasses import replace
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.picture import Link, Picture
from edge_agent.uplink import payloads
from edge_agent.uplink.connection import Message
from edge_agent.uplink.delivery import Delivery
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.traffic import Traffic

_SHOW_EVERY_S = 1.0


class Turned(Protocol):
    """Told, in the uplink's thread, when the connection comes or goes."""

    def __call__(self, *, online: bool) -> None:
        """Take note."""


class Presence:
    """Belongs to the uplink's thread; times are monotonic seconds."""

    def __init__(self, topics: Topics, broker: str, picture: Picture, clock: Clock, turned: Turned) -> None:
        self.session = ""
        """Names one connection, so that a late will of an earlier one can be told apart."""
        self.why = ""
        """Why there is no connection, "" while there is one."""
        self.connections = 0
        self._topic = topics.leaf("status")
        self._broker = broker
        self._picture = picture
        self._clock = clock
        self._turned = turned
        self._online = False
        self._said: str | None = None
        """What the log has last: why there is no connection, "" that there is one."""
        self._turned_at = clock.monotonic()
        self._show_at = 0.0

    def begin(self) -> Message:
        """Begin an attempt under a new session; return its will."""
        self.session = secrets.token_hex(8)
        return Message(self._topic, payloads.status(online=False, session=self.session, reason="lost"), retain=True)

    def stopped(self) -> Message:
        """Return the good-bye of a clean stop, which is not a loss."""
        now_ms = round(self._clock.wall() * 1000)
        payload = payloads.status(online=False, session=self.session, now_ms=now_ms, reason="stopped")
        return Message(self._topic, payload, retain=True)

    def online(self) -> None:
        """Note that a connection stands."""
        self.connections += 1
        self.why = ""
        self._turn(online=True)

    def proved(self) -> bool:
        """Note that the connection works; return True if that is news.

        A broker that lets us in and takes nothing is not worth a line in the log each time.
        """
        news = self._said != ""
        self._said = ""
        return news

    def offline(self, why: str) -> bool:
        """Note that there is no connection; return True if the reason is news."""
        news = why != self._said
        self._said = self.why = why
        self._turn(online=False)
        return news

    def due(self) -> bool:
        """Return True once a second."""
        return self._clock.monotonic() >= self._show_at

    def show(self, delivery: Delivery, traffic: Traffic) -> None:
        """Put it into the picture."""
        self._show_at = self._clock.monotonic() + _SHOW_EVERY_S
        link = Link(
            online=self._online,
            since_mono=self._turned_at,
            why=self.why,
            broker=self._broker,
            pending=traffic.pending(),
            oldest_ms=delivery.oldest_ms(),
            published=traffic.published,
            acknowledged=delivery.acknowledged,
            connections=self.connections,
        )
        if link != self._picture.view.uplink:
            self._picture.change(lambda view: replace(view, uplink=link))

    def _turn(self, *, online: bool) -> None:
        if online is not self._online:
            self._online = online
            self._turned_at = self._clock.monotonic()
            self._turned(online=online)
