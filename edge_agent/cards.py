"""Card numbers become keyed references; the number itself lives only for the length of a frame.

A 24-bit card space is enumerated in seconds, so a plain hash would be no protection: the key makes the reference,
and whoever lacks the key learns nothing from it (GB/T 35273 6.1 to 6.3, PIPL).
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import AgentError
from edge_agent.records import CardRef

_MIN_KEY_BYTES = 16
_REF_BYTES = 16


@dataclass(frozen=True, slots=True)
class CardKey:
    """The operator's secret; `id` goes into every record so that a rotation can be told apart."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path, key_id: str) -> "CardKey":
        """Read the key file (raw bytes, surrounding white space ignored); raises AgentError if it is unusable."""
        try:
            secret = path.read_bytes().strip()
        except OSError as error:
            raise AgentError(f"card key {path}: {error.strerror}; create it with 32 random bytes, mode 0600") from error
        if len(secret) < _MIN_KEY_BYTES:
            raise AgentError(f"card key {path}: {len(secret)} bytes are too few, at least {_MIN_KEY_BYTES} are needed")
        return cls(key_id, secret)

    def reference(self, card_format: str, bits: str) -> CardRef:
        """Return HMAC-SHA256(key, format 00 canonical) cut to 16 bytes.

        `bits` are the card's bits without parity as "0"/"1"; canonical = their count, a colon and the bits, so
        that equal numbers of different widths stay different cards.
        """
        message = card_format.encode() + b"\x00" + f"{len(bits)}:{bits}".encode()
        digest = hmac.new(self.secret, message, hashlib.sha256).digest()
        return CardRef(digest[:_REF_BYTES].hex(), self.id)
