"""The one gate for everything that acts, whoever asks: the centre over MQTT or a person at the page.

rate -> size -> life -> seen before -> allowed -> schema -> time -> on record -> act -> answer, in that visible order.
What passes is on record, durably, before it acts: after a power cut in between, the same command is refused as seen
before instead of acting twice. What does not pass is answered with the reason. Both leave an audit record in the usage
stream.
"""

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Protocol, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from edge_agent.clock import Clock
from edge_agent.errors import AgentError
from edge_agent.records import Event, Json, Record
from edge_agent.verbs import explain

log = logging.getLogger(__name__)

SEEN = "command/"
"""Prefix of the journal's keys under which the ids that passed are kept."""
_MOST_BYTES = 4096
_MOST_SECONDS = 60.0
"""Longest life of a command on its way, and how far its time may be off ours."""
_REMEMBERED_S = 7 * 86_400.0
_RECORD_WITHIN_S = 5.0
_BURST = 60.0
_REFILL_PER_S = 1 / 30


class CommandRefused(AgentError):  # noqa: N818  (it says what has happened to the command)
    """A verb cannot do what was asked; the text is the reason given in the answer."""


class Command(BaseModel):
    """What every command carries; a verb's own model adds its arguments at the same level."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Chosen by who asks, never used twice; the answer comes on `reply/<id>`."""
    by: Annotated[str, Field(min_length=1, max_length=64)]
    """Who asks, as the audit shall name them."""
    ts: AwareDatetime
    """When it was asked; more than a minute from the station's time it is refused, if the station knows the time."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command as it came: `verb` is `<device>/<name>`, `expiry` the seconds it may still live (None: for ever)."""

    verb: str
    payload: bytes
    expiry: float | None
    retained: bool = False
    here: bool = False
    """Asked at the station itself, by somebody who has shown its PIN."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it; `id` is empty if the command had none that could be answered."""

    id: str
    ok: bool
    reason: str = ""
    result: Mapping[str, Json] = field(default_factory=dict)


Act: TypeAlias = Callable[[Any], Mapping[str, Json]]
"""Does what the validated model asks and returns what to answer; raises CommandRefused."""


