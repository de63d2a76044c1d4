"""The keys of a secure channel, as both ends derive them; only to explain captures.

AES-128 of single blocks (FIPS 197), encryption only. The driver's own channel is libosdp's.
Source of the derivation: goToMain/libosdp `src/osdp_sc.c` and its vectors of the SIA specification, annex E.
"""

_ROUNDS = 10


def _double(value: int) -> int:
    """Multiply by x in the field of AES."""
    return (value << 1 ^ 0x1B) & 0xFF if value & 0x80 else value << 1


def _sbox() -> bytes:
    """Build the substitution table: the inverse in the field, then the affine map (FIPS 197 section 5.1.1)."""
    powers = [1]
    for _ in range(254):
        powers.append(powers[-1] ^ _double(powers[-1]))
    inverse = {power: powers[-index % 255] for index, power in enumerate(powers)} | {0: 0}
    table = bytearray(256)
    for value in range(256):
        turned = doubled = inverse[value]
        for _ in range(4):
            doubled = (doubled << 1 | doubled >> 7) & 0xFF
            turned ^= doubled
        table[value] = turned ^ 0x63
    return bytes(table)


_SBOX = _sbox()


def _round_keys(key: bytes) -> list[bytes]:
    words = [key[at : at + 4] for at in range(0, 16, 4)]
    constant = 1
    for index in range(4, 4 * (_ROUNDS + 1)):
        word = words[-1]
        if index % 4 == 0:
            word = bytes(_SBOX[byte] for byte in word[1:] + word[:1])
            word = bytes((word[0] ^ constant,)) + word[1:]
            constant = _double(constant)
        words.append(_xor(words[-4], word))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]


def _mix(column: bytes) -> bytes:
    total = column[0] ^ column[1] ^ column[2] ^ column[3]
    return bytes(byte ^ total ^ _double(byte ^ column[(row + 1) % 4]) for row, byte in enumerate(column))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def encrypt(key: bytes, block: bytes) -> bytes:
    """Encrypt one block of 16 bytes with a key of 16 bytes."""
    first, *keys = _round_keys(key)
    state = _xor(block, first)
    for number, round_key in enumerate(keys, 1):
        shifted = bytes(_SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))
        if number < _ROUNDS:
            shifted = b"".join(_mix(shifted[at : at + 4]) for at in range(0, 16, 4))
        state = _xor(shifted, round_key)
    return state


def session_keys(base: bytes, cp_random: bytes) -> dict[str, bytes]:
    """Return S-ENC, S-MAC1 and S-MAC2 of a session: the base key encrypts a tag and 6 bytes of the panel's random."""
    tags = {"s_enc": b"\x01\x82", "s_mac1": b"\x01\x01", "s_mac2": b"\x01\x02"}
    return {name: encrypt(base, (tag + cp_random[:6]).ljust(16, b"\0")) for name, tag in tags.items()}
