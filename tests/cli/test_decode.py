"""`edge-agent decode`: frames explained, refusals with their reason, and no bytes that break a decoder."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.cli import main
from edge_agent.cli.decode import decoders
from edge_agent.cli.vectors import Line, Outcome, outcomes
from edge_agent.driver import Capture, DeviceError

RDM6300 = "0231343030384543373933434503"
ROOT = Path(__file__).parents[2]
FRAMES = ROOT / "tests" / "drivers" / "frames.jsonl"
"""Frames and streams of every protocol beyond the drivers' own vectors."""
VECTORS = [*sorted(ROOT.glob("drivers/*/vectors/*.jsonl")), FRAMES]
KNOWN = decoders()
SEEN: dict[str, list[dict[str, Any]]] = {protocol: [] for protocol in KNOWN}
for _file in VECTORS:
    for _entry in map(json.loads, _file.read_text().splitlines()):
        SEEN.setdefault(_entry["protocol"], []).append(_entry)
OPTIONS = {protocol: dict(decoder.options) for protocol, decoder in KNOWN.items()}

words = st.sampled_from(["", "request", "response", "stream", "field", "frame3", "key-derivation", "x"])
texts = st.text(max_size=8) | st.integers(-5, 999).map(str) | st.binary(max_size=9).map(bytes.hex)


