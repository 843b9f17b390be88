"""A provider whose nodes have any size, and change while the cluster runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devstack.kube.pool_nodes import build_node, is_starting
from devstack.pools.nodes import NodeSpec
from devstack.providers.base import ClusterSpec, RealSize
from tests.fakes.api import FakeApi
from tests.fakes.stack import FakeLoadingProvider

GIB = 1024**3


class FakePoolProvider(FakeLoadingProvider):
    """Nodes are objects of a fake API; those that were killed are not ready."""

    def __init__(self, api: FakeApi) -> None:
        super().__init__()
        self.api = api
        self.real = RealSize(2, 24 * GIB, 22 * GIB, 100 * GIB)
        self.made: dict[str, NodeSpec] = {}

    def ensure(self, spec: ClusterSpec) -> str:
        """Create a cluster with all its nodes."""
        text = super().ensure(spec)
        self.ensure_nodes(spec, self.nodes_by_name(spec))
        return text

    def nodes_by_name(self, spec: ClusterSpec) -> dict[str, NodeSpec]:
        """Return the control plane and the nodes of pools."""
        cluster = f"devstack-{spec.name}"
        found = {f"{cluster}-control-plane": spec.base_node}
        for node in spec.pool_nodes:
            index = sum(each.pool == node.pool for each in found.values())
            found[f"{cluster}-{node.pool}-{index}"] = node
        return found

    def existing_nodes(self) -> dict[str, NodeSpec | None]:
        """Return the nodes that were made."""
        return dict(self.made)

    def ensure_nodes(self, spec: ClusterSpec, nodes: Mapping[str, NodeSpec]) -> None:
        """Add Ready nodes to the API."""
        for name, node in nodes.items():
            self._record(f"ensure {name}")
            self.made[name] = node
            self._put(name, ready=True)

    def limit_nodes(self, names: Sequence[str]) -> None:
        """Record the nodes, which do not take pods yet."""
        for name in names:
            self._record(f"limit {name}")
            assert is_starting(self.api.objects[f"/api/v1/nodes/{name}"])

    def remove_node(self, name: str) -> None:
        """Remove a node."""
        self._record(f"remove {name}")
        del self.made[name]
        del self.api.objects[f"/api/v1/nodes/{name}"]

    def kill_node(self, name: str) -> None:
        """Stop a node."""
        self._record(f"kill {name}")
        self._put(name, ready=False)

    def restore_node(self, name: str) -> None:
        """Start a node."""
        self._record(f"restore {name}")
        self._put(name, ready=True)

    def real_size(self) -> RealSize:
        """Return the size set."""
        return self.real

    def _put(self, name: str, *, ready: bool) -> None:
        node = build_node(name, self.made[name])
        if name.endswith("control-plane"):
            node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = ""
        node["status"]["capacity"] = node["status"]["allocatable"]
        node["status"]["conditions"] = [{"type": "Ready", "status": "True" if ready else "False"}]
        existing = self.api.objects.pop(f"/api/v1/nodes/{name}", None)
        # A kubelet that has registered its node once writes the status only.
        self.api.add({**existing, "status": node["status"]} if existing else node)
