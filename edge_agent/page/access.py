"""Who may act at the page: one PIN for the station, sessions that end by themselves, and a lock against guessing.

The PIN's file holds a salted scrypt hash and is written by `edge-agent page-pin`; there is none by default, and then
nobody acts here. Guessing locks the page for everybody, longer each time, but never whoever sits at the machine:
writing the file anew opens it again.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_N, _R, _P = 1 << 14, 8, 1
"""Cost of scrypt (RFC 7914): 16 MB and a fraction of a second on a Pi."""
_SALT = 16
_FORM = "scrypt"
_TRIES = 5
"""Wrong PINs before the page is locked."""
_LOCKED_S = 60.0
_LOCKED_LONGEST_S = 900.0
_IDLE_S = 900.0
_MOST_SESSIONS = 8
SHORTEST = 6
"""Fewest characters of a PIN: with the lock, a million possibilities take years."""


def hashed(pin: str) -> str:
    """Return what the PIN's file holds."""
    salt = secrets.token_bytes(_SALT)
    return f"{_FORM}${salt.hex()}${_hash(pin, salt).hex()}\n"


def matches(pin: str, stored: str) -> bool:
    """Return whether this is the PIN of which `stored` was made; what is damaged matches nothing."""
    form, _, rest = stored.strip().partition("$")
    salt, _, digest = rest.partition("$")
    try:
        return form == _FORM and hmac.compare_digest(_hash(pin, bytes.fromhex(salt)), bytes.fromhex(digest))
    except ValueError:
        return False


def _hash(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=_N, r=_R, p=_P)


@dataclass(slots=True)
class Session:
    """Somebody who has shown the PIN; `form_key` must come back with each form, so that no other site can send one."""

    who: str
    form_key: str
    seen: float


class Access:
    """Used by the page's thread only, except `check`, which takes its time. `monotonic` in seconds."""

    def __init__(self, pin_file: Path, monotonic: Callable[[], float]) -> None:
        self._file = pin_file
        self._monotonic = monotonic
        self._sessions: dict[str, Session] = {}
        self._wrong = 0
        self._locked_until = 0.0
        self._written = self._mark()

    def locked_for(self) -> float:
        """Return for how many seconds no PIN is taken; 0 if one is."""
        mark = self._mark()
        if mark != self._written:
            self._written, self._wrong, self._locked_until = mark, 0, 0.0
        return max(0.0, self._locked_until - self._monotonic())

    def check(self, pin: str) -> bool:
        """Return whether the PIN is right; may be called from another thread, as it is slow on purpose."""
        try:
            return matches(pin, self._file.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            return False

    def failed(self) -> None:
        """Note a wrong PIN."""
        self._wrong += 1
        over = self._wrong - _TRIES
        if over >= 0:
            self._locked_until = self._monotonic() + min(_LOCKED_S * 2**over, _LOCKED_LONGEST_S)

    def begin(self, who: str) -> str:
        """Begin a session; return the token for its cookie."""
        self._wrong = 0
        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda token: self._sessions[token].seen)]
        token = secrets.token_hex(16)
        self._sessions[token] = Session(who, secrets.token_hex(16), self._monotonic())
        return token

    def session(self, token: str | None) -> Session | None:
        """Return the session of a token, None if there is none or it was idle for too long."""
        found = self._sessions.get(token or "")
        if found is None or self._monotonic() - found.seen > _IDLE_S:
            self._sessions.pop(token or "", None)
            return None
        found.seen = self._monotonic()
        return found

    def end(self, token: str | None) -> None:
        """End a session."""
        self._sessions.pop(token or "", None)

    def _mark(self) -> object:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino)
