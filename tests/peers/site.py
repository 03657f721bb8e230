"""The site that fake TLS pretends to be: real TLS with a certificate of its own, and plain HTTP."""

from __future__ import annotations

import socketserver
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class _Visitor(socketserver.BaseRequestHandler):
    server: Site

    def handle(self) -> None:
        self.request.settimeout(10)
        try:
            first = self.request.recv(1, 0x2)  # MSG_PEEK
            if first == b"\x16":
                with self.server.context.wrap_socket(self.request, server_side=True) as sock:
                    sock.recv(4096)
                    sock.sendall(self.server.page("200 OK"))
            elif first:
                self.request.recv(4096)
                self.request.sendall(self.server.page("400 Bad Request"))
        except OSError:
            return


class Site(socketserver.ThreadingTCPServer):
    """Listens on a port of loopback until closed.

    Args:
        folder: where its key and certificate are kept.
        domain: whom the certificate names.
        newest: the newest TLS it speaks.
        ahead: seconds by which the clock in its Date is ahead of this machine's.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self,
        folder: Path,
        domain: str = "www.example.com",
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        ahead: float = 0,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Visitor)
        self.ahead = ahead
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = newest
        self.context.load_cert_chain(certificate(folder, domain))
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def page(self, status: str) -> bytes:
        """A small answer over HTTP."""
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=self.ahead), usegmt=True)
        head = f"HTTP/1.1 {status}\r\nServer: site\r\nDate: {date}\r\nConnection: close\r\n"
        return f"{head}Content-Length: 5\r\n\r\nsite\n".encode()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


def certificate(folder: Path, domain: str) -> Path:
    """A file with a key and a self-signed certificate for the domain."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, SHA256())
    )
    path = folder / f"{domain}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path
