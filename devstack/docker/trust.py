"""Which registries Docker trusts, and why, for nodes that are to trust the same.

Source: Docker's documentation of ``/etc/docker/certs.d/HOST:PORT/*.crt``, which rootless Docker
and Docker Desktop read in the user's own folder; containers-certs.d(5) for Podman.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PEM = "-----BEGIN CERTIFICATE-----"


def trusted_authorities(root: Path = Path("/"), home: Path | None = None) -> dict[str, str]:
    """Return the certificate authorities of registries, PEM texts by ``HOST[:PORT]``.

    Unreadable files are left out: Docker may be unable to read them, too.

    Args:
        root: the root of the file system.
        home: the user's folder; by default the current user's.
    """
    found: dict[str, str] = {}
    for folder in _folders(root, home or Path.home()):
        for file in sorted(folder.glob("*/*.crt")):
            host = file.parent.name
            text = _read(file)
            if text and text not in found.get(host, ""):
                found[host] = found.get(host, "") + text
    return found


def is_insecure(host: str, info: Mapping[str, Any]) -> bool:
    """Return True if Docker uses a registry without TLS, or without verifying it.

    Args:
        host: ``HOST[:PORT]``.
        info: what `docker info` shows.
    """
    settings = info.get("RegistryConfig") or {}
    if host in (settings.get("IndexConfigs") or {}):
        return not settings["IndexConfigs"][host].get("Secure", True)
    try:
        address = ipaddress.ip_address(host.rpartition(":")[0] or host)
    except ValueError:
        return False
    networks = settings.get("InsecureRegistryCIDRs") or []
    return any(address in ipaddress.ip_network(each) for each in networks)


def _folders(root: Path, home: Path) -> Iterator[Path]:
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    yield root / "etc/docker/certs.d"
    yield root / "etc/containers/certs.d"
    yield home / ".docker/certs.d"
    yield settings / "docker/certs.d"
    yield settings / "containers/certs.d"


def _read(file: Path) -> str:
    try:
        text = file.read_text(errors="replace").strip()
    except OSError:
        return ""
    return f"{text}\n" if _PEM in text else ""
