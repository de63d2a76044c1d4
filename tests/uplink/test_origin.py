"""A journal put back from a copy, side file and all: the totals that the broker still holds give it away."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.demo.broker import Message as Seen
from edge_agent.demo.mqtt_properties import Properties
from edge_agent.demo.mqtt_wire import ReasonCode
from edge_agent.errors import UplinkError
from edge_agent.journal.missing import END_OF_EPOCH
from edge_agent.picture import Picture
from edge_agent.uplink.paho_connection import PahoConnection
from tests.uplink.rig import BASE, Rig
from tests.uplink.test_mosquitto import ACL, mosquitto

USAGE = f"{BASE}/usage"


def restart_with(rig: Rig, copy: Path) -> None:
    """End the agent, put `copy` in the place of its journal, and start it again."""
    rig.uplink.close()
    rig.store.close()
    shutil.rmtree(rig.store.directory)
    shutil.copytree(copy, rig.store.directory)
    rig.store.picture = Picture()
    rig.store._open()
    rig.uplink = rig._make()


def outlive_a_copy(rig: Rig, copy: Path) -> str:
    """Deliver twenty visits, the last ten of which `copy` does not know; return the epoch."""
    rig.store.visits(10)
    rig.drained()
    shutil.copytree(rig.store.directory, copy)
    rig.store.visits(10)
    rig.drained()
    return rig.store.journal.epoch_name


def check_begun_anew(rig: Rig, epoch: str, *, told: int) -> None:
    """New records have another epoch, its beginning is declared behind the `told` records of `epoch`."""
    assert rig.store.journal.epoch_name != epoch
    rig.store.visits(1)
    rig.drained()
    reader = rig.store.reader()
    try:
        gaps = [json.loads(row.body) for row in reader.all_rows() if row.stream == "usage" and row.type == "gap"]
        newest = reader.rows("usage", (rig.store.journal.epoch, 0), 100)[-1]
    finally:
        reader.close()
    assert [(gap["of_epoch"], gap["from_seq"], gap["to_seq"]) for gap in gaps] == [(epoch, told + 1, END_OF_EPOCH)]
    assert newest.type == "visit"


def retain(rig: Rig, payload: bytes) -> None:
    """Let somebody publish on the station's own topic."""
    rig.broker.call(
        lambda broker: broker.publish(Seen(USAGE, payload, 1, True, None, Properties(), "other", broker.clock()))
    )


def upto(epoch: str, seq: object) -> bytes:
    """What the retained totals say of the newest record."""
    return json.dumps({"upto": {"epoch": epoch, "seq": seq}}).encode()


def test_a_copy_put_back(tmp_path: Path) -> None:
    """The broker knows ten visits more than the journal: a new epoch, the old one's end declared, and only once."""
    with Rig.of(tmp_path) as rig:
        epoch = outlive_a_copy(rig, tmp_path / "copy")
        restart_with(rig, tmp_path / "copy")
        assert rig.store.journal.epoch_name == epoch
        rig.until(lambda: rig.store.journal.epoch_name != epoch)
        check_begun_anew(rig, epoch, told=10)
        new = rig.store.journal.epoch_name
        rig.broker.call(lambda broker: broker.disconnect_all(None))
        rig.until(lambda: not rig.link.online)
        rig.drained()
        rig.restart_agent()
        rig.drained()
        assert rig.store.journal.epoch_name == new


def test_a_copy_that_has_grown_beyond(tmp_path: Path) -> None:
    """Records that came before the first connection do not hide it: what counts is what the journal began with."""
    with Rig.of(tmp_path) as rig:
        epoch = outlive_a_copy(rig, tmp_path / "copy")
        restart_with(rig, tmp_path / "copy")
        rig.behave(refuse_connect=ReasonCode.SERVER_BUSY)
        rig.until(lambda: rig.link.why)
        rig.store.visits(30)
        rig.behave()
        rig.until(lambda: rig.store.journal.epoch_name != epoch)
        check_begun_anew(rig, epoch, told=40)