def captures(protocol: str) -> st.SearchStrategy[Capture]:
    """Any bytes, with any of the options that the decoder knows, of values that it takes and others."""
    known = {name: st.sampled_from(values) | texts if values else texts for name, values in OPTIONS[protocol].items()}
    frames = [bytes.fromhex(entry["frame_hex"]) for entry in SEEN[protocol]] or [b""]
    data = st.binary(max_size=80) | st.lists(st.sampled_from(frames) | st.binary(max_size=4), max_size=3).map(b"".join)
    request = st.none() | st.binary(max_size=20) | st.sampled_from(frames)
    options = st.fixed_dictionaries({}, optional={**known, "request_before": texts, "unheard_of": texts})
    return st.builds(Capture, data=data, direction=words, kind=words, request=request, options=options)


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
        (["rdm6300"], "rdm6300 takes the options variant"),
        (["rdm6300", "xyz"], "not hexadecimal"),
        (["nonsense", "00"], "no driver explains 'nonsense'"),
        (["rdm6300", RDM6300, "--option", "variant"], "KEY=VALUE"),
        (["rdm6300", RDM6300, "--option", "variant=odd"], "option variant: 'odd' is none of rdm6300, decimal10"),
        (["rdm6300", RDM6300, "--option", "wariant=odd"], "no option 'wariant'; rdm6300 takes the options variant"),
        (["uhppote", "00", "--option", "variant=odd"], "uhppote takes no options"),
        (["bms_jk", "00", "--option", "tag=x", "--kind", "field"], "option tag: 'x' is no number"),
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
    assert main(["decode", "--vectors", path, "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [sorted(line) for line in told] == [["decoded"], *[["refused"]] * 6]
    assert told[0]["decoded"]["card"] == 9357203
    assert main(["decode", "--vectors", write(tmp_path / "w.jsonl", good, {**good, "frame_hex": "02"}), "--json"]) == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"protocol": "rdm6300", "frame_hex": "02', "Unterminated string"),
        ("[]", "valid dictionary"),
        ("not json", "Expecting value"),
        ('{"frame_hex": "02"}', "protocol: Field required"),
        ('{"protocol": "rdm6300"}', "frame_hex: Field required"),
        ('{"protocol": "rdm6300", "frame_hex": "0"}', "non-hexadecimal"),
        ('{"protocol": "rdm6300", "frame_hex": "02", "request_hex": "x"}', "non-hexadecimal"),
        ('{"protocol": "rdm6300", "frame_hex": "02", "decoded": [1]}', "decoded: "),
        ('{"protocol": "rdm6300", "frame_hex": "02", "tolerance": "much"}', "tolerance: "),
        ("[" * 100_000, "recursion"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_broken_line_is_named(
    line: str, told: str, form: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, line and what is wrong with it stand on stderr; the lines around it are decoded all the same."""
    good = {"protocol": "rdm6300", "frame_hex": RDM6300, "note": "of no use\u2028here"}
    path = write(tmp_path / "v.jsonl", "\ufeff" + json.dumps(good, ensure_ascii=False), "", good, line)
    assert main(["decode", "--vectors", path, *form]) == 1
    seen = capsys.readouterr()
    assert f"{path}:4: not a line of captured bytes: " in seen.err
    assert told in seen.err
    assert len(seen.out.splitlines()) == 2 + len(form)


@pytest.mark.parametrize(
    "words",
    [
        ["01 03 04 00 0A 00 0B 9B F6"],
        ["0x01", "0X03", "0x04", "0x00", "0x0a", "0x00", "0x0b", "0x9bf6"],
        ["01:03:04:00:0a:00:0b:9b:f6"],
        ["01-03-04-00-0a-00-0b-9b-f6"],
        ["0103,0400,0a00,0b9b,f6"],
        ["0103", "04000a000b9bf6", "--request", "0103", "00000002", "c40b"],
        ["--option", "model=SDM", "0103", "04000a000b9bf6"],
        ["--direction", "response", "0103", "04000a000b9bf6"],
        ["0103", "--kind", "stream", "04000a000b9bf6"],
        ["--request", "010300000002c40b", "0103", "04000a000b9bf6"],
    ],
)
def test_bytes_are_taken_as_they_are_written(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Blanks, colons, commas, dashes, 0x and capitals are all right, and so are several pieces, before and behind."""
    assert main(["decode", "modbus_rtu", *words]) == 0
    assert json.loads(capsys.readouterr().out)["registers"] == [10, 11]


@pytest.mark.parametrize("text", ["~25014600E00202FD35", "~25014600E00202FD35\r", "~25014600E00202FD35\\r"])
def test_text_is_taken_as_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames that are characters need not be turned into hexadecimal; the end of the line may be missing."""
    assert main(["decode", "bms_pace_seplos", text]) == 0
    assert json.loads(capsys.readouterr().out)["packs"] == 2
    assert main(["decode", "cabinet_cloud", '{"code": 0,', '"tm": 5}']) == 0
    assert json.loads(capsys.readouterr().out) == {"code": 0, "time_s": 5}


def test_options_and_kind_hold_for_every_line_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a capture does not say of itself can be said for all of it."""
    line = {"protocol": "modbus_energy", "frame_hex": "00010404436633341b38", "request_hex": "01040000000271cb"}
    arguments = ["--vectors", write(tmp_path / "v.jsonl", line), "--json", "--kind", "stream", "--option", "model=SDM"]
    assert main(["decode", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)["decoded"]
    assert (told["voltage_v"], told["noise_bytes"]) == (230.2, 1)


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
    assert told.agrees(Line(protocol="x", frame_hex="", **line)) == verdict


@pytest.mark.parametrize("file", VECTORS, ids=lambda file: file.stem)
def test_the_drivers_own_vectors_agree(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies in a driver's folder is explained as it says there, for every protocol with a decoder."""
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    if {entry["protocol"] for entry in entries} <= KNOWN.keys():
        assert main(["decode", "--vectors", str(file)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("number", range(1, 1 + len(FRAMES.read_text().splitlines())))
def test_other_frames_of_the_protocols(number: int) -> None:
    """Every key that is known of a frame or a stream is told, with its value; a bad one is refused."""
    entries = list(outcomes(FRAMES, KNOWN, Capture(b"")))
    _, line, outcome = entries[number - 1]
    assert line is not None
    assert not outcome.agrees(line)
    if line.valid:
        assert line.decoded.keys() <= outcome.decoded.keys()


@pytest.mark.parametrize("protocol", sorted(KNOWN))
@given(data=st.data())
@settings(max_examples=40)
def test_a_decoder_takes_anything(protocol: str, data: st.DataObject) -> None:
    """No bytes, request or options make a decoder raise anything but DeviceError, and what it tells is JSON."""
    try:
        told = KNOWN[protocol](data.draw(captures(protocol)))
    except DeviceError:
        return
    json.dumps(told, allow_nan=False)


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
