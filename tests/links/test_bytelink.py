"""The rules of a shared wire: echo, noise, late answers, quiet times."""

from collections import deque

import pytest

from edge_agent.clock import FakeClock
from edge_agent.driver import DeviceError, LinkError, LinkTimeout, ReplyShape
from edge_agent.links.bytelink import ByteLink, Timing

Heard = tuple[float, bytes]
"""Seconds after the question, and what comes then."""


class ScriptedPort:
    """A port that answers each question by the next entry of a script."""

    def __init__(self, clock: FakeClock, *script: list[Heard]) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self.closed = False
        self.woken = False
        self._clock = clock
        self._script = deque(script)
        self._coming: list[Heard] = []

    def say(self, data: bytes, *, after: float = 0.0) -> None:
        """Put bytes on the wire unasked."""
        self._coming = sorted([*self._coming, (self._clock.monotonic() + after, data)])

    def write(self, data: bytes) -> None:
        """Note the question and schedule what the script has for it."""
        self.sent.append((self._clock.monotonic(), data))
        for after, answer in self._script.popleft() if self._script else []:
            self.say(answer, after=after)

    def read(self, within: float) -> bytes:
        """Return the next piece that comes within `within`."""
        until = self._clock.monotonic() + within
        if not self._coming or self._coming[0][0] > until:
            self._clock.advance(max(0.0, until - self._clock.monotonic()))
            return b""
        due, data = self._coming.pop(0)
        self._clock.advance(max(0.0, due - self._clock.monotonic()))
        return data

    def wake(self) -> None:
        """Note it."""
        self.woken = True

    def close(self) -> None:
        """Note it."""
        self.closed = True


def shape(answer: bytes, *, key: str = "k", size: int | None = None) -> ReplyShape:
    """Accept exactly `answer`, wherever it stands."""
    return ReplyShape(
        key=key, find=lambda got: answer if answer in got else None, size=len(answer) if size is None else size
    )


def any_of(letter: bytes, *, key: str = "k") -> ReplyShape:
    """Accept `letter` and the digit behind it: the answers to all questions of one shape, told apart by nobody."""

    def find(got: bytes) -> bytes | None:
        start = got.find(letter)
        return got[start : start + 2] if 0 <= start < len(got) - 1 else None

    return ReplyShape(key=key, find=find, size=2)


def opened(*script: list[Heard], timing: Timing | None = None) -> tuple[ByteLink, ScriptedPort, FakeClock]:
    """An open link over a scripted port."""
    clock = FakeClock()
    port = ScriptedPort(clock, *script)
    link = ByteLink("bus", lambda: port, clock, timing)
    link.open()
    return link, port, clock


def test_an_answer_in_pieces_is_put_together() -> None:
    """An answer that arrives in pieces is returned whole."""
    link, _, _ = opened([(0.1, b"ANS"), (0.2, b"WER")])
    assert link.ask(b"question", reply=shape(b"ANSWER"), within=1.0) == b"ANSWER"


def test_silence_is_a_timeout_after_the_time_asked_for() -> None:
    """Nothing at all within `within` is a LinkTimeout, and takes exactly that long."""
    link, _, clock = opened()
    start = clock.monotonic()
    with pytest.raises(LinkTimeout, match="bus"):
        link.ask(b"question", reply=shape(b"ANSWER"), within=0.7)
    assert clock.monotonic() - start == pytest.approx(0.7)


def test_garbage_is_the_devices_fault() -> None:
    """Bytes without a good frame are a DeviceError that carries them."""
    link, _, _ = opened([(0.1, b"ANSWXR")])
    with pytest.raises(DeviceError) as caught:
        link.ask(b"question", reply=shape(b"ANSWER"), within=1.0)
    assert caught.value.raw == b"ANSWXR"


def test_a_spent_answer_ends_the_wait_and_may_be_asked_again_at_once() -> None:
    """Garbage as long as the answer ends the wait early, and the same question may go out at once."""
    link, port, clock = opened([(0.1, b"ANSWXR")], [(0.1, b"ANSWER")])
    start = clock.monotonic()
    with pytest.raises(DeviceError):
        link.ask(b"question", reply=shape(b"ANSWER"), within=1.0)
    assert clock.monotonic() - start < 0.3
    assert link.ask(b"question", reply=shape(b"ANSWER"), within=1.0) == b"ANSWER"
    assert port.sent[1][0] - start < 0.3


def test_what_came_before_the_question_does_not_answer_it() -> None:
    """Bytes that wait on the wire when a question is sent are thrown away."""
    link, port, _ = opened([(0.1, b"A2")])
    port.say(b"A1")
    assert link.ask(b"question", reply=any_of(b"A"), within=1.0) == b"A2"


