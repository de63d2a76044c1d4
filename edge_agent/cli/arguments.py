"""Kinds of argument that several verbs take, each refused in words that say what to write instead."""

import argparse

from edge_agent.units import parse_duration

_LAST_PORT = 65_535


def duration(text: str) -> float:
    """Return seconds; for `argparse`'s `type`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def address(text: str) -> str:
    """Return `text` if it is HOST:PORT; for `argparse`'s `type`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f'{text!r} is not an address and port – write it like "127.0.0.1:1883"')
    return text
