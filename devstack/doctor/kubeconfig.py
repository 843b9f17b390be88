"""The check of the stack's kubeconfigs: certificates that expire, tokens that are refused."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from devstack.doctor.check import (
    BY_DEGREE,
    REQUEST_TIMEOUT,
    Check,
    Fault,
    Finding,
    NotApplicableError,
)
from devstack.errors import DevstackError
from devstack.kube import kubeconfig
from devstack.kube.api_errors import UnauthorizedError
from devstack.kube.client import KubeClient
from devstack.kube.kubeconfig import ClientConfig
from devstack.kube.resources import CORE
from devstack.stack import Stack

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON = timedelta(days=14)
BROKEN = "KUBECONFIG_BROKEN"
_RENEW = "devstack down --keep-data, then devstack up: the new cluster has new certificates"


def _kubeconfig(stack: Stack) -> list[Finding]:
    found: list[Finding] = []
    for file, remedy in (
        (stack.dir.admin_kubeconfig, "devstack down, then devstack up"),
        (stack.dir.kubeconfig, "devstack up writes it again"),
    ):
        if not file.exists():
            raise NotApplicableError(f"{file} is missing")  # reported by the check of files
        try:
            found += _of_file(stack, file)
        except (DevstackError, ValueError) as error:
            code = getattr(error, "code", BROKEN)
            if code not in (BROKEN, "CONTEXT_UNKNOWN"):
                raise
            cause = f"{file} is damaged: {getattr(error, 'cause', '') or error}"
            return [Finding(cause, remedy, code)]
    return found


def _of_file(stack: Stack, file: Path) -> list[Finding]:
    text = file.read_text(errors="replace")
    if file == stack.dir.kubeconfig:
        return _token(stack, text)
    config = kubeconfig.client_config(kubeconfig.parse(text))
    return _certificates(config) if stack.provider.owns_cluster else []


def _certificates(config: ClientConfig) -> list[Finding]:
    found = []
    for what, pem in (
        ("the administrator's certificate", config.certificate),
        ("the API server's certificate", _served(config)),
    ):
        if pem:
            found += _judge(what, _load(pem), datetime.now(timezone.utc))
    return found


def _load(pem: bytes) -> Certificate:
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem)


def _served(config: ClientConfig) -> bytes | None:
    """Return the certificate that the API server presents; None if it does not respond."""
    address = urlsplit(config.server)
    if address.scheme != "https":
        return None
    place = (address.hostname or "", address.port or 443)
    try:
        return ssl.get_server_certificate(place, timeout=REQUEST_TIMEOUT).encode()
    except OSError:
        return None  # reported by the check of the API


def _judge(what: str, certificate: Certificate, now: datetime) -> list[Finding]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        remedy = "set this machine's clock, and restart the engine's virtual machine"
        return [Finding(f"{what} is valid only from {start}", remedy, "CERTIFICATE_EXPIRED")]
    if now >= end:
        return [Finding(f"{what} expired at {end}", _RENEW, "CERTIFICATE_EXPIRED")]
    if end - now < SOON:
        return [Finding(f"{what} expires at {end}", _RENEW, "CERTIFICATE_EXPIRED", "warning")]
    return []


def _token(stack: Stack, text: str) -> list[Finding]:
    """Return a finding if the API refuses the identity that flows have."""
    client = KubeClient.from_kubeconfig(text, timeout=REQUEST_TIMEOUT)
    try:
        client.list_objects(CORE, "Pod", stack.state.namespace)
    except UnauthorizedError:
        cause = "the API refuses the token of flows: it was revoked, or is another cluster's"
        return [Finding(cause, "devstack up writes a new one", "TOKEN_REJECTED")]
    return []


KUBECONFIG_CHECKS = (
    Check(
        "kubeconfig",
        "the kubeconfigs' certificates and tokens are valid",
        _kubeconfig,
        (
            Fault(
                "CERTIFICATE_EXPIRED",
                "A certificate of the cluster has expired or does so soon (kubeadm's are valid "
                "for a year), or is not valid yet, as a clock is wrong.",
                "`devstack down --keep-data`, then `devstack up`.",
                BY_DEGREE,
            ),
            Fault(
                BROKEN,
                "A kubeconfig of the stack was damaged.",
                "The flows' is written again by `devstack up`; without the administrator's, "
                "`devstack down` and `up`.",
            ),
            Fault(
                "TOKEN_REJECTED",
                "The API server refuses the token with which flows are run.",
                "`devstack up` writes a new one.",
            ),
        ),
        needs_stack=True,
    ),
)
