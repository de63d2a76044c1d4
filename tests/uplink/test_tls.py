"""TLS with real certificates: both sides prove who they are, and each usual failure is named."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.demo.broker import Broker
from edge_agent.demo.broker_thread import BrokerThread
from tests.uplink.authority import Authority
from tests.uplink.rig import Rig

pytestmark = pytest.mark.needs("openssl")


@pytest.fixture(name="authority", scope="module")
def fixture_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The operator's own authority."""
    return Authority(tmp_path_factory.mktemp("authority")).create()


@pytest.fixture(name="rig")
def fixture_rig(tmp_path: Path, authority: Authority) -> Iterator[Rig]:
    """A rig that trusts the authority; its own broker is not used."""
    with Rig.of(tmp_path) as rig:
        rig.broker.stop()
        rig.address = replace(rig.address, host="localhost", tls=True, ca_file=authority.certificate)
        yield rig


def test_mutual_tls(rig: Rig, authority: Authority) -> None:
    """With CA and client certificate records are delivered; without its certificate the station is not let in."""
    context = authority.server(clients=authority)
    with BrokerThread(Broker(tls=context, on_publish=rig.messages.append)) as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.store.visits(3)
        rig.until(lambda: rig.link.why)
        assert not rig.messages
        certificate, key = authority.sign("s1")
        rig.address = replace(rig.address, cert_file=certificate, key_file=key)
        rig.drained()
        assert rig.seqs("event/") == [1, 2, 3]


def test_large_backlog_over_tls(rig: Rig, authority: Authority) -> None:
    """What TLS has decrypted but not handed over yet is not forgotten: nothing waits for the next packet."""
    with BrokerThread(Broker(tls=authority.server(), on_publish=rig.messages.append)) as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.store.visits(500)
        rig.drained()
        assert rig.seqs("event/") == list(range(1, 501))


@pytest.mark.parametrize(
    ("host", "starts", "why"),
    [
        ("localhost", "20990101000000Z", "certificate is not yet valid: the station's clock is not set yet"),
        ("elsewhere.example", "20200101000000Z", "certificate refused: Hostname mismatch"),
    ],
)
def test_named_refusals(rig: Rig, authority: Authority, host: str, starts: str, why: str) -> None:
    """A certificate from the future is a clock that is not set; a foreign host name is named."""
    with BrokerThread(Broker(tls=authority.server(host=host, starts=starts), on_publish=rig.messages.append)) as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.until(lambda: rig.link.why)
        assert rig.link.why.startswith(f"localhost:{broker.port}: {why}")
        assert not rig.messages


def test_wrong_authority(rig: Rig, tmp_path: Path) -> None:
    """A broker signed by an authority that the station does not know is refused by name."""
    other = Authority(tmp_path, "other").create()
    with BrokerThread(Broker(tls=other.server(), on_publish=rig.messages.append)) as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.until(lambda: rig.link.why)
        assert "certificate refused: unable to get local issuer certificate" in rig.link.why


def test_not_tls(rig: Rig) -> None:
    """A broker that speaks no TLS is named so; a missing file is named too."""
    with BrokerThread(Broker(on_publish=rig.messages.append)) as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.until(lambda: rig.link.why)
        assert "TLS failed" in rig.link.why
    rig.address = replace(rig.address, ca_file=Path("/nowhere.pem"))
    rig.until(lambda: "No such file" in rig.link.why)
