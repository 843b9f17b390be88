"""The certificate authorities that this machine trusts in addition to the public ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from devstack.services.packages import pip_settings

FILE = "ca-certificates.crt"
LARGEST = 900_000
"""Bytes of certificates: a Secret holds one MiB."""

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
_OWN = "DEVSTACK_CA_BUNDLE"
_NAMED_BY = (_OWN, "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
_PRIVATE = ("usr/local/share/ca-certificates", "etc/pki/ca-trust/source/anchors")
"""Where Debian and Red Hat keep the certificates that an administrator adds."""
_SYSTEM = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
)
"""The bundles of Debian, Red Hat, SUSE and macOS."""


def read_authorities(variables: Mapping[str, str], root: Path = Path("/")) -> str:
    """Return the certificates that downloads on this machine trust, if it has private ones.

    That is the bundle which a variable or pip's configuration names, followed by the system's:
    a named bundle often has a company's own authority only, for one index, but in pods all
    programs use the result for all hosts. Without a named one it is the system's, if an
    administrator has added to it. Of these files, only the certificates are returned.

    Args:
        variables: this process's environment.
        root: the root of the file system.
    """
    named = _first(_named(variables, root))
    if not named and not _has_private(root):
        return ""
    both = _join([*named, *_first(root / path for path in _SYSTEM)])
    return both if len(both) <= LARGEST or not named else _join(named)


def find_problem(variables: Mapping[str, str]) -> str:
    """Return what is wrong with the file that DEVSTACK_CA_BUNDLE names; empty if nothing is."""
    named = variables.get(_OWN, "")
    if not named or _first([_expand(named, variables)]):
        return ""
    return (
        f"task pods do not get the certificates of {_OWN}: {named} is not a readable file with "
        "certificates in PEM format. Name one, or unset it"
    )


def _first(paths: Iterable[Path]) -> list[str]:
    """Return the certificates of the first file that has any."""
    for path in paths:
        try:
            found = _CERTIFICATE.findall(path.read_text(errors="replace"))
        except (OSError, ValueError):
            continue
        if found:
            return found
    return []


def _join(certificates: Iterable[str]) -> str:
    return "".join(f"{each}\n" for each in dict.fromkeys(certificates))


def _named(variables: Mapping[str, str], root: Path) -> Iterator[Path]:
    yield from (_expand(variables[name], variables) for name in _NAMED_BY if variables.get(name))
    if named := pip_settings.certificates(variables, root):
        yield _expand(named, variables)


def _expand(path: str, variables: Mapping[str, str]) -> Path:
    """Return a path with ``~`` replaced, as pip does it for its settings."""
    if path.startswith("~/"):
        return Path(variables.get("HOME") or Path.home()) / path[2:]
    return Path(os.path.expanduser(path))


def _has_private(root: Path) -> bool:
    return any(any((root / folder).glob("**/*.*")) for folder in _PRIVATE)
