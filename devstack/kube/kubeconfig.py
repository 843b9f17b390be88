"""Kubeconfigs as text: parse one, select a context, build one for a stack.

The user's own kubeconfig is only read.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devstack.errors import DevstackError, ExitStatus

Config = dict[str, Any]
"""A kubeconfig as decoded YAML."""

_LISTS = ("clusters", "users", "contexts")


@dataclass(frozen=True)
class ClientConfig:
    """How one context of a kubeconfig reaches its API server.

    Attributes:
        context: the context's name.
        server: the URL of the API server.
        namespace: the context's own namespace; "default" if it names none.
        ca: certificate authority, PEM; None for the system's.
        certificate: client certificate, PEM, or None.
        key: its private key, PEM, or None.
        token: bearer token, or "".
        server_name: the name expected in the server's certificate, or "".
        insecure: True to not verify the server's certificate.
        login: the ``exec`` entry of a user that logs in by a program, or None.
    """

    context: str
    server: str
    namespace: str = "default"
    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    token: str = ""
    server_name: str = ""
    insecure: bool = False
    login: Mapping[str, Any] | None = None


def parse(text: str) -> Config:
    """Return the kubeconfig in ``text``.

    Raises:
        DevstackError: ``KUBECONFIG_BROKEN`` if it is invalid.
    """
    try:
        config = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise broken(str(error)) from error
    if not isinstance(config, dict):
        raise broken("it is not a mapping")
    for name in _LISTS:
        _check_entries(name, config.setdefault(name, []) or [])
        config[name] = config[name] or []
    return config


def client_config(config: Config, context: str | None = None) -> ClientConfig:
    """Return how ``context`` (the current one if None) reaches its API server.

    Raises:
        DevstackError: ``CONTEXT_UNKNOWN`` or ``KUBECONFIG_BROKEN``.
    """
    chosen = _context(config, context)
    cluster = _entry(config, "clusters", chosen["context"].get("cluster", ""))["cluster"]
    user = _entry(config, "users", chosen["context"].get("user", ""))["user"]
    if not cluster.get("server"):
        raise broken(f"cluster of context {chosen['name']!r} has no server")
    return ClientConfig(
        context=chosen["name"],
        server=cluster["server"].rstrip("/"),
        namespace=chosen["context"].get("namespace") or "default",
        ca=_material(cluster, "certificate-authority"),
        certificate=_material(user, "client-certificate"),
        key=_material(user, "client-key"),
        token=_token(user),
        server_name=cluster.get("tls-server-name", ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
        login=user.get("exec"),
    )


def with_token(config: Config, *, name: str, namespace: str, token: str) -> str:
    """Return a kubeconfig for the same cluster with another identity, as text.

    Args:
        config: the administrator's kubeconfig; its current context is used.
        name: name of the new context, cluster and user.
        namespace: the namespace of the new context.
        token: the bearer token of the new identity.
    """
    used = _context(config, None)["context"].get("cluster", "")
    cluster = _entry(config, "clusters", used)["cluster"]
    context = {"cluster": name, "user": name, "namespace": namespace}
    built = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
    }
    return yaml.safe_dump(built, sort_keys=False)


def _context(config: Config, wanted: str | None) -> Config:
    name = wanted or config.get("current-context", "")
    names = [entry["name"] for entry in config["contexts"]]
    if name in names:
        return _entry(config, "contexts", name)
    raise DevstackError(
        f"cannot find context {name!r} in the kubeconfig" if name else "cannot select a context",
        cause=f"it has {', '.join(sorted(names))}" if names else "the kubeconfig has no context",
        remedy="name one of them with --context, or run `kubectl config get-contexts`",
        code="CONTEXT_UNKNOWN",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _entry(config: Config, kind: str, name: str) -> Config:
    for entry in config[kind]:
        if entry["name"] == name:
            return {"name": name, kind[:-1]: entry.get(kind[:-1]) or {}}
    raise broken(f"it names {kind[:-1]} {name!r}, which it does not define")


def _material(section: Mapping[str, Any], key: str) -> bytes | None:
    data = section.get(f"{key}-data")
    if data:
        try:
            return base64.b64decode(data, validate=True)
        except ValueError as error:
            raise broken(f"{key}-data is not base64") from error
    return _file(section[key]) if section.get(key) else None


def _token(user: Mapping[str, Any]) -> str:
    if user.get("token"):
        return str(user["token"])
    return _file(user["tokenFile"]).decode().strip() if user.get("tokenFile") else ""


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise broken(f"{path}: {error.strerror}") from error


def _check_entries(kind: str, entries: object) -> None:
    if not isinstance(entries, list):
        raise broken(f"{kind} is not a list")
    if not all(isinstance(entry, dict) and "name" in entry for entry in entries):
        raise broken(f"an entry of {kind} has no name")


def broken(cause: str) -> DevstackError:
    """Return the error for a kubeconfig that cannot be used."""
    return DevstackError(
        "cannot use the kubeconfig",
        cause=cause,
        remedy="check it with `kubectl config view`",
        code="KUBECONFIG_BROKEN",
        exit_status=ExitStatus.ENVIRONMENT,
    )
