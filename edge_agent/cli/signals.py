"""SIGTERM and Ctrl-C as an event."""

import signal
import threading


def stop_on_signals() -> threading.Event:
    """Return an event that is set by SIGTERM or SIGINT."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        # Not `stop.set()` right here: the handler interrupts the main thread, which may hold the event's own lock.
        threading.Thread(target=stop.set, name="stop", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return stop