@pytest.mark.parametrize("late", [0.6, 1.0, 1.5, 1.999])
def test_a_late_answer_never_answers_the_next_question(late: float) -> None:
    """After a timeout no question of the same shape is sent before a late answer can no longer come."""
    link, port, _ = opened([(late, b"A1")], [(0.1, b"A2")])
    with pytest.raises(LinkTimeout):
        link.ask(b"first", reply=any_of(b"A"), within=0.5)
    assert link.ask(b"second", reply=any_of(b"A"), within=0.5) == b"A2"
    assert port.sent[1][0] - port.sent[0][0] >= 2.0


def test_a_question_of_another_shape_need_not_wait() -> None:
    """After a timeout a question that the late answer could not satisfy goes out at once and gets its own answer."""
    link, port, _ = opened([(0.6, b"A1")], [(0.3, b"B2")])
    with pytest.raises(LinkTimeout):
        link.ask(b"first", reply=any_of(b"A"), within=0.5)
    assert link.ask(b"second", reply=any_of(b"B", key="other"), within=0.5) == b"B2"
    assert port.sent[1][0] - port.sent[0][0] == pytest.approx(0.504)


def test_noise_before_a_late_answer_does_not_let_it_answer_another_question() -> None:
    """Noise looks like a spent answer; the true one, and that to the repetition, still meet no other question."""
    link, _, _ = opened([(0.01, b"????"), (0.4, b"A1")], [(0.3, b"A1")], [(0.4, b"A2")])
    with pytest.raises(DeviceError):
        link.ask(b"first", reply=any_of(b"A"), within=0.5)
    assert link.ask(b"first", reply=any_of(b"A"), within=0.5) == b"A1"
    assert link.ask(b"second", reply=any_of(b"A"), within=0.5) == b"A2"


def sized(letter: bytes, size: int) -> ReplyShape:
    """Accept a frame of `size` bytes that begins with `letter` and ends with "!": answers told apart by length."""

    def find(got: bytes) -> bytes | None:
        starts = (at for at in range(len(got) - size + 1) if got[at : at + 1] == letter)
        frames = (got[at : at + size] for at in starts)
        return next((one for one in frames if one.endswith(b"!") and one.count(b"!") == 1), None)

    return ReplyShape(key="k", find=find, size=size)


def garbled_then_asked_again(*later: list[Heard]) -> tuple[ByteLink, ScriptedPort]:
    """A link whose first question was answered by noise, repeated, and answered; `later` is what comes then."""
    link, port, _ = opened([(0.01, b"????")], [(0.01, b"A11!")], *later)
    with pytest.raises(DeviceError):
        link.ask(b"first", reply=sized(b"A", 4), within=0.5)
    assert link.ask(b"first", reply=sized(b"A", 4), within=0.5) == b"A11!"
    return link, port


def test_after_a_repetition_only_what_its_answer_would_answer_waits() -> None:
    """Of the questions of one shape those whose answer has another form go out at once, and a late one passes them."""
    link, port = garbled_then_asked_again([(0.2, b"A12!"), (0.3, b"A2!")], [(0.1, b"A3!")], [(0.1, b"A44!")])
    assert link.ask(b"second", reply=sized(b"A", 3), within=0.5) == b"A2!"
    assert link.ask(b"third", reply=sized(b"A", 3), within=0.5) == b"A3!"
    assert port.sent[3][0] - port.sent[0][0] < 0.5
    assert link.ask(b"fourth", reply=sized(b"A", 4), within=0.5) == b"A44!"
    assert port.sent[4][0] - port.sent[1][0] >= 2.0


def test_a_question_beside_a_repetition_that_is_garbled_too_keeps_both_apart() -> None:
    """Late answers to two questions may be on their way: neither answers a third one of its form."""
    link, port = garbled_then_asked_again(
        [(0.01, b"????")], [(0.01, b"A2!")], [(0.1, b"A12!"), (0.2, b"A3!")], [(0.1, b"A44!")]
    )
    with pytest.raises(DeviceError):
        link.ask(b"second", reply=sized(b"A", 3), within=0.5)
    assert link.ask(b"second", reply=sized(b"A", 3), within=0.5) == b"A2!"
    assert port.sent[3][0] - port.sent[0][0] < 1.0
    assert link.ask(b"third", reply=sized(b"A", 3), within=0.5) == b"A3!"
    assert port.sent[4][0] - port.sent[3][0] >= 2.0
    assert link.ask(b"fourth", reply=sized(b"A", 4), within=0.5) == b"A44!"