class Book(Protocol):
    """The Recorder, as the gate uses it."""

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """Record something."""

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Record something for good, with what to remember; False if that is not possible in time."""


class Gate:
    """See the module; may be asked from any thread. `kept` is what the journal remembers under `SEEN`.

    `allow` is what the centre may ask for, `allow_here` somebody at the station.
    """

    def __init__(
        self,
        book: Book,
        clock: Clock,
        allow: Iterable[str],
        kept: Mapping[str, str],
        *,
        allow_here: Iterable[str] = (),
    ) -> None:
        self._book = book
        self._clock = clock
        self._allow = frozenset(allow)
        self._allow_here = frozenset(allow_here)
        self._seen = {key.removeprefix(SEEN): _When(*json.loads(text)) for key, text in kept.items()}
        self._verbs: dict[str, tuple[type[Command], Act]] = {}
        self._judging = threading.Lock()
        self._acting: dict[str, threading.Lock] = {}
        self._counting = threading.Lock()
        self._tokens = _BURST
        self._counted_at = clock.monotonic()
        self._flooded = False

    def register(self, verb: str, model: type[Command], act: Act) -> None:
        """Offer a verb; whether it may be used is up to the allow-list. Verbs of one device act one at a time."""
        self._acting.setdefault(_device(verb), threading.Lock())
        self._verbs[verb] = (model, act)

    def knows(self, verb: str) -> bool:
        """Return whether somebody at the station may ask for `verb`."""
        return verb in self._verbs and _allowed(verb, self._allow_here)

    def handle(self, request: Request) -> Answer:
        """Judge one command and, if it passes, act on it."""
        name, by = _names(request.payload)
        try:
            if not self._admit():
                return Answer(name, ok=False, reason="too many commands")
            with self._judging:
                command, act = self._judge(request, name)
                self._enter(request.verb, command)
        except CommandRefused as error:
            self._audit(request.verb, name, by, "refused", str(error))
            return Answer(name, ok=False, reason=str(error))
        try:
            # A device that is stuck keeps nobody waiting who wants something of another.
            with self._acting[_device(request.verb)]:
                return Answer(name, ok=True, result=act(command))
        except AgentError as error:
            self._audit(request.verb, name, by, "failed", str(error))
            return Answer(name, ok=False, reason=str(error))

    def turn_away(self, request: Request, reason: str) -> Answer:
        """Refuse, at once, what there is no room for; it may be asked again under the same id.

        On record like any refusal, but no longer than it would be admitted.
        """
        name, by = _names(request.payload)
        if self._admit():
            self._audit(request.verb, name, by, "refused", reason)
        return Answer(name, ok=False, reason=reason)

    def _admit(self) -> bool:
        """Sixty at once, then two a minute: whoever floods the station must not fill its journal with audit records."""
        with self._counting:
            now = self._clock.monotonic()
            self._tokens = min(_BURST, self._tokens + (now - self._counted_at) * _REFILL_PER_S)
            self._counted_at = now
            if self._tokens < 1:
                if not self._flooded:
                    log.warning("too many commands, they are refused")
                self._flooded = True
                return False
            self._tokens -= 1
            self._flooded = False
            return True

    def _judge(self, request: Request, name: str) -> tuple[Command, Act]:
        if len(request.payload) > _MOST_BYTES:
            raise CommandRefused(f"larger than {_MOST_BYTES} bytes")
        if request.retained:
            raise CommandRefused("retained: a command is for now, not for whoever comes later")
        if request.expiry is None or request.expiry > _MOST_SECONDS:
            raise CommandRefused(f"needs a message expiry of at most {_MOST_SECONDS:.0f} s")
        if request.expiry <= 0:
            raise CommandRefused("expired while it waited for others")
        if name in self._seen:
            raise CommandRefused("seen before")
        if not _allowed(request.verb, self._allow_here if request.here else self._allow):
            raise CommandRefused("not on this station's allow-list")
        if request.verb not in self._verbs:
            raise CommandRefused("unknown here")
        model, act = self._verbs[request.verb]
        try:
            command = model.model_validate_json(request.payload)
        except ValidationError as error:
            raise CommandRefused(explain(error)) from error
        if self._clock.good() and abs(self._clock.wall() - command.ts.timestamp()) > _MOST_SECONDS:
            raise CommandRefused(f"its time is more than {_MOST_SECONDS:.0f} s from the station's: {_now(self._clock)}")
        return command, act

    def _enter(self, verb: str, command: Command) -> None:
        """Put it on record; what is remembered longer than it must be goes in the same transaction."""
        now = _When(self._clock.boot_id, self._clock.monotonic(), self._clock.wall())
        old = [name for name, when in self._seen.items() if self._age(when) > _REMEMBERED_S]
        state: dict[str, str | None] = {SEEN + name: None for name in old}
        state[SEEN + command.id] = json.dumps([now.boot_id, now.mono, now.wall])
        event = _audit(verb, command.id, command.by, "accepted", "")
        if not self._book.submit_durably("station", [event], state, _RECORD_WITHIN_S):
            raise CommandRefused("the journal cannot take it down just now")
        for name in old:
            del self._seen[name]
        self._seen[command.id] = now

    def _age(self, when: "_When") -> float:
        """Seconds since then; of an earlier boot as the wall clock says, and as good as new while that is not good."""
        if when.boot_id == self._clock.boot_id:
            return self._clock.monotonic() - when.mono
        return self._clock.wall() - when.wall if self._clock.good() else 0.0

    def _audit(self, verb: str, name: str, by: str, decision: str, reason: str) -> None:
        self._book.submit("station", [_audit(verb, name, by, decision, reason)])


def _allowed(verb: str, allow: Collection[str]) -> bool:
    return verb in allow or f"{_device(verb)}/*" in allow


def _device(verb: str) -> str:
    return verb.partition("/")[0]


@dataclass(frozen=True, slots=True)
class _When:
    boot_id: str
    mono: float
    wall: float


class _Head(BaseModel):
    """As much of a command as an answer and the audit need, however wrong the rest is."""

    id: Annotated[str, Field(pattern=Command.model_fields["id"].metadata[0].pattern)] = ""
    by: Annotated[str, Field(max_length=64)] = ""


def _names(payload: bytes) -> tuple[str, str]:
    """Return (id, who asks), each "" if it is not there or not fit to be repeated."""
    try:
        head = _Head.model_validate_json(payload[: 4 * _MOST_BYTES])
    except ValidationError:
        return "", ""
    return head.id, head.by


def _audit(verb: str, name: str, by: str, decision: str, reason: str) -> Event:
    data: dict[str, Json] = {"command": verb[:64], "command_id": name, "by": by, "decision": decision}
    return Event("audit", data | ({"reason": reason} if reason else {}))


def _now(clock: Clock) -> str:
    return datetime.fromtimestamp(clock.wall()).astimezone().isoformat(timespec="seconds")
