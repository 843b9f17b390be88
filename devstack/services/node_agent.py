"""The node agent: GPUs and other devices of nodes, and their instance metadata."""

from __future__ import annotations

from devstack.kube.client import Object
from devstack.kube.pool_nodes import missing_devices
from devstack.kube.readiness import observe_daemon_set
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "node-agent"


class NodeAgentService(Service):
    """A device plugin and a metadata service on each node that the provider creates.

    Other clusters' nodes have device plugins and metadata services of their own, or none.
    """

    name = "node-agent"
    about = "GPUs of nodes, EC2 instance metadata, notices of spot interruptions"
    own_nodes_only = True
    images = ("node-agent",)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/node-agent; none if the nodes are not devstack's."""
        return super().manifests(ctx) if ctx.has_pools else []

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the nodes offer the devices that their pools have."""
        if not ctx.has_pools:
            return Ready()
        nodes = ctx.api.list_objects("v1", "Node")
        observation = observe_daemon_set(ctx.api, NAMESPACE, "node-agent", nodes)
        return _observe_devices(nodes) if isinstance(observation, Ready) else observation

    def describe(self, ctx: ServiceContext) -> str:
        """Return why it is off."""
        return "" if ctx.has_pools else "off: the nodes are as the cluster has them"


def _observe_devices(nodes: list[Object]) -> Observation:
    for node in nodes:
        if missing := missing_devices(node):
            return Waiting(f"node {node['metadata']['name']} does not offer its {missing} yet")
    return Ready()
