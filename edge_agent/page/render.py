"""From a look to HTML: the whole page for a browser that asks, its parts for one that listens."""

import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from edge_agent.commands import Answer
from edge_agent.driver import load_driver
from edge_agent.page.access import Session
from edge_agent.page.live import Frame, Part
from edge_agent.page.overview import Overview, overview
from edge_agent.page.source import Source
from edge_agent.page.stock import stock
from edge_agent.page.words import LANGUAGES, Language, words

PARTS = ("banner", "door", "visits", "climate", "uplink", "cabinets", "machine", "alarms", "devices")
"""Parts of the screen: each is a template and the id of its place. The devices are parts of their own."""
_ICONS = {"ok": "✓", "waiting": "…", "info": "i", "warning": "!", "major": "✕", "critical": "✕"}
_SPANS = ("s", "m", "h", "d")


class Renderer:
    """Makes HTML of a station in either language; `static` maps a file's name to its address."""

    def __init__(self, source: Source) -> None:
        self._source = source
        devices = source.config.device
        drivers = {device.name: load_driver(device.driver) for device in devices}
        self._listeners = frozenset(name for name, driver in drivers.items() if not hasattr(driver, "poll"))
        self._environment = Environment(
            loader=PackageLoader("edge_agent.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.assets = {name: _asset(name) for name in ("page.css", "page.js", "icon.svg")}

    def look(self) -> Overview:
        """Look at the station now."""
        return overview(self._source, self._listeners)

    def page(self, language: Language) -> str:
        """Return the whole page."""
        return self._template("page.html", self._context(language, live=False))

    def work(
        self,
        language: Language,
        *,
        open_to: Literal["closed", "login", "forms"],
        session: Session | None,
        answer: Answer | None,
        error: str,
        knows: Callable[[str], bool],
    ) -> str:
        """Return the work screen: closed, the way in, or the forms of a session, and what became of the last one."""
        shown = {"open_to": open_to, "session": session, "answer": answer, "error": error, "knows": knows}
        context = self._context(language, live=False)
        return self._template("work.html", context | shown | stock(self._source))

    def frame(self, language: Language) -> Frame:
        """Return the parts; ages are left to the page's script, so that a part changes only with its content."""
        context = self._context(language, live=True)
        parts = {name: self._template(f"{name}.html", context) for name in (*PARTS, "title") if name != "devices"}
        for device in context["o"].devices:
            parts[f"device-{device.name}"] = self._template("device.html", context | {"d": device})
        return Frame(context["o"].now, {name: Part.of(html) for name, html in parts.items()})

    def _template(self, name: str, context: dict[str, Any]) -> str:
        return self._environment.get_template(name).render(context)

    def _context(self, language: Language, *, live: bool) -> dict[str, Any]:
        chosen = words(language)
        source = self._source
        formats = {kind: {span: chosen(f"{kind}.{span}") for span in _SPANS} for kind in ("ago", "span")}
        return {
            "o": self.look(),
            "w": chosen,
            "live": live,
            "station": source.config.station,
            "zone": source.config.station.zone,
            "version": source.version,
            "other": words(next(one for one in LANGUAGES if one != language)),
            "icons": _ICONS,
            "parts": PARTS,
            "formats": json.dumps(formats, ensure_ascii=False),
            "static": {name: f"/static/{name}?v={digest}" for name, (_, digest) in self.assets.items()},
        }


def _asset(name: str) -> tuple[bytes, str]:
    """Return a static file and what names its content, so that a browser may keep it for ever."""
    content = files("edge_agent.page").joinpath("static", name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]
