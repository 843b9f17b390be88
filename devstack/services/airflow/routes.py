"""Routes from the cluster's Gateway or Ingress controller to Airflow, if ``base_url`` is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstack.kube.api_errors import NotFoundError
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import GATEWAY, NETWORKING
from devstack.services.airflow import address
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest

_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_LABELS = {"app.kubernetes.io/name": "airflow", "app.kubernetes.io/part-of": "devstack"}
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Backend:
    """A Service behind a path.

    Attributes:
        name: name of the Service, and of its route.
        path: the path.
        port: the Service's port.
    """

    name: str
    path: str
    port: int


ALL_BACKENDS = [Backend("airflow-flower", "/", 5555), Backend("airflow", "/", 8080)]
"""Everything that may have a route, in order of deletion."""


@dataclass(frozen=True)
class Entry:
    """What routes requests from outside the cluster.

    Attributes:
        kind: ``HTTPRoute``, ``Ingress``, or empty if the cluster has neither.
        name: the Gateway as ``namespace/name``, or the IngressClass.
    """

    kind: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


def parse_entry(text: str) -> Entry:
    """Return the entry that was saved as text."""
    kind, _, name = text.partition(" ")
    return Entry(kind, name)


def find_entry(kube: KubeClient, settings: Mapping[str, Any], installation: Installation) -> Entry:
    """Return what the cluster has: a Gateway that accepts the route, or else an IngressClass.

    Args:
        kube: the cluster.
        settings: the table ``[airflow]`` of devstack.toml.
        installation: whose routes.
    """
    for gateway in _list(kube, GATEWAY, "Gateway"):
        if any(_accepts(each, gateway, settings, installation) for each in _listeners(gateway)):
            metadata = gateway["metadata"]
            return Entry("HTTPRoute", f"{metadata['namespace']}/{metadata['name']}")
    classes = _list(kube, NETWORKING, "IngressClass")
    # The default class first.
    classes.sort(key=lambda item: (not _is_default(item), item["metadata"]["name"]))
    return Entry("Ingress", classes[0]["metadata"]["name"]) if classes else Entry()


def backends(settings: Mapping[str, Any], *, flower: bool = False) -> list[Backend]:
    """Return the Services that ``base_url`` leads to; empty without ``base_url``.

    Args:
        settings: the table ``[airflow]`` of devstack.toml.
        flower: True if the installation has Flower.
    """
    if not address.public_url(settings):
        return []
    found = [Backend("airflow", address.path_prefix(settings) or "/", 8080)]
    if flower:
        found.append(Backend("airflow-flower", address.flower_prefix(settings), 5555))
    return found


def routes(
    settings: Mapping[str, Any], entry: Entry, installation: Installation, found: list[Backend]
) -> list[Manifest]:
    """Return the route of each Service.

    Args:
        settings: the table ``[airflow]`` of devstack.toml.
        entry: what routes the requests; no route is returned if it is empty.
        installation: whose routes.
        found: the Services.
    """
    make = {"HTTPRoute": _http_route, "Ingress": _ingress}.get(entry.kind)
    if make is None:
        return []
    return [
        {
            **make(settings, entry, backend),
            "metadata": {
                "name": backend.name,
                "namespace": installation.namespace,
                "labels": dict(_LABELS),
            },
        }
        for backend in found
    ]


def _http_route(settings: Mapping[str, Any], entry: Entry, backend: Backend) -> Manifest:
    namespace, _, name = entry.name.partition("/")
    parent = {
        "group": GATEWAY.partition("/")[0],
        "kind": "Gateway",
        "namespace": namespace,
        "name": name,
    }
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": backend.path}}],
        "backendRefs": [{"name": backend.name, "port": backend.port}],
    }
    host = address.host_name(settings)
    hosts = {"hostnames": [host]} if host else {}
    spec = {"parentRefs": [parent], **hosts, "rules": [rule]}
    return {"apiVersion": GATEWAY, "kind": "HTTPRoute", "spec": spec}


def _ingress(settings: Mapping[str, Any], entry: Entry, backend: Backend) -> Manifest:
    service = {"name": backend.name, "port": {"number": backend.port}}
    path = {"path": backend.path, "pathType": "Prefix", "backend": {"service": service}}
    host = address.host_name(settings)
    rule = {**({"host": host} if host else {}), "http": {"paths": [path]}}
    # Without a Secret, the controller's own certificate is used.
    tls = {"tls": [{"hosts": [host]}]} if host and address.is_https(settings) else {}
    spec = {"ingressClassName": entry.name, "rules": [rule], **tls}
    return {"apiVersion": NETWORKING, "kind": "Ingress", "spec": spec}


def _list(kube: KubeClient, api_version: str, kind: str) -> list[Object]:
    """Return all objects of a kind; empty if it is not served."""
    try:
        return kube.list_objects(api_version, kind)
    except NotFoundError:
        return []


def _listeners(gateway: Object) -> list[Object]:
    listeners: list[Object] = gateway["spec"].get("listeners") or []
    return [each for each in listeners if each.get("protocol") in ("HTTP", "HTTPS")]


def _accepts(
    listener: Object, gateway: Object, settings: Mapping[str, Any], installation: Installation
) -> bool:
    """Return True if a listener takes the route of this host, namespace and protocol."""
    https = listener["protocol"] == "HTTPS"
    if https and not address.is_https(settings):
        return False
    if not _hosts_match(listener.get("hostname") or "", address.host_name(settings)):
        return False
    allowed = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
    origin = str(allowed.get("from", "Same"))
    if origin == "Selector":
        labels: Object = (allowed.get("selector") or {}).get("matchLabels") or {}
        return labels == {_NAMESPACE_LABEL: installation.namespace}
    same = bool(gateway["metadata"]["namespace"] == installation.namespace)
    return origin == "All" or (origin == "Same" and same)


def _hosts_match(listener: str, host: str) -> bool:
    """Return True if a listener's host name covers the route's (Gateway API, Hostname)."""
    if not listener or not host:
        return True
    return host.endswith(listener[1:]) if listener.startswith("*.") else host == listener


def _is_default(item: Object) -> bool:
    return (item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
