"""What was found on a wire, as tables to paste into the station file."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_agent.cli.search import Found, Guess, text_of
from edge_agent.config.toml import toml
from edge_agent.driver import Json, Value
from edge_agent.links.line import Line

_STABLE = ("/dev/serial/by-path", "/dev/serial/by-id")
"""Where udev keeps names that outlive a reboot; two equal adapters without a serial number share one by id."""
_SHOWN = 6
_LINK = "pair"


def summary(found: Found) -> str:
    """Return one line: who answers where, and what it says."""
    where = "" if found.address is None else f" address {found.address}"
    return f"{text_of(found.line)} {found.protocol}{where}: {_told(found.guesses[0])}"


def proposal(port: str, everybody: Sequence[Found]) -> Iterator[str]:
    """Yield the lines: a link, and each device once; what must be completed first is commented out."""
    line = Counter(found.line for found in everybody).most_common(1)[0][0]
    yield from ("[[link]]", *_keys({"name": _LINK, "kind": "serial", "port": _stable(port), **_line(line, Line())}))
    taken: dict[tuple[str, Json], Found] = {}
    for found in everybody:
        guess = found.guesses[0]
        other = taken.setdefault((found.driver, guess.options.get("address")), found)
        yield ""
        if other is not found:
            yield f"# Once more, so give one of them another address: {summary(found)}"
            continue
        yield f"# {summary(found)}"
        yield from (f"# Or {_words(guess.options)}: {_told(guess)}" for guess in found.guesses[1:])
        if found.note:
            yield f"# {found.note[0].upper()}{found.note[1:]}."
        mark = "# " if guess.missing else ""
        yield f"{mark}[[device]]"
        name = "-".join(str(part) for part in (found.protocol, found.address) if part is not None).replace("_", "-")
        common: dict[str, Json] = {"name": name, "link": _LINK, "driver": found.driver, **_line(found.line, line)}
        yield from (f"{mark}{entry}" for entry in _keys({**common, **guess.options}))


def _line(line: Line, usual: Line) -> dict[str, Json]:
    """Return the keys in which a line differs from the usual one."""
    keys: dict[str, tuple[Json, Json]] = {"baud": (line.baud, usual.baud), "parity": (line.parity, usual.parity)}
    return {key: ours for key, (ours, theirs) in keys.items() if ours != theirs}


def _keys(keys: dict[str, Json]) -> Iterator[str]:
    return (f"{key} = {toml(value)}" for key, value in keys.items())


def _words(options: Mapping[str, Json]) -> str:
    return ", ".join(f"{key} = {toml(value)}" for key, value in options.items() if key != "address")


def _told(guess: Guess) -> str:
    if guess.missing:
        return f"still to be found out: {', '.join(guess.missing)}"
    told = [f"{point} {_short(value)}" for point, value in guess.told.items()]
    return ", ".join(told[:_SHOWN]) + (", …" if len(told) > _SHOWN else "")


def _short(value: Value) -> str:
    return f"{min(value)} … {max(value)}" if isinstance(value, tuple) and value else str(value)


def _stable(port: str) -> str:
    """Return the name of a port that stays the same after a reboot, if it has one."""
    names = (name for folder in _STABLE for name in sorted(Path(folder).glob("*")))
    return next((str(name) for name in names if name.resolve() == Path(port).resolve()), port)
