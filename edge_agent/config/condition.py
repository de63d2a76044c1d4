"""Conditions over points, as a station file writes them: `aircon.state == "cooling" or room.temperature_c <= 26`.

A small language of our own, because a station file must not be able to run anything:

    either     = both { "or" both }
    both       = not { "and" not }
    not        = "not" not | "(" either ")" | comparison
    comparison = DEVICE.POINT [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) literal ] [ "within" DURATION ]
    literal    = NUMBER | "TEXT" | 'TEXT' | true | false

A point alone stands for `== true`. Values are true, false or unknown (Kleene's three-valued logic): what is missing or
cannot be believed makes a comparison unknown, and the whole too unless the rest decides. `within "7d"` holds if the
comparison held at any time in the last seven days; who evaluates remembers that.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from edge_agent.records import Value
from edge_agent.units import format_duration, parse_duration

Point: TypeAlias = tuple[str, str]
"""A device and one of its points."""
Literal: TypeAlias = bool | int | float | str
Truth: TypeAlias = bool | None
"""None is unknown."""

_LONGEST = 500
_DEEPEST = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<point>[a-z0-9][a-z0-9-]{1,31}\.[a-z][a-z0-9_]*)"
    r"|(?P<duration>\d+(?:\.\d+)?(?:ms|s|m|h|d)\b)"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])"
    r"|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<operator>==|!=|<=|>=|<|>)"
    r"|(?P<word>and|or|not|within|true|false)\b"
    r"|(?P<bracket>[()]))",
    re.ASCII,
)
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One point against a literal; `within` in seconds, None = now."""

    point: Point
    operator: str
    literal: Literal
    within: float | None = None

    def holds(self, value: Value | None) -> Truth:
        """Compare; a value of another kind than the literal's proves nothing."""
        literal = self.literal
        if value is None or isinstance(value, tuple) or _kind(value) is not _kind(literal):
            return None
        if self.operator in {"==", "!="}:
            return (value == literal) is (self.operator == "==")
        if isinstance(value, str) or isinstance(literal, str):
            return None
        return _ORDERS[self.operator](value, literal)

    def __str__(self) -> str:
        literal = str(self.literal).lower() if isinstance(self.literal, bool) else self.literal
        text = f'"{literal}"' if isinstance(literal, str) and isinstance(self.literal, str) else f"{literal}"
        span = "" if self.within is None else f" within {format_duration(self.within)}"
        return f"{'.'.join(self.point)} {self.operator} {text}{span}"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; of the unknown it is unknown."""

    inner: "Node"


@dataclass(frozen=True, slots=True)
class All:
    """False as soon as one is, else unknown as soon as one is."""

    inner: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Any:
    """True as soon as one is, else unknown as soon as one is."""

    inner: tuple["Node", ...]


Node: TypeAlias = Comparison | Not | All | Any


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and the text it was made of."""

    text: str
    node: Node

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison in it, in order."""
        return tuple(_comparisons(self.node))

    @property
    def points(self) -> frozenset[Point]:
        """Every point it asks for."""
        return frozenset(one.point for one in self.comparisons)

    def truth(self, ask: Callable[[Comparison], Truth]) -> Truth:
        """Return whether it holds; `ask` answers for one comparison."""
        return _truth(self.node, ask)


def parse(text: object) -> Condition:
    """Return the condition; raises ValueError saying what is wrong and where."""
    if isinstance(text, Condition):
        return text
    if not isinstance(text, str) or not text.strip():
        raise ValueError('is not a condition – write it as text, like "room.temperature_c <= 26"')
    if len(text) > _LONGEST:
        raise ValueError(f"is too long – a condition has {_LONGEST} characters at most")
    reader = _Reader(text)
    node = reader.either(0)
    if reader.kind:
        raise reader.wrong("and, or, or the end")
    return Condition(text, node)


class _Reader:
    """Reads one condition from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._begin = 0
        self.kind: str = ""
        self.token = ""
        self._next()

    def either(self, depth: int) -> Node:
        inner = [self._both(depth)]
        while self._word("or"):
            inner.append(self._both(depth))
        return inner[0] if len(inner) == 1 else Any(tuple(inner))

    def wrong(self, wanted: str) -> ValueError:
        rest = self._text[self._begin :].strip()
        where = f"at {rest[:20]!r}" if rest else "at its end"
        return ValueError(f"is not a condition {where} – expected {wanted}")

    def _both(self, depth: int) -> Node:
        inner = [self._not(depth)]
        while self._word("and"):
            inner.append(self._not(depth))
        return inner[0] if len(inner) == 1 else All(tuple(inner))

    def _not(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.wrong(f"at most {_DEEPEST} brackets inside each other")
        if self._word("not"):
            return Not(self._not(depth + 1))
        if self._word("("):
            inner = self.either(depth + 1)
            if not self._word(")"):
                raise self.wrong("a closing bracket")
            return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        if self.kind != "point":
            raise self.wrong("DEVICE.POINT, like room.temperature_c")
        device, _, name = self._take().partition(".")
        operator, literal = "==", True  # type: str, Literal
        if self.kind == "operator":
            operator = self._take()
            literal = self._literal()
            if isinstance(literal, str | bool) and operator not in {"==", "!="}:
                raise self.wrong(f"a number behind {operator}")
        within = None
        if self._word("within"):
            if self.kind != "duration":
                raise self.wrong("a duration behind within, like 24h")
            within = parse_duration(self._take())
        return Comparison((device, name), operator, literal, within)

    def _literal(self) -> Literal:
        if self.kind == "number":
            text = self._take()
            return float(text) if "." in text else int(text)
        if self.kind == "text":
            return self._take()[1:-1]
        for word in ("true", "false"):
            if self._word(word):
                return word == "true"
        raise self.wrong('a number, "text", true or false')

    def _word(self, word: str) -> bool:
        if self.kind in {"word", "bracket"} and self.token == word:
            self._next()
            return True
        return False

    def _take(self) -> str:
        token = self.token
        self._next()
        return token

    def _next(self) -> None:
        self._begin = self._at
        found = _TOKEN.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            self.kind, self.token = str(found.lastgroup), str(found[str(found.lastgroup)])
        elif self._text[self._at :].strip():
            raise self.wrong("DEVICE.POINT, a comparison, and, or, not, or brackets")
        else:
            self.kind = self.token = ""


def _comparisons(node: Node) -> Iterator[Comparison]:
    if isinstance(node, Comparison):
        yield node
    elif isinstance(node, Not):
        yield from _comparisons(node.inner)
    else:
        for inner in node.inner:
            yield from _comparisons(inner)


def _truth(node: Node, ask: Callable[[Comparison], Truth]) -> Truth:
    if isinstance(node, Comparison):
        return ask(node)
    if isinstance(node, Not):
        inner = _truth(node.inner, ask)
        return None if inner is None else not inner
    decides = isinstance(node, Any)
    # Every one is asked, also behind one that decides: `within` must see each moment.
    found = [_truth(inner, ask) for inner in node.inner]
    if decides in found:
        return decides
    return None if None in found else not decides


def _kind(value: Literal) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


ConditionText = Annotated[
    Condition,
    BeforeValidator(parse),
    PlainSerializer(lambda condition: condition.text, return_type=str),
    WithJsonSchema({"type": "string", "format": "condition", "examples": ["room.temperature_c <= 26"]}),
]
"""A condition in the station file."""
