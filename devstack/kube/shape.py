"""What a stack says of its cluster's size, in a ConfigMap beside the nodes.

The nodes of the API show what the cluster offers now. They do not show what the machine really
has, nor the nodes that a pool adds when pods need them. Both are here, as the status of
Kubernetes' cluster autoscaler, which is a ConfigMap of the same namespace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.pod_requests import format_amount

NAMESPACE, NAME = "kube-system", "devstack-shape"
_KEY = "shape.json"


@dataclass(frozen=True)
class Shape:
    """What the nodes of the API do not show.

    Attributes:
        has_pools: True if devstack.toml can give the cluster further nodes.
        cpus: CPUs of the machine that runs all nodes; 0 if unknown.
        memory: bytes of memory that the machine has; 0 if unknown.
        addable: nodes that pools add when pods need them, by name, as the API will have them.
        memory_limit: bytes of that memory that the pods of one node may use; 0 if unknown.
        pool_file: the settings file that names the pools; empty if it is devstack.toml.
        unwritten: the pools that no file names but --pool, as tables of a file.
    """

    has_pools: bool = False
    cpus: int = 0
    memory: int = 0
    addable: Mapping[str, Object] = field(default_factory=dict)
    memory_limit: int = 0
    pool_file: str = ""
    unwritten: Sequence[str] = ()

    @property
    def real(self) -> str:
        """The machine's real size as a clause; empty if unknown."""
        if not self.cpus:
            return ""
        memory = format_amount("memory", Decimal(self.memory))
        text = f"the machine that runs all nodes really has {self.cpus} CPUs and {memory}"
        limit = format_amount("memory", Decimal(self.memory_limit))
        return f"{text}, of which pods may use {limit}" if self.memory_limit else text


def read_shape(client: KubeClient) -> Shape:
    """Return what the stack says; an empty shape if it says nothing, or the account may not read.

    Raises:
        UnreachableError: the API does not answer.
    """
    try:
        found = client.find("v1", "ConfigMap", NAME, NAMESPACE)
        return Shape(**json.loads(found["data"][_KEY])) if found else Shape()
    except (ApiError, KeyError, ValueError, TypeError):
        return Shape()


def build_shape(shape: Shape) -> Object:
    """Return the ConfigMap of a shape."""
    content: dict[str, Any] = {
        "has_pools": shape.has_pools,
        "cpus": shape.cpus,
        "memory": shape.memory,
        "addable": dict(shape.addable),
        "memory_limit": shape.memory_limit,
        "pool_file": shape.pool_file,
        "unwritten": list(shape.unwritten),
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/part-of": "devstack"},
        },
        "data": {_KEY: json.dumps(content, sort_keys=True)},
    }
