"""`edge-agent status FILE`: ask the running agent how the station is, over its own page."""

import argparse
import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.errors import AgentError

HELP = "ask the running agent how the station is"
_WITHIN_S = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (to be replaced)
_MARKS = {"info": "--", "warning": "! ", "major": "!!", "critical": "!!"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument("--url", help="address of the page, instead of the one in the station file")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Print how the station is; 0 = the agent answered, whatever it said."""
    if args.url is not None:
        host, port = _address(args.url)
    else:
        page = load(args.file).config.page
        if not page.enabled:
            raise AgentError(f"{args.file}: the page is switched off ([page] enabled), so there is nobody to ask")
        host, port = _EVERYWHERE.get(page.host, page.host), page.port
    answer = _ask(host, port)
    text = json.dumps(answer, ensure_ascii=False, indent=2) if args.json else "\n".join(describe(answer))
    sys.stdout.write(f"{text}\n")
    return 0


def describe(answer: dict[str, Any]) -> Iterator[str]:
    """Yield the answer of `GET /api/status` as lines for a person."""
    station, agent = answer["station"], answer["agent"]
    name = station["name"]["en"]
    yield f"{station['id']}  {name}  (edge-agent {agent['version']}, running for {_span(agent['running_s'])})"
    yield from _concerns(answer)
    yield ""
    yield from _tiles(answer)
    yield ""
    width = max((len(device["name"]) for device in answer["devices"]), default=0)
    yield f"  {'device':<{width}}  {'state':<9}  good/asked  heard"
    for device in answer["devices"]:
        heard = f"{_span(device['age_s'])} ago" if "age_s" in device else ""
        line = f"  {device['name']:<{width}}  {device['state']:<9}  {device['good']}/{device['polls']}  {heard}"
        yield f"{line}  {device['why']}" if "why" in device else line.rstrip()


def _concerns(answer: dict[str, Any]) -> Iterator[str]:
    for one in answer["concerns"]:
        since = f", for {_span(one['age_s'])}" if "age_s" in one else ""
        why = f": {one['why']}" if "why" in one else ""
        yield f"{_MARKS[one['severity']]} {one['severity']}: {one['text']['en']} ({one['device']}{since}){why}"
    if not answer["concerns"]:
        doubtful, waiting = answer["doubtful_devices"], answer["waiting_devices"]
        if doubtful:
            yield f"!  {doubtful} devices with old or bad data"
        elif waiting:
            yield f".. {waiting} devices have not answered yet"
        else:
            yield "ok all normal"


def _tiles(answer: dict[str, Any]) -> Iterator[str]:
    visits, climate, uplink = answer["visits"], answer["climate"], answer["uplink"]
    today = f"{visits['today']} today" if "today" in visits else "clock not set"
    yield f"visits   {today}" + (f", {visits['undated']} undated" if visits["undated"] else "")
    room = [
        f"{climate[key]:g} {unit}" for key, unit in (("temperature_c", "°C"), ("humidity_pct", "%")) if key in climate
    ]
    aircon = [
        f"{word} {climate[key]}"
        for key, word in (("aircon_observed", "aircon"), ("aircon_commanded", "told"))
        if key in climate
    ]
    yield f"room     {', '.join([*room, *aircon]) or 'no data'}" + (" (old)" if climate["stale"] else "")
    for cabinet in answer["cabinets"]:
        yield f"swaps    {cabinet.get('available', '?')} of {cabinet['total']} batteries ready in {cabinet['name']}"
    waiting = sum(uplink["pending"].values())
    why = f" ({uplink['why']})" if "why" in uplink and not uplink["online"] else ""
    since = f" for {_span(uplink['since_s'])}" if "since_s" in uplink else ""
    yield f"uplink   {'online' if uplink['online'] else 'offline'}{since}{why}, {waiting} records waiting"
    yield f"journal  {answer['journal']['trouble'] or 'fine'}"
    yield f"clock    {'set' if answer['machine']['clock_good'] else 'not set'}"


def _ask(host: str, port: int) -> dict[str, Any]:
    where = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    connection = http.client.HTTPConnection(host, port, timeout=_WITHIN_S)
    try:
        connection.request("GET", "/api/status")
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise AgentError(f"{where} answered {response.status} {response.reason}: it may not be the agent's page")
        answer: dict[str, Any] = json.loads(body)
    except ConnectionRefusedError:
        raise AgentError(
            f"nobody answers at {where} – is the agent running? (systemctl status edge-agent, or edge-agent run FILE)"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AgentError(f"{where} gave no usable answer: {error}") from error
    finally:
        connection.close()
    return answer


def _address(url: str) -> tuple[str, int]:
    try:
        found = urlsplit(url if "//" in url else f"//{url}")
        host, port = found.hostname, found.port
    except ValueError:
        host, port = None, None
    if host is None:
        raise AgentError(f"{url!r} is not an address – write it like http://127.0.0.1:8080")
    return host, port or 80


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
