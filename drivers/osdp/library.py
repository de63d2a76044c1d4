"""libosdp, loaded when it is first needed: it is an optional extra, and decoding captures needs none of it."""

import ctypes
import importlib
import os
from pathlib import Path
from typing import Any

from edge_agent.driver import DeviceError

_KEY_BYTES = 16
_DEFAULT_KEY = bytes(range(0x30, 0x40))
"""SCBK-D, the key everybody knows: a reader that takes it can be re-keyed by anyone (SIA OSDP, install mode)."""
_OTHERS = 0o007


def load_library() -> Any:
    """Return libosdp's module, its log switched off and its random numbers seeded; raises DeviceError without it."""
    try:
        library = importlib.import_module("osdp_sys")
    except ImportError as error:
        raise DeviceError("libosdp is not installed", hint="install the agent with its extra: [osdp]") from error
    library.set_loglevel(library.LOG_EMERG)
    # libosdp 3.2.9 takes its challenges from the C library's rand() and never seeds it: each start would offer the
    # same challenge, and with it the same session keys.
    ctypes.CDLL(None).srand(ctypes.c_uint(int.from_bytes(os.urandom(4))))
    return library


def load_key(path: str) -> bytes:
    """Return the key of 16 bytes from its file; raises DeviceError that says what is wrong, never what was read."""
    try:
        mode = Path(path).stat().st_mode
        text = Path(path).read_text(encoding="ascii")
        key = bytes.fromhex(text)
    except OSError as error:
        raise DeviceError(f"key_file {path}: {error.strerror}") from error
    except ValueError:
        raise DeviceError(f"key_file {path} does not hold 32 hexadecimal digits") from None
    if len(key) != _KEY_BYTES:
        raise DeviceError(f"key_file {path} holds {len(key)} bytes, the key has {_KEY_BYTES}")
    if key == _DEFAULT_KEY or not any(key):
        raise DeviceError(f"key_file {path} holds a key that everybody knows", hint="give the reader one of its own")
    if mode & _OTHERS:
        raise DeviceError(f"key_file {path} can be read by every user", hint=f"sudo chmod 600 {path}")
    return key
