"""A certificate authority for one test, made with openssl."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CONF = """
[ca]
default_ca = any
[any]
database = {directory}/index
new_certs_dir = {directory}
default_md = sha256
policy = names
serial = {directory}/serial
rand_serial = yes
unique_subject = no
[names]
commonName = supplied
"""


_ALREADY = "20200101000000Z"


@dataclass(frozen=True)
class Authority:
    """Signs certificates below `directory`."""

    directory: Path
    name: str = "ca"

    @property
    def certificate(self) -> Path:
        """The authority's own certificate, for those who trust it."""
        return self.directory / f"{self.name}.pem"

    @property
    def _key(self) -> Path:
        return self.directory / f"{self.name}.key"

    def create(self) -> "Authority":
        """Make the authority itself."""
        _openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650",
            *("-subj", f"/CN={self.name}", "-keyout", self._key, "-out", self.certificate),
        )
        (self.directory / "index").write_text("")
        (self.directory / "ca.conf").write_text(_CONF.format(directory=self.directory))
        return self

    def sign(self, name: str, *, host: str = "localhost", starts: str = _ALREADY) -> tuple[Path, Path]:
        """Return (certificate, key) of `name`, valid from `starts` on."""
        key, request, certificate = (self.directory / f"{self.name}-{name}.{kind}" for kind in ("key", "csr", "pem"))
        names = self.directory / "names"
        names.write_text(f"subjectAltName=DNS:{host}\n")
        _openssl(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes",
            *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
        )
        _openssl(
            f"ca -batch -notext -startdate {starts} -enddate 99991231235959Z",
            *("-config", self.directory / "ca.conf", "-cert", self.certificate, "-keyfile", self._key),
            *("-in", request, "-extfile", names, "-out", certificate),
        )
        return certificate, key

    def server(
        self, *, clients: "Authority | None" = None, host: str = "localhost", starts: str = _ALREADY
    ) -> ssl.SSLContext:
        """Return a server's context; with `clients` it wants certificates signed by them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.sign("broker", host=host, starts=starts))
        if clients is not None:
            context.load_verify_locations(clients.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _openssl(line: str, *arguments: str | Path) -> None:
    subprocess.run(["openssl", *line.split(), *arguments], check=True, capture_output=True)
