"""Every error the agent raises on purpose, with the blame in its type.

`LinkError` blames the wire, `DeviceError` blames what is at its other end, `ConfigError` the station file,
`JournalError` the storage, `UplinkError` the broker or the way to it. Nothing else may leave a driver.
"""

from dataclasses import dataclass


class AgentError(Exception):
    """Base of all errors below."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a configuration file: where (`line` is 1-based, 0 = unknown), what is wrong and what to do."""

    file: str
    line: int
    text: str
    warning: bool = False

    def __str__(self) -> str:
        suffix = "   (warning)" if self.warning else ""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}{suffix}"


class ConfigError(AgentError):
    """The configuration cannot be used; `problems` lists every finding at once, sorted by file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class LinkError(AgentError):
    """The wire failed. `gone` says that the port itself is lost and must be closed and opened again."""

    def __init__(self, what: str, *, gone: bool = False) -> None:
        self.what = what
        self.gone = gone
        super().__init__(what)


class LinkTimeout(LinkError):  # noqa: N818  (a timeout is the field's word; the base already says Error)
    """Nothing usable came within the time asked for; an answer may still be on its way."""


class DeviceError(AgentError):
    """The device spoke nonsense or refused.

    `op` is what was asked, `hint` what to look at, `raw` the bytes received. Drivers that carry personal bytes
    pass no `raw`, only its length inside `what`.
    """

    def __init__(self, what: str, *, op: str = "", raw: bytes = b"", hint: str = "") -> None:
        self.what = what
        self.op = op
        self.raw = raw
        self.hint = hint
        parts = [f"{op}: {what}" if op else what]
        if raw:
            parts.append(f"received {raw[:64].hex(' ')}{' …' if len(raw) > 64 else ''}")
        if hint:
            parts.append(hint)
        super().__init__("; ".join(parts))


class JournalError(AgentError):
    """The journal could not do what was asked; the text says which file and what to do."""


class JournalFull(JournalError):  # noqa: N818  (a full disk is the field's word; the base already says Error)
    """There was no room: neither below the journal's own limit nor on the disk."""


class JournalDamaged(JournalError):  # noqa: N818  (as above)
    """The file itself is broken; only setting it aside and salvaging what can be read will help."""


class JournalRefused(JournalError):  # noqa: N818  (as above)
    """The file is well but not for us: another agent holds it, or a newer version wrote it."""


class UplinkError(AgentError):
    """The broker, or the way to it, refused or failed."""
