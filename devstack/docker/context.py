"""The engine of Docker's current context, which the SDK does not choose by itself.

kind and the ``docker`` command use it, so everything else must: with Docker Desktop, colima or a
rootless engine there may be nothing at the default address.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devstack.errors import DevstackError, ExitStatus

TIMEOUT = 60
"""Seconds for one request."""

DEFAULT_HOST = "unix:///var/run/docker.sock"


def connect() -> Any:
    """Return the SDK's client of the engine that the ``docker`` command uses.

    Raises:
        DevstackError: ``DOCKER_CONTEXT_UNKNOWN``.
    """
    import docker

    name = current_context()
    if name == "default":
        return docker.from_env(timeout=TIMEOUT)
    endpoint = _endpoint(name)
    if not endpoint.get("Host"):
        raise DevstackError(
            f"there is no Docker context {name!r}",
            cause="DOCKER_CONTEXT names it" if "DOCKER_CONTEXT" in os.environ else "it is current",
            remedy="`docker context ls` shows those that exist; `docker context use NAME` or"
            " DOCKER_CONTEXT selects one",
            code="DOCKER_CONTEXT_UNKNOWN",
            exit_status=ExitStatus.ENVIRONMENT,
        )
    host = str(endpoint["Host"])
    return docker.DockerClient(
        base_url=host,
        tls=_tls(name, verify=not endpoint.get("SkipTLSVerify")),
        timeout=TIMEOUT,
        use_ssh_client=host.startswith("ssh:"),
    )


def current_context() -> str:
    """Return the name of the context that the ``docker`` command uses.

    Source: ``resolveContextName`` in docker/cli: DOCKER_HOST, DOCKER_CONTEXT, then the
    configuration file.
    """
    if os.environ.get("DOCKER_HOST"):
        return "default"
    if name := os.environ.get("DOCKER_CONTEXT"):
        return name
    try:
        configured = json.loads((_folder() / "config.json").read_text())
        return str(configured.get("currentContext") or "default")
    except (OSError, ValueError, AttributeError):
        return "default"


def current_host() -> str:
    """Return the address of the engine that the ``docker`` command uses; empty if unknown."""
    name = current_context()
    if name == "default":
        return os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    return str(_endpoint(name).get("Host", ""))


def current_source() -> str:
    """Return the address of the engine that the ``docker`` command uses, and what names it."""
    name = current_context()
    if name == "default":
        host = os.environ.get("DOCKER_HOST")
        return f"DOCKER_HOST is {host}" if host else f"at {DEFAULT_HOST}"
    named = "DOCKER_CONTEXT is" if "DOCKER_CONTEXT" in os.environ else "the current context is"
    return f"{named} {name}, at {current_host()}"


def contexts() -> dict[str, str]:
    """Return the address of each context that is configured, by its name."""
    found = {}
    for file in sorted((_folder() / "contexts" / "meta").glob("*/meta.json")):
        try:
            described = json.loads(file.read_text())
            found[str(described["Name"])] = str(described["Endpoints"]["docker"]["Host"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


@contextmanager
def configuration_without_proxies() -> Iterator[dict[str, str]]:
    """Yield variables for ``docker`` commands that create containers without the user's proxies.

    The client adds "proxies" of its configuration to the variables of each container. Source:
    ``runCreate`` and ``ParseProxyConfig`` in docker/cli. Contexts and certificates stay.
    """
    with tempfile.TemporaryDirectory(prefix="devstack-docker-") as name:
        folder, own = Path(name), _folder()
        (folder / "config.json").write_text(json.dumps({"currentContext": current_context()}))
        for each in own.iterdir() if own.is_dir() else ():
            if each.name != "config.json":
                (folder / each.name).symlink_to(each.absolute())
        yield {"DOCKER_CONFIG": name}


def _folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _endpoint(name: str) -> dict[str, Any]:
    """Return a context's engine; the SDK finds it only if there is a config.json, too."""
    file = _folder() / "contexts" / "meta" / _key(name) / "meta.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text())["Endpoints"]["docker"]
        return found
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _tls(name: str, *, verify: bool) -> Any:
    """Return the certificates of a context, or None."""
    import docker

    folder = _folder() / "contexts" / "tls" / _key(name) / "docker"
    ca, cert, key = (folder / each for each in ("ca.pem", "cert.pem", "key.pem"))
    if not folder.is_dir():
        return None
    return docker.tls.TLSConfig(
        client_cert=(str(cert), str(key)) if cert.exists() and key.exists() else None,
        ca_cert=str(ca) if ca.exists() else None,
        verify=verify,
    )


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
