"""Under which host and path Airflow's web server and Flower are reached: ``base_url``."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

FLOWER = "flower"
"""The part of the path that Flower has below the web server's."""


def path_prefix(settings: Mapping[str, Any]) -> str:
    """Return the path below which the web server serves, such as ``/airflow``; empty for none.

    It serves nothing else: probes and clients use this path on any port.

    Args:
        settings: the table ``[airflow]`` of devstack.toml.
    """
    return _split(settings).path.rstrip("/")


def flower_prefix(settings: Mapping[str, Any]) -> str:
    """Return the path below which Flower serves: empty without ``base_url``."""
    return f"{path_prefix(settings)}/{FLOWER}" if settings.get("base_url") else ""


def public_url(settings: Mapping[str, Any]) -> str:
    """Return ``base_url`` without a slash at its end; empty if it is not set."""
    return str(settings.get("base_url") or "").rstrip("/")


def host_name(settings: Mapping[str, Any]) -> str:
    """Return the host name of ``base_url``; empty for none, and for an IP address.

    Routes match host names only (Gateway API, Hostname; Ingress, rules.host).
    """
    name = _split(settings).hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name
    return ""


def is_https(settings: Mapping[str, Any]) -> bool:
    """Return True if ``base_url`` is served with TLS."""
    return _split(settings).scheme == "https"


def options(settings: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the options of airflow.cfg for ``base_url``, by section."""
    if not public_url(settings):
        return {}
    # The proxy in front passes on scheme and host of the user's request.
    return {"webserver": {"base_url": public_url(settings), "enable_proxy_fix": "True"}}


def _split(settings: Mapping[str, Any]) -> SplitResult:
    return urlsplit(public_url(settings))
