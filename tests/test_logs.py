"""Log lines as journald and a person at a terminal see them."""

import io
import logging

import pytest

from edge_agent import logs


@pytest.fixture(name="stream")
def _stream() -> io.StringIO:
    """A stream for `setup`."""
    return io.StringIO()


def test_journald_gets_priorities(stream: io.StringIO) -> None:
    """Under journald each line begins with its priority and carries no time."""
    logs.setup(stream, {"JOURNAL_STREAM": "8:1234"}, level=logging.DEBUG)
    log = logging.getLogger("edge_agent.worker")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "link lost link=%s", "bus")
    assert stream.getvalue().splitlines() == [f"<{n}>worker: link lost link=bus" for n in (7, 6, 4, 3, 2)]


def test_a_terminal_gets_time_and_level(stream: io.StringIO) -> None:
    """Without journald a line begins with local time and the level."""
    logs.setup(stream, {})
    logging.getLogger("edge_agent.uplink.mqtt").info("connected broker=%s", "b")
    date, time, rest = stream.getvalue().split(" ", 2)
    assert (len(date), len(time), rest) == (10, 8, "INFO uplink.mqtt: connected broker=b\n")


def test_libraries_are_heard_from_warning_on(stream: io.StringIO) -> None:
    """Our own information is shown, that of libraries is not."""
    logs.setup(stream, {"JOURNAL_STREAM": "1:1"})
    logging.getLogger("uvicorn").info("chatter")
    logging.getLogger("edge_agent").debug("detail")
    logging.getLogger("uvicorn").warning("trouble")
    assert stream.getvalue() == "<4>uvicorn: trouble\n"


def test_foreign_text_stays_on_its_line(stream: io.StringIO) -> None:
    """Line ends and terminal controls are shown, not obeyed; Chinese is text."""
    logs.setup(stream, {"JOURNAL_STREAM": "1:1"})
    logging.getLogger("edge_agent").warning("name=%s", "站门\n<2>forged\r\x1b[2J\x9b")
    assert stream.getvalue() == "<4>edge_agent: name=站门\\n<2>forged\\x0d\\x1b[2J\\x9b\n"


def test_an_exception_is_one_line_with_place_and_cause(stream: io.StringIO) -> None:
    """An exception shows its text, its places from the inside out, and what caused it."""

    def open_port() -> None:
        try:
            raise OSError("two\nlines")
        except OSError as error:
            raise ValueError("no port") from error

    logs.setup(stream, {"JOURNAL_STREAM": "1:1"})
    try:
        open_port()
    except ValueError:
        logging.getLogger("edge_agent.links").exception("link failed link=%s", "bus")
    [line] = stream.getvalue().splitlines()
    assert line.startswith("<3>links: link failed link=bus error=ValueError('no port') at=test_logs.py:")
    assert ":open_port<test_logs.py:" in line
    assert " because error=OSError('two\\nlines') at=test_logs.py:" in line


def test_a_hidden_cause_stays_hidden() -> None:
    """`raise … from None` shows one error, a bare `raise` inside `except` shows both, and no traceback shows `?`."""
    assert logs.describe(KeyError("never raised")) == "error=KeyError('never raised') at=?"
    hidden, shown = ValueError("outer"), ValueError("outer")
    hidden.__context__ = shown.__context__ = OSError("inner")
    hidden.__suppress_context__ = True
    assert "inner" not in logs.describe(hidden)
    assert "because error=OSError('inner')" in logs.describe(shown)
