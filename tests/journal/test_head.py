"""The side file: two slots written in turn, the newest valid one holds."""

from dataclasses import replace
from pathlib import Path

from edge_agent.journal.head import FILE, Head, load, save

HEAD = Head(1, {1: "aa", 2: "bb"}, {"usage": 7}, {"visits": 5}, 1_780_000_000_000, {7: 12_345})


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    """No file, an empty one and a foreign one are all no knowledge."""
    assert load(tmp_path) == Head()
    (tmp_path / FILE).write_bytes(b"")
    assert load(tmp_path) == Head()
    (tmp_path / FILE).write_bytes(b"x" * 9000)
    assert load(tmp_path) == Head()


def test_the_newest_holds(tmp_path: Path) -> None:
    """Every write replaces the older slot only."""
    for number in range(1, 6):
        save(tmp_path, replace(HEAD, number=number))
        assert load(tmp_path) == replace(HEAD, number=number)
    assert (tmp_path / FILE).stat().st_size == 8192


def test_a_torn_write_costs_one_slot(tmp_path: Path) -> None:
    """With the newest slot broken in any place the one before holds."""
    save(tmp_path, replace(HEAD, number=2))
    save(tmp_path, replace(HEAD, number=3))
    whole = (tmp_path / FILE).read_bytes()
    for at in (4096, 4100, 4120, 4200):
        torn = bytearray(whole)
        torn[at] ^= 1
        (tmp_path / FILE).write_bytes(torn)
        assert load(tmp_path).number == 2


def test_another_version_is_not_understood(tmp_path: Path) -> None:
    """A slot with a right checksum and other fields is ignored."""
    import zlib  # noqa: PLC0415

    for text in (b"[]", b'{"epochs":{},"what":1}', b'{"epochs":{"x":"y"}}', b"no"):
        (tmp_path / FILE).write_bytes(f"{zlib.crc32(text):08x}".encode() + text)
        assert load(tmp_path) == Head()


def test_only_the_newest_epochs_are_kept(tmp_path: Path) -> None:
    """A slot never overflows for the number of epochs."""
    save(tmp_path, replace(HEAD, epochs={number: f"{number:016x}" for number in range(1, 101)}))
    assert list(load(tmp_path).epochs) == list(range(69, 101))


def test_what_does_not_fit_or_cannot_be_written_is_left(tmp_path: Path) -> None:
    """The side file is a help, never a trouble."""
    save(tmp_path, replace(HEAD, lifetime={f"name-{n}": n for n in range(500)}))
    assert not (tmp_path / FILE).exists()
    save(tmp_path / "nowhere", HEAD)
