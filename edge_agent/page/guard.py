"""What every request must pass, and what every answer carries.

Most of the page needs no login, so a browser must not be made its messenger: a foreign site whose name is re-pointed
at this machine (DNS rebinding) is known by its Host header, one that only embeds or fetches from here by
`Sec-Fetch-Site`.
"""

import ipaddress
import re
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORMS = frozenset({"/login", "/logout", "/act"})
"""Paths that take a form; everything else is only looked at."""
MAX_HEADERS = 8192
"""Bytes of request line and headers together."""
_LINE_EXTRA = 4
"""Bytes around a header's name and value: colon, space, CR, LF."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": a browser would then hide from us, too, that a form is our own.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def own_names(listen: str) -> frozenset[str]:
    """Return the names under which this machine may be asked: `listen`, its host name, also in the local domains."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({"localhost", listen.lower(), name, short, *(f"{short}.{tail}" for tail in ("local", "lan"))})


class Guard:
    """ASGI middleware; `names` are the host names answered to, besides every IP address."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and add the headers of every answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, dressed)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        size = len(scope.get("raw_path", b"")) + len(scope["query_string"])
        if size + sum(len(name) + len(value) + _LINE_EXTRA for name, value in headers.raw) > MAX_HEADERS:
            return PlainTextResponse("The request is too long.\n", 431)
        if not self._known(headers.get("host", "").lower()):
            return PlainTextResponse("Unknown host name: open the page by this machine's IP address.\n", 421)
        allowed = ("POST",) if scope["path"] in FORMS else ("GET", "HEAD")
        if scope["method"] not in allowed:
            return PlainTextResponse("Not to be asked for so.\n", 405, {"Allow": ", ".join(allowed)})
        foreign = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        if foreign and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("Not for other sites.\n", 403)
        return None

    def _known(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").removesuffix(".")
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
