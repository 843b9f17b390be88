"""The proxies of this machine, without the addresses that only a cluster has."""

from __future__ import annotations

from collections.abc import Mapping

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")

CLUSTER_ADDRESSES = (
    "localhost",
    "127.0.0.1",
    "::1",
    # Names in the cluster: Services with their suffixes, and the peers of a gang.
    ".svc",
    ".local",
    # The Services' and pods' networks of kind and minikube.
    "10.96.0.0/12",
    "10.244.0.0/16",
)
"""What pods reach without a proxy."""


def read_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables that task pods get; none if this machine uses no proxy.

    Programs differ in whether they read upper or lower case, so pods get both.
    """
    found = {name: _either(variables, name) for name in _PROXIES}
    found = {name: value for name, value in found.items() if value}
    if not found:
        return {}
    own = [each.strip() for each in _either(variables, "no_proxy").split(",")]
    found["no_proxy"] = ",".join(dict.fromkeys([*filter(None, own), *CLUSTER_ADDRESSES]))
    return {**found, **{name.upper(): value for name, value in found.items()}}


def _either(variables: Mapping[str, str], name: str) -> str:
    return variables.get(name) or variables.get(name.upper()) or ""
