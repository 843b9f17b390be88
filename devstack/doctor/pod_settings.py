"""Checks of what pods see of this machine's network settings: proxies and certificates."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from typing import Any

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.doctor.engine import ask_nodes, find_engine, is_podman, require_all
from devstack.doctor.obtaining import find_unreachable
from devstack.kube.resources import CORE
from devstack.providers.base import HasEngine
from devstack.services.packages import authorities
from devstack.services.packages.machine import read_machine_settings
from devstack.services.packages.proxies import read_variables
from devstack.services.packages.service import FILES_SECRET, SECRET
from devstack.stack import Stack

PACKAGES = "packages"
"""The service that gives pods this machine's settings."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_NODE_ENVIRONMENT = "tr '\\0' '\\n' </proc/1/environ"
_UPDATE = "devstack up passes them on; pods that run keep what they have"
_RECREATE = "devstack down --keep-data, then devstack up: nodes get them when they are created"


def _proxies(stack: Stack) -> list[Finding]:
    own = read_variables(os.environ)
    found, silent = list(_loopback()), list[str]()
    if engine := find_engine(stack):
        found += _engine_proxies(stack, engine, own)
    if stack.is_up:
        found += _pod_proxies(stack, own)
        if engine and any(name in own for name in _PROXIES):
            answers, silent = ask_nodes(stack, _NODE_ENVIRONMENT)
            found += _node_proxies(answers)
    if not found:
        require_all(silent)
    return found


def _loopback() -> Iterator[Finding]:
    settings = read_machine_settings(os.environ)
    if settings.loopback:
        cause = f"pods cannot reach {' and '.join(settings.loopback)}, which proxy or index "
        cause += "settings of this machine name: there, loopback is the pod itself"
        remedy = "let it listen on an address of this machine, and name that one"
        yield Finding(cause, remedy, "PROXY_ON_LOOPBACK", "warning")


def _engine_proxies(stack: Stack, provider: HasEngine, own: Mapping[str, str]) -> list[Finding]:
    wanted = own.get("https_proxy") or own.get("all_proxy")
    info: Mapping[str, Any] = provider.describe_engine().info if wanted else {}
    # The engine needs none for mirrors inside of the company's network, or if nothing is pulled.
    if not wanted or info.get("HttpsProxy") or not (unreachable := find_unreachable(stack)):
        return []
    cause = "this machine uses a proxy for HTTPS, but the engine, which does not reach "
    cause += f"{', '.join(sorted(unreachable))} to pull images, does not"
    remedy = 'set "proxies" in the engine\'s daemon.json (or in the settings of its desktop '
    remedy += "application) and restart it"
    if is_podman(stack):
        remedy = "set HTTPS_PROXY for Podman's service: systemctl --user edit podman.service; "
        remedy += "without podman.socket it gets this machine's"
    return [Finding(cause, remedy, "PROXY_NOT_IN_ENGINE", "warning")]


def _pod_proxies(stack: Stack, own: Mapping[str, str]) -> list[Finding]:
    wanted = {name: own[name] for name in _PROXIES if name in own}
    found = []
    if _passes_settings(stack):
        seen = _secret(stack, SECRET)
        given = {name: seen[name] for name in _PROXIES if name in seen}
        if given != wanted:
            cause = f"pods have {_listed(given)}, but this machine has {_listed(wanted)}"
            found.append(Finding(cause, _UPDATE, "PROXY_NOT_IN_PODS", "warning"))
    elif wanted:
        cause = f"pods do not have this machine's {_listed(wanted)}: the stack leaves out packages"
        remedy = "devstack up --with packages"
        found.append(Finding(cause, remedy, "PROXY_NOT_IN_PODS", "warning"))
    return found


def _node_proxies(answers: Mapping[str, str]) -> list[Finding]:
    without = sorted(node for node, text in answers.items() if "_proxy=" not in text.lower())
    if not without:
        return []
    cause = f"{', '.join(without)} pulls images without this machine's proxy: it was set later"
    return [Finding(cause, _RECREATE, "PROXY_NOT_ON_NODES", "warning")]


def _listed(proxies: Mapping[str, str]) -> str:
    """Return the names only: values may contain passwords."""
    return ", ".join(sorted(proxies)) or "no proxy"


def _certificates(stack: Stack) -> list[Finding]:
    own = read_machine_settings(os.environ).files.get(authorities.FILE, "")
    if not _passes_settings(stack):
        if not own:
            return []
        cause = "this machine trusts private certificate authorities that pods do not: "
        cause += "the stack leaves out packages"
        remedy = "devstack up --with packages"
        return [Finding(cause, remedy, "CERTIFICATES_NOT_IN_PODS", "warning")]
    seen = _secret(stack, FILES_SECRET).get(authorities.FILE, "")
    if seen == own:
        return []
    cause = "the certificate authorities that pods trust are not those of this machine any more"
    return [Finding(cause, _UPDATE, "CERTIFICATES_NOT_IN_PODS", "warning")]


def _passes_settings(stack: Stack) -> bool:
    return any(each.name == PACKAGES for each in stack.services)


def _secret(stack: Stack, name: str) -> dict[str, str]:
    """Return the values of a Secret of task pods."""
    found = stack.kube(REQUEST_TIMEOUT).find(CORE, "Secret", name, stack.state.namespace)
    if found is None:
        raise NotApplicableError(f"Secret {name} is missing")  # reported by the check of Secrets
    data = found.get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


POD_SETTINGS_CHECKS = (
    Check(
        "proxies",
        "engine, nodes and pods use this machine's proxies",
        _proxies,
        (
            Fault(
                "PROXY_ON_LOOPBACK",
                "A proxy or package index on loopback, which pods cannot reach.",
                "Let it listen on an address of this machine, and name that one.",
                "warning",
            ),
            Fault(
                "PROXY_NOT_IN_ENGINE",
                "The engine does not reach a registry; it has no proxy, but this machine has one.",
                "Set `proxies` in the engine's daemon.json, and restart it.",
                "warning",
            ),
            Fault(
                "PROXY_NOT_IN_PODS",
                "The proxy variables of this shell are not those that pods have.",
                "`devstack up` passes them on (service `packages`).",
                "warning",
            ),
            Fault(
                "PROXY_NOT_ON_NODES",
                "The nodes were created without the proxy, so they cannot pull users' images.",
                "`devstack down --keep-data`, then `devstack up`.",
                "warning",
            ),
        ),
    ),
    Check(
        "pod-certificates",
        "pods trust the certificate authorities of this machine",
        _certificates,
        (
            Fault(
                "CERTIFICATES_NOT_IN_PODS",
                "This machine trusts private authorities, such as a company proxy's, that pods "
                "do not: downloads in pods fail with TLS errors.",
                "`devstack up` passes them on (service `packages`).",
                "warning",
            ),
        ),
        needs_stack=True,
    ),
)
