"""Certificates for one test run: an authority, a server on this machine, and a client."""

import subprocess
from pathlib import Path

_SERVER = "subjectAltName = DNS:localhost, IP:127.0.0.1\nextendedKeyUsage = serverAuth\n"
_CLIENT = "extendedKeyUsage = clientAuth\n"


class Certificates:
    """An authority of its own in `folder`, and what it has signed: `<name>.pem` and `<name>.key`.

    `authority` signs the server's and the client's; `stranger` is an authority that signed neither.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = self._authority("authority")
        self.stranger = self._authority("stranger")

    def server(self) -> tuple[Path, Path]:
        """Make the certificate of a server at 127.0.0.1 or localhost, and return it and its key."""
        return self._signed("server", _SERVER)

    def client(self, name: str) -> tuple[Path, Path]:
        """Make the certificate of a client of that name, and return it and its key."""
        return self._signed(name, _CLIENT)

    def _authority(self, name: str) -> Path:
        certificate = self.folder / f"{name}.pem"
        self._openssl(
            *["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2", "-subj", f"/CN={name}"],
            *["-keyout", f"{name}.key", "-out", certificate.name],
        )
        return certificate

    def _signed(self, name: str, extensions: str) -> tuple[Path, Path]:
        (self.folder / f"{name}.ext").write_text(extensions)
        self._openssl(
            *["req", "-newkey", "rsa:2048", "-noenc", "-subj", f"/O=tests/CN={name}"],
            *["-keyout", f"{name}.key", "-out", f"{name}.csr"],
        )
        self._openssl(
            *["x509", "-req", "-days", "2", "-in", f"{name}.csr", "-extfile", f"{name}.ext"],
            *["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-out", f"{name}.pem"],
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
