"""The work screen: what maintenance staff put on record with a phone, without a script and without the centre.

`/work` shows the forms to whoever has shown the station's PIN; `/login`, `/logout` and `/act` take them. Every form
goes through the command gate under the name given at the login.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent.commands import Answer
from edge_agent.page.access import Access, Session
from edge_agent.page.desk import Desk
from edge_agent.page.render import Renderer
from edge_agent.page.words import Language
from edge_agent.records import Json

COOKIE: Final = "session"
MAX_BODY = 16_384
_MOST_FIELDS = 64
_LONGEST_WHO = 64
_SEE_OTHER = 303

Fields = Mapping[str, str]


class Refused(Exception):  # noqa: N818  (a request was)
    """A request that is answered with `status` and nothing else."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Work:
    """The endpoints; `language` chooses what a request is answered in."""

    renderer: Renderer
    access: Access | None
    desk: Desk | None

    async def screen(self, request: Request, language: Language) -> Response:
        """`/work`: the forms, or the way in."""
        return self._show(language, self._session(request))

    async def login(self, request: Request, language: Language) -> Response:
        """`/login`: a PIN and a name."""
        fields = await _fields(request)
        if self.access is None or self.desk is None:
            return self._show(language, None)
        who = fields.get("who", "").strip()[:_LONGEST_WHO]
        if not who or self.access.locked_for():
            return self._show(language, None, error="work.name" if not who else "work.locked", status=403)
        right = await run_in_threadpool(self.access.check, fields.get("pin", ""))
        self.desk.login(who, right=right)
        if not right:
            self.access.failed()
            return self._show(language, None, error="work.wrong", status=403)
        response = RedirectResponse("/work", _SEE_OTHER)
        token = self.access.begin(who)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
        return response

    async def logout(self, request: Request, _language: Language) -> Response:
        """`/logout`: the end of a session."""
        await self._proved(request)
        if self.access is not None:
            self.access.end(request.cookies.get(COOKIE))
        response = RedirectResponse("/work", _SEE_OTHER)
        response.delete_cookie(COOKIE)
        return response

    async def act(self, request: Request, language: Language) -> Response:
        """`/act`: one form; answered with the screen and what became of it."""
        session, fields = await self._proved(request)
        if session is None or self.desk is None:
            return self._show(language, None, error="work.again", status=403)
        verb = fields.get("verb", "")
        answer = await run_in_threadpool(self.desk.ask, verb, session.who, arguments(fields, session.who))
        return self._show(language, session, answer=answer, status=200 if answer.ok else 409)

    async def _proved(self, request: Request) -> tuple[Session | None, Fields]:
        """Return the session and the fields of a form that this page itself has shown."""
        fields = await _fields(request)
        session = self._session(request)
        if session is not None and fields.get("form_key") != session.form_key:
            raise Refused(403, "This form is not from this page; open it again.")
        return session, fields

    def _session(self, request: Request) -> Session | None:
        return None if self.access is None else self.access.session(request.cookies.get(COOKIE))

    def _show(
        self,
        language: Language,
        session: Session | None,
        *,
        answer: Answer | None = None,
        error: str = "",
        status: int = 200,
    ) -> Response:
        open_to: Literal["closed", "login", "forms"]
        open_to = "forms" if session is not None else "login" if self.access is not None else "closed"
        html = self.renderer.work(
            language,
            open_to=open_to,
            session=session,
            answer=answer,
            error=error,
            knows=(lambda _verb: False) if self.desk is None else self.desk.gate.knows,
        )
        return Response(html, status, media_type="text/html", headers={"Content-Language": language})


def arguments(fields: Fields, who: str) -> dict[str, Json]:
    """Return the arguments of the command a form stands for: numbers and ticks by their names, empty ones left out."""
    found: dict[str, Json] = {}
    checklist: dict[str, Json] = {}
    for name, value in fields.items():
        if name in {"verb", "form_key"} or not value.strip():
            continue
        if name.startswith("check:"):
            checklist[name.removeprefix("check:")] = value == "yes"
        elif name == "me":
            found["who"] = who
        else:
            found[name] = _number(value) if name in _NUMBERS else value.strip()
    if checklist:
        found["checklist"] = checklist
    return found


_NUMBERS = frozenset({"level_pct", "minutes"})


def _number(text: str) -> Json:
    """Return whole numbers as such, as some arguments ask for them; what is no number is left to the gate to refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


async def _fields(request: Request) -> Fields:
    """Return the fields of a form from our own page; raises Refused for anything else."""
    _same_origin(request)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refused(413, "The form is too long.")
    try:
        pairs: Sequence[tuple[str, str]] = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise Refused(400, "This is not a form.") from error
    return dict(pairs)


def _same_origin(request: Request) -> None:
    """A browser names the page a form was sent from; one of another site's is refused, and one without a name too."""
    origin = request.headers.get("origin")
    if origin is None or urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise Refused(403, "This form is not from this page.")