@pytest.mark.needs("mosquitto", "mosquitto_sub", "mosquitto_pub")
def test_a_copy_put_back_mosquitto(tmp_path: Path) -> None:
    """The same with a broker not of ours and the rights that are shipped."""
    with Rig.of(tmp_path) as rig, mosquitto(tmp_path, ACL) as broker:
        rig.address = replace(rig.address, port=broker.port, username="s1")
        epoch = outlive_a_copy(rig, tmp_path / "copy")
        restart_with(rig, tmp_path / "copy")
        rig.until(lambda: rig.store.journal.epoch_name != epoch)
        check_begun_anew(rig, epoch, told=10)
        held = broker.retained(USAGE, "-u", "collector")[USAGE]
        assert held["upto"]["epoch"] == rig.store.journal.epoch_name


def test_ours_is_known(tmp_path: Path) -> None:
    """A journal that holds what the broker knows keeps its epoch, with and without totals at the broker."""
    with Rig.of(tmp_path) as rig:
        epoch = rig.store.journal.epoch_name
        rig.store.visits(10)
        rig.drained()
        rig.store.visits(5)
        rig.restart_agent()
        rig.store.visits(5)
        rig.drained()
        assert rig.bodies("usage")[-1]["upto"] == {"epoch": epoch, "seq": 20}
        assert rig.store.journal.epoch_name == epoch


@pytest.mark.parametrize(
    "payload",
    [
        lambda _: b"",
        lambda _: b"\xff\x00",
        lambda _: b"[" * 5000,
        lambda _: b"{}",
        lambda _: b'{"upto":[]}',
        lambda _: b'{"upto":{"epoch":1,"seq":99}}',
        lambda _: upto("f" * 16, 99),
        lambda epoch: upto(epoch, None),
        lambda epoch: upto(epoch, -1),
        lambda epoch: upto(epoch, "x"),
        lambda epoch: upto(epoch, 3),
        lambda epoch: f'{{"upto":{{"epoch":"{epoch}","seq":Infinity}}}}'.encode(),
    ],
)
def test_what_is_not_ours_harms_nothing(tmp_path: Path, payload: Callable[[str], bytes]) -> None:
    """Whatever somebody has retained on the station's topic: no new epoch, no lost connection, all is delivered."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(3)
        epoch = rig.store.journal.epoch_name
        retain(rig, payload(epoch))
        rig.messages.clear()
        rig.restart_agent()
        rig.drained()
        assert rig.store.journal.epoch_name == epoch
        assert rig.link.connections == 1
        assert rig.bodies("usage")[-1]["upto"] == {"epoch": epoch, "seq": 3}


def test_it_is_asked_once(tmp_path: Path) -> None:
    """Once answered, neither the station's own totals nor anybody's come back over the wire."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(1)
        rig.drained()
        epoch = rig.store.journal.epoch_name
        before = rig.broker.call(lambda broker: broker.stats.delivered)
        rig.store.visits(1)
        rig.drained()
        retain(rig, upto(epoch, 99))
        rig.broker.call(lambda broker: broker.disconnect_all(None))
        rig.until(lambda: not rig.link.online)
        rig.drained()
        assert rig.broker.call(lambda broker: broker.stats.delivered) == before
        assert rig.store.journal.epoch_name == epoch


class Jealous(PahoConnection):
    """As if the broker ended the connection of whoever asks for the totals."""

    def subscribe(self, topic_filter: str, *, retain_as_published: bool = True) -> None:
        """See Connection."""
        if topic_filter == USAGE:
            raise UplinkError("not authorised")
        super().subscribe(topic_filter, retain_as_published=retain_as_published)


def test_a_broker_that_throws_out_who_asks(tmp_path: Path) -> None:
    """If a broker ends every connection on which it is asked, records go up all the same after three of them."""
    with Rig.of(tmp_path) as rig:
        rig.connect = lambda will: Jealous(rig.address, will)
        rig.uplink = rig._make()
        rig.store.visits(1)
        rig.drained()
        assert rig.link.connections == 4
