"""Questions to the GPIO link about an output, as edge_agent/links/edges.py answers them: text, `17` or `17=1`."""

from edge_agent.driver import ReplyShape


def look(line: int) -> bytes:
    """Ask for the level of a line."""
    return str(line).encode()


def drive(line: int, *, high: bool) -> bytes:
    """Drive a line and ask for its level."""
    return f"{line}={int(high)}".encode()


def shape(line: int) -> ReplyShape:
    """Return what answers either: the level read back, `0` or `1`."""
    return ReplyShape(("gpio", line), lambda answer: answer if answer in {b"0", b"1"} else None, size=1)


def is_high(answer: bytes) -> bool:
    """Return what an answer says."""
    return answer == b"1"
