"""The certificate authorities that this machine trusts in addition to the public ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from devstack.services.packages import pip_settings

FILE = "ca-certificates.crt"

VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
)
"""The variables by which OpenSSL, uv, requests, curl, micromamba, pip, boto3 and git are told."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_NAMED_BY = ("DEVSTACK_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
_PRIVATE = ("usr/local/share/ca-certificates", "etc/pki/ca-trust/source/anchors")
"""Where Debian and Red Hat keep the certificates that an administrator adds."""
_SYSTEM = ("etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt")


def read_authorities(variables: Mapping[str, str], root: Path = Path("/")) -> str:
    """Return the certificates that downloads on this machine trust, if it has private ones.

    That is the bundle which a variable or pip's configuration names, or else the system's if
    an administrator has added to it. Of these files, only the certificates are returned.

    Args:
        variables: this process's environment.
        root: the root of the file system.
    """
    for path in _bundles(variables, root):
        try:
            found = _CERTIFICATE.findall(path.read_text(errors="replace"))
        except OSError:
            continue
        if found:
            return "\n".join(found) + "\n"
    return ""


def _bundles(variables: Mapping[str, str], root: Path) -> Iterator[Path]:
    yield from (Path(variables[name]) for name in _NAMED_BY if variables.get(name))
    if named := pip_settings.certificates(variables, root):
        yield Path(named)
    if any(any((root / folder).glob("**/*.*")) for folder in _PRIVATE):
        yield from (root / path for path in _SYSTEM)
