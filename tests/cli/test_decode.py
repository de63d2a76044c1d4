"""`edge-agent decode`: frames explained, refusals with their reason, and no bytes that break a decoder."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.cli import main
from edge_agent.cli.decode import Outcome, decoders
from edge_agent.driver import Capture, DeviceError

RDM6300 = "0231343030384543373933434503"
VECTORS = sorted(Path(__file__).parents[2].glob("drivers/*/vectors/*.jsonl"))
KNOWN = decoders()
SEEN: dict[str, list[dict[str, Any]]] = {protocol: [] for protocol in KNOWN}
for _file in VECTORS:
    for _entry in map(json.loads, _file.read_text().splitlines()):
        SEEN.setdefault(_entry["protocol"], []).append(_entry)

words = st.sampled_from(["", "request", "response", "stream", "field", "frame3", "x"])
options = st.dictionaries(
    st.sampled_from(
        ["model", "dialect", "variant", "family", "framing", "format", "bit_count", "word_order", "feedback"]
    ),
    st.text(max_size=8) | st.integers(-5, 99).map(str),
    max_size=3,
)


def write(path: Path, *lines: dict[str, Any] | str) -> str:
    """A file of captured frames."""
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(path)


def test_a_frame_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """The meaning is printed as JSON; blanks between the bytes do not matter."""
    assert main(["decode", "rdm6300", RDM6300[:2], RDM6300[2:]]) == 0
    assert json.loads(capsys.readouterr().out)["printed"] == "0009357203"


def test_a_bad_frame_is_refused_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Refusal is exit code 1 and a word on stderr; nothing is printed as a value."""
    assert main(["decode", "rdm6300", RDM6300.replace("37", "36")]) == 1
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "refused: checksum" in seen.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "known protocols"),
        (["rdm6300"], "known protocols"),
        (["rdm6300", "xyz"], "not hexadecimal"),
        (["nonsense", "00"], "no driver explains 'nonsense'"),
        (["rdm6300", RDM6300, "--option", "variant"], "KEY=VALUE"),
        (["rdm6300", RDM6300, "--option", "variant=odd"], "variant 'odd' is not known"),
        (["--vectors", "/nonexistent.jsonl"], "cannot be read"),
    ],
)
def test_wrong_use_is_answered_kindly(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every slip has its sentence and exit code 1."""
    assert main(["decode", *arguments]) == 1
    assert told in capsys.readouterr().err


def test_a_file_is_decoded_in_its_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json every line of the file gives one object, good or refused, in order."""
    good = {"protocol": "rdm6300", "frame_hex": RDM6300, "decoded": {"card": 9357203}, "valid": True}
    path = write(
        tmp_path / "v.jsonl",
        good,
        {**good, "frame_hex": "02", "valid": False},
        "",
        {**good, "protocol": "nobody"},
        {**good, "frame_hex": "0"},
        {"protocol": "rdm6300"},
        "not json",
        "[]",
    )
    assert main(["decode", "--vectors", path, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [sorted(line) for line in told] == [["decoded"], *[["refused"]] * 6]
    assert told[0]["decoded"]["card"] == 9357203


def test_a_file_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json each line says whether it agrees; one that does not makes the exit code 1."""
    good = {"protocol": "rdm6300", "frame_hex": RDM6300, "decoded": {"card": 9357203, "unheard_of": 1}, "valid": True}
    assert main(["decode", "--vectors", write(tmp_path / "a.jsonl", good)]) == 0
    assert capsys.readouterr().out.endswith(": agrees\n")
    assert main(["decode", "--vectors", write(tmp_path / "b.jsonl", good, {**good, "decoded": {"card": 1}})]) == 1
    assert "DIFFERS (card should be 1)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "line", "verdict"),
    [
        (Outcome({"v": 1.0004}), {"decoded": {"v": 1}, "tolerance": 0.001}, ""),
        (Outcome({"v": 1.0004}), {"decoded": {"v": 1}}, "v should be 1"),
        (Outcome({"v": 1}), {"decoded": {"v": True}}, "v should be true"),
        (Outcome({"v": [1, 2.0]}), {"decoded": {"v": [1, 2]}}, ""),
        (Outcome({"v": [1]}), {"decoded": {"v": [1, 2]}}, "v should be [1, 2]"),
        (Outcome({"v": {"a": 1, "b": 2}}), {"decoded": {"v": {"a": 1}}}, ""),
        (Outcome({"v": 1}), {"decoded": {"w": 1}}, "nothing that is expected was told"),
        (Outcome({"v": 1}), {"decoded": {"v": 1}, "valid": False}, "must be refused"),
        (Outcome({}, "why"), {"decoded": {"v": 1}}, "must not be refused"),
        (Outcome({}, "why"), {"decoded": {"error": "crc"}, "valid": True}, ""),
        (Outcome({}, "why"), {"decoded": {"v": 1}, "valid": False}, ""),
    ],
)
def test_agreement(told: Outcome, line: dict[str, Any], verdict: str) -> None:
    """Numbers agree within the tolerance, truth values are no numbers, and what is not told is no difference."""
    assert told.agrees(line) == verdict


@pytest.mark.parametrize("file", VECTORS, ids=lambda file: file.stem)
def test_the_drivers_own_vectors_agree(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies in a driver's folder is explained as it says there, for every protocol with a decoder."""
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    if {entry["protocol"] for entry in entries} <= KNOWN.keys():
        assert main(["decode", "--vectors", str(file)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("protocol", sorted(KNOWN))
@given(
    st.builds(
        Capture,
        data=st.binary(max_size=80),
        direction=words,
        kind=words,
        request=st.none() | st.binary(max_size=20),
        options=options,
    )
)
@settings(max_examples=40)
def test_a_decoder_takes_anything(protocol: str, capture: Capture) -> None:
    """No bytes, request or options make a decoder raise anything but DeviceError, and what it tells is JSON."""
    try:
        told = KNOWN[protocol](capture)
    except DeviceError:
        return
    json.dumps(told)


@pytest.mark.parametrize("protocol", sorted(KNOWN))
@given(data=st.data())
@settings(max_examples=40)
def test_a_decoder_takes_damaged_frames(protocol: str, data: st.DataObject) -> None:
    """Real frames, cut and changed anywhere, give a value or DeviceError."""
    frames = [(bytes.fromhex(e["frame_hex"]), e.get("kind", ""), e["direction"]) for e in SEEN[protocol]]
    if not frames:
        return
    frame, kind, direction = data.draw(st.sampled_from(frames))
    changed = bytearray(frame)
    for _ in range(data.draw(st.integers(0, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(0, len(changed)))])
    for piece in (cut, bytes(changed)):
        try:
            json.dumps(KNOWN[protocol](Capture(piece, direction, kind)))
        except DeviceError:
            continue