def test_after_a_silence_every_question_of_the_shape_waits() -> None:
    """What a late answer would look like is not known then, whatever was known before."""
    link, port = garbled_then_asked_again([], [(0.1, b"A3!")])
    with pytest.raises(LinkTimeout):
        link.ask(b"second", reply=sized(b"A", 3), within=0.5)
    assert link.ask(b"third", reply=sized(b"A", 3), within=0.5) == b"A3!"
    assert port.sent[3][0] - port.sent[2][0] >= 2.0


def test_an_echo_is_dropped() -> None:
    """The adapter's own echo is not part of the answer, whether it comes apart from it or in one piece."""
    link, _, _ = opened([(0.0, b"A0"), (0.1, b"A1")], [(0.1, b"A0A2")])
    assert link.ask(b"A0", reply=shape(b"A1"), within=1.0) == b"A1"
    assert link.ask(b"A0", reply=shape(b"A2"), within=1.0) == b"A2"


def test_an_answer_equal_to_its_question_is_not_taken_from_the_echo() -> None:
    """On a wire known to echo, a confirmation that repeats the question counts only when it comes a second time."""
    link, _, _ = opened([(0.0, b"Q1"), (0.1, b"A1")], [(0.0, b"A7")], [(0.0, b"A7"), (0.1, b"A7")])
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    with pytest.raises(LinkTimeout):
        link.ask(b"A7", reply=any_of(b"A"), within=0.5)
    assert link.ask(b"A7", reply=any_of(b"A"), within=0.5) == b"A7"


def test_an_answer_equal_to_its_question_is_taken_where_nothing_echoes() -> None:
    """On a wire that has shown no echo, a confirmation that repeats the question is the device's."""
    link, _, _ = opened([(0.1, b"A1")], [(0.1, b"A7")])
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    assert link.ask(b"A7", reply=any_of(b"A"), within=0.5) == b"A7"


@pytest.mark.parametrize("heard", [b"?Q1A1", b"QxA1"], ids=["noise before the echo", "damaged echo"])
def test_a_disturbed_echo_does_not_make_the_link_forget_that_it_echoes(heard: bytes) -> None:
    """One disturbed echo proves nothing: the next confirmation is still not taken from the echo."""
    link, _, _ = opened([(0.0, b"Q1"), (0.1, b"A1")], [(0.1, heard)], [(0.0, b"A7")])
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    with pytest.raises(LinkTimeout):
        link.ask(b"A7", reply=any_of(b"A"), within=0.5)


def test_a_link_learns_that_the_echo_is_gone() -> None:
    """An answer with nothing before it shows that the adapter no longer echoes."""
    link, _, _ = opened([(0.0, b"Q1"), (0.1, b"A1")], [(0.1, b"A1")], [(0.1, b"A7")])
    for _ in range(2):
        assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    assert link.ask(b"A7", reply=any_of(b"A"), within=0.5) == b"A7"


def test_a_damaged_echo_does_not_cut_the_wait_for_the_answer_short() -> None:
    """Bytes that may be a disturbed echo do not count as a spent answer, so a slow device is still waited for."""
    link, _, _ = opened([(0.0, b"Q1"), (0.1, b"A1")], [(0.0, b"Qx"), (0.3, b"A2")])
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A2"


@pytest.mark.parametrize(("setting", "heard"), [("yes", [(0.0, b"Zx"), (0.1, b"A1")]), ("no", [(0.1, b"A1")])])
def test_the_echo_setting_overrules_what_is_heard(setting: str, heard: list[Heard]) -> None:
    """With echo "yes" as many bytes as were sent are cut off, whatever they are; with "no" none."""
    timing = Timing(echo="yes") if setting == "yes" else Timing(echo="no")
    link, _, _ = opened(heard, timing=timing)
    assert link.ask(b"A1", reply=any_of(b"A"), within=0.5) == b"A1"


def test_frames_keep_their_distance() -> None:
    """Between the end of one conversation and the next question lies at least the guard time."""
    link, port, _ = opened([(0.1, b"A1")], [(0.1, b"A1")], timing=Timing(guard=0.05))
    link.ask(b"Q1", reply=any_of(b"A"), within=0.5)
    link.ask(b"Q1", reply=any_of(b"A"), within=0.5)
    assert port.sent[1][0] - port.sent[0][0] == pytest.approx(0.15)


