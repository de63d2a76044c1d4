"""The status page as an ASGI application: one screen, its live stream, the same as JSON, and the work screen.

Everything is rendered in the page's own loop from immutable pictures; no request reaches a worker, the journal or a
wire, but the forms of the work screen, which pass the command gate.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from edge_agent.page.access import Access
from edge_agent.page.guard import Guard, own_names
from edge_agent.page.live import Live
from edge_agent.page.render import Renderer
from edge_agent.page.report import report
from edge_agent.page.source import Source
from edge_agent.page.words import Language, choose
from edge_agent.page.work import Refused, Work

_COOKIE = "lang"
_YEAR_S = 365 * 86400
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_BUSY = {"Retry-After": "10"}


def create_app(source: Source) -> Starlette:
    """Return the application; its `state.live` ends the streams before the server goes down."""
    renderer = Renderer(source)
    live = Live(source.picture, renderer.frame)
    pages = Pages(source, renderer, live)
    pin_file = source.config.page.pin_file
    access = None if pin_file is None else Access(pin_file, source.clock.monotonic)
    work = Work(renderer, access, source.desk)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        live.open()
        yield
        live.close()

    # Compressed are answers, never the stream: a compressor would hold its events back.
    packed = [Middleware(GZipMiddleware, minimum_size=500)]
    app = Starlette(
        routes=[
            Route("/", pages.overview, middleware=packed),
            Route("/events", pages.events),
            Route("/parts", pages.parts, middleware=packed),
            Route("/api/status", pages.status, middleware=packed),
            Route("/flight", pages.flights),
            Route("/flight/{name}", pages.flight, middleware=packed),
            Route("/static/{name}", pages.static, middleware=packed),
            Route("/work", pages.work(work.screen), middleware=packed),
            Route("/login", pages.work(work.login), methods=["POST"]),
            Route("/logout", pages.work(work.logout), methods=["POST"]),
            Route("/act", pages.work(work.act), methods=["POST"]),
        ],
        middleware=[Middleware(Guard, names=own_names(source.config.page.host))],
        lifespan=lifespan,
    )
    app.state.live = live
    return app


class Pages:
    """The endpoints."""

    def __init__(self, source: Source, renderer: Renderer, live: Live) -> None:
        self._source = source
        self._renderer = renderer
        self._live = live

    async def overview(self, request: Request) -> Response:
        """`/`: the screen. `?lang=` switches the language and is remembered."""
        language = self._language(request)
        response = Response(
            self._renderer.page(language),
            media_type="text/html",
            headers={"Content-Language": language, "Vary": "Accept-Language, Cookie"},
        )
        if request.query_params.get("lang") == language:
            response.set_cookie(_COOKIE, language, max_age=_YEAR_S, httponly=True, samesite="lax")
        return response

    async def events(self, request: Request) -> Response:
        """`/events`: the live stream; 503 when there are enough of them."""
        if self._live.full:
            return PlainTextResponse("Enough pages are watching; try again.\n", 503, _BUSY)
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._live.stream(self._language(request)), media_type="text/event-stream")

    async def parts(self, request: Request) -> Response:
        """`/parts`: the screen's parts once, for a page that found no place among the streams."""
        frame = self._renderer.frame(self._language(request))
        return Response(frame.since({}), media_type="application/json")

    async def status(self, _request: Request) -> Response:
        """`/api/status`: the screen as data, for `edge-agent status` and whoever watches stations."""
        return JSONResponse(report(self._source, self._renderer.look()))

    async def flights(self, _request: Request) -> Response:
        """`/flight`: names of the flight records at hand, newest last, each to be had below this path."""
        return JSONResponse(sorted(self._flights(), key=lambda name: name.split(".")[1]))

    async def flight(self, request: Request) -> Response:
        """`/flight/NAME`: one record as JSON lines, as `edge-agent decode --vectors` takes them."""
        file = self._flights().get(request.path_params["name"])
        if file is None:
            return PlainTextResponse("There is no such file.\n", 404)
        return Response(file.read_bytes(), media_type="application/x-ndjson")

    def _flights(self) -> dict[str, Path]:
        """Name -> file of what there is now; a name from a request is only ever looked up here."""
        directory = self._source.flight
        return {} if directory is None else {file.name: file for file in directory.glob("*.*.jsonl")}

    async def static(self, request: Request) -> Response:
        """`/static/NAME`: the style, the script, the icon; kept by the browser for good."""
        name = request.path_params["name"]
        asset = self._renderer.assets.get(name)
        if asset is None:
            return PlainTextResponse("There is no such file.\n", 404)
        headers = {"Cache-Control": f"public, max-age={_YEAR_S}, immutable"}
        return Response(asset[0], media_type=_TYPES[name.rpartition(".")[2]], headers=headers)

    def work(self, endpoint: Callable[[Request, Language], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
        """Return an endpoint of the work screen in the language asked for; what it refuses is answered in words."""

        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request, self._language(request))
            except Refused as refused:
                return PlainTextResponse(f"{refused}\n", refused.status)

        return answer

    def _language(self, request: Request) -> Language:
        return choose(
            request.query_params.get("lang"),
            request.cookies.get(_COOKIE),
            request.headers.get("accept-language", ""),
            self._source.config.page.language,
        )
