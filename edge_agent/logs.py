"""Logging: one line a record on stderr, the fact first, then `key=value`.

Under journald each line begins with the priority prefix of sd-daemon(3) (`<3>` error … `<7>` debug) and carries no
time, the journal has its own. On a terminal it begins with local time and level. Control characters are shown escaped:
text from a device or the network can neither begin a new line nor move a terminal's cursor.
"""

import logging
import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import TextIO

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Lowest level -> syslog severity (RFC 5424, table 2); anything lower is 7, debug."""
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {0x0A: "\\n"}
_OWN = "edge_agent"


class LineFormatter(logging.Formatter):
    """One record, one line; `journal` chooses the priority prefix instead of time and level."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__(datefmt="%Y-%m-%d %H:%M:%S")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        text = f"{record.name.removeprefix(_OWN + '.')}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text} {describe(record.exc_info[1])}"
        text = text.translate(_CONTROLS)
        if self._journal:
            return f"<{_priority(record.levelno)}>{text}"
        return f"{self.formatTime(record, self.datefmt)} {record.levelname} {text}"


def setup(stream: TextIO, environ: Mapping[str, str], *, level: int = logging.INFO) -> None:
    """Send everything logged to `stream`: our own records from `level`, those of libraries from WARNING.

    journald sets `JOURNAL_STREAM` for what it reads (systemd.exec(5)).
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(journal="JOURNAL_STREAM" in environ))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OWN).setLevel(level)


def describe(error: BaseException) -> str:
    """Return an exception and what caused it in one line: `error=… at=file:line:function<caller…`, innermost first."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    places = "<".join(f"{PurePath(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames)
    text = f"error={error!r} at={places or '?'}"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{text} because {describe(cause)}" if cause is not None else text


def _priority(level: int) -> int:
    return next((severity for lowest, severity in _PRIORITIES if level >= lowest), 7)