def test_a_backlog_of_babble_is_the_wires_fault() -> None:
    """A wire that does not run dry before a question is a LinkError, and the question is not sent."""
    link, port, _ = opened()
    for _ in range(5):
        port.say(b"x" * 1000)
    with pytest.raises(LinkError, match="babbles"):
        link.ask(b"Q1", reply=any_of(b"A"), within=0.5)
    assert port.sent == []


def test_endless_babble_after_the_question_ends_the_wait() -> None:
    """A device that talks without end does not hold the wire longer than 4096 bytes or `within`."""
    link, _, clock = opened([(0.01 * i, b"x" * 512) for i in range(100)])
    start = clock.monotonic()
    with pytest.raises(DeviceError):
        link.ask(b"Q1", reply=shape(b"ANSWER", size=0), within=30.0)
    assert clock.monotonic() - start < 0.2


def test_bytes_that_come_unasked_are_taken_with_their_time() -> None:
    """`wait` ends with the first bytes, `take` hands them over once."""
    link, port, clock = opened()
    start = clock.monotonic()
    port.say(b"card", after=0.3)
    link.wait(5.0)
    chunk = link.take()
    assert chunk is not None
    assert chunk.data == b"card"
    assert chunk.at == pytest.approx(start + 0.3)
    assert link.take() is None


def test_what_waits_when_a_question_is_asked_is_no_answer_and_not_lost() -> None:
    """Bytes caught by `wait` are not handed to the question; whoever listens gets them, with their time."""
    link, port, clock = opened([(0.1, b"A2")])
    port.say(b"A1")
    link.wait(1.0)
    asked = clock.monotonic()
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A2"
    chunk = link.take()
    assert chunk is not None
    assert chunk.data == b"A1"
    assert chunk.at == pytest.approx(asked)
    assert link.take() is None


def test_what_comes_beside_an_answer_is_not_lost() -> None:
    """What a device says unasked before or behind an answer, or instead of one, waits for those who listen."""
    link, port, _ = opened([(0.1, b"<door 3>A1<door 4>")], [(0.1, b"<door 5>")], [])
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    with pytest.raises(DeviceError):
        link.ask(b"Q2", reply=any_of(b"A", key="other"), within=0.5)
    with pytest.raises(LinkTimeout):
        link.ask(b"Q3", reply=any_of(b"B"), within=0.5)
    port.say(b"<door 6>", after=0.2)
    with pytest.raises(LinkTimeout):
        link.ask(b"Q4", reply=any_of(b"B"), within=0.5)
    link.wait(60.0)
    assert [chunk.data for chunk in iter(link.take, None)] == [b"<door 3>", b"<door 4>", b"<door 5>", b"<door 6>"]


def test_an_echo_is_not_handed_to_those_who_listen() -> None:
    """What the adapter repeats of the question is nothing a device said."""
    link, _, _ = opened([(0.0, b"Q1"), (0.1, b"A1")])
    assert link.ask(b"Q1", reply=any_of(b"A"), within=0.5) == b"A1"
    assert link.take() is None


def test_what_nobody_takes_is_bounded() -> None:
    """On a link without listeners only the latest few kB wait."""
    link, port, _ = opened(*([[(0.1, b"A1")]] * 30))
    for number in range(30):
        port.say(b"%03d" % number + bytes(497))
        link.ask(b"Q1", reply=any_of(b"A"), within=0.5)
    kept = [chunk.data for chunk in iter(link.take, None)]
    assert sum(map(len, kept)) <= 4096
    assert kept[-1].startswith(b"029")


def test_the_tap_sees_both_directions() -> None:
    """The tap sees what is sent and everything received, stale bytes included."""
    link, port, _ = opened([(0.1, b"A1")])
    seen: list[tuple[str, bytes]] = []
    link.tap = lambda direction, data: seen.append((direction, data))
    port.say(b"old")
    link.ask(b"Q1", reply=any_of(b"A"), within=0.5)
    port.say(b"new")
    while link.take():
        pass
    assert seen == [("<", b"old"), (">", b"Q1"), ("<", b"A1"), ("<", b"new")]


def test_a_closed_link_says_so() -> None:
    """Closing releases the port; asking then is a LinkError that asks for reopening, taking gives nothing."""
    link, port, _ = opened()
    assert link.is_open
    link.wake()
    assert port.woken
    link.close()
    link.close()
    link.wake()
    assert port.closed
    assert not link.is_open
    assert link.take() is None
    with pytest.raises(LinkError) as caught:
        link.ask(b"Q1", reply=any_of(b"A"), within=0.5)
    assert caught.value.gone


def test_opening_twice_keeps_the_port() -> None:
    """An open link is not opened again."""
    link, port, _ = opened()
    link.open()
    assert not port.closed
