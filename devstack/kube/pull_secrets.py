"""The Secret with which the kubelet logs in to registries."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from devstack.kube.client import Object

NAME = "devstack-registries"
_KEY = ".dockerconfigjson"  # the API's name


def build_pull_secret(namespace: str, logins: Mapping[str, tuple[str, str]]) -> Object:
    """Return the Secret.

    Args:
        namespace: that of the pods that pull.
        logins: names and passwords by the registries in the names of images.
    """
    entries = {
        registry: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
        for registry, (user, password) in sorted(logins.items())
    }
    content = json.dumps({"auths": entries}).encode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "devstack"},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": {_KEY: base64.b64encode(content).decode()},
    }


def registries_of(secret: Object) -> list[str]:
    """Return the registries that a Secret has logins for."""
    content = base64.b64decode(secret.get("data", {}).get(_KEY, "")) or b"{}"
    return sorted(json.loads(content).get("auths", {}))
