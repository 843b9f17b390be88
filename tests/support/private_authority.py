"""A certificate authority of the test's own, and serving certificates that it signs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_VALIDITY = timedelta(days=30)
_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class ServingFiles:
    """The PEM files of a server: its certificate and its private key."""

    certificate: Path
    key: Path


class PrivateAuthority:
    """A certificate authority that only those trust who are told to.

    Args:
        folder: where its files are written.

    Attributes:
        certificate: the PEM file that clients are to trust.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("devstack test authority")
        self.certificate = folder / "authority.crt"
        made = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate.write_bytes(made.public_bytes(Encoding.PEM))

    def issue(self, names: Iterable[str]) -> ServingFiles:
        """Write a key, and a certificate for DNS names and IP addresses."""
        wanted = list(names)
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(_name(wanted[0]), self._name, key.public_key())
            .add_extension(x509.SubjectAlternativeName(map(_alternative, wanted)), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = ServingFiles(self._folder / "server.crt", self._folder / "server.key")
        files.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        files.key.chmod(0o600)
        return files


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALIDITY)
    )
