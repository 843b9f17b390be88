"""Enforcement of network policies on the nodes that the provider creates."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import is_ready
from devstack.kube.readiness import observe_daemon_set
from devstack.kube.resources import APPS
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "network-policies"

UNSUPPORTED_ANNOTATION = "devstack.dev/network-policies-unsupported"
"""The reason why the node of a pod enforces nothing; its program sets it."""


class Enforcer(str, Enum):
    """What enforces network policies in a cluster."""

    DEVSTACK = "devstack"
    KINDNET = "kindnet"
    """The network plug-in of kind's node images, since kind 0.24."""

    CLUSTER = "cluster"
    """The cluster's network plug-in, if anything: the nodes are not devstack's."""


class NetworkPoliciesService(Service):
    """A program on each node that decides which connections of pods are allowed."""

    name = "network-policies"
    about = "enforces NetworkPolicy objects"
    optional = True
    own_nodes_only = True
    images = ("network-policies",)

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True if the state records already what enforces policies."""
        return self.name in ctx.state.capabilities

    def adapt(self, ctx: ServiceContext) -> str:
        """Detect kindnet, which enforces policies itself."""
        kindnet = ctx.api.find(APPS, "DaemonSet", "kindnet", "kube-system")
        enforcer = Enforcer.KINDNET if kindnet else Enforcer.DEVSTACK
        ctx.state.capabilities[self.name] = enforcer.value
        return ""

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/network-policies; none if something else enforces them."""
        return super().manifests(ctx) if _enforcer(ctx) is Enforcer.DEVSTACK else []

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether each node enforces policies, or has recorded that its kernel cannot."""
        if _enforcer(ctx) is not Enforcer.DEVSTACK:
            return Ready()
        nodes = ctx.api.list_objects("v1", "Node")
        return observe_daemon_set(ctx.api, NAMESPACE, self.name, nodes)

    def describe(self, ctx: ServiceContext) -> str:
        """Return what enforces policies instead, or why nothing does."""
        enforcer = _enforcer(ctx)
        if enforcer is Enforcer.DEVSTACK and (nodes := nodes_that_cannot(ctx.api)):
            return f"the kernel of {', '.join(nodes)} cannot enforce network policies"
        return {
            Enforcer.DEVSTACK: "",
            Enforcer.KINDNET: "off: kindnet enforces network policies",
            Enforcer.CLUSTER: "off: only the cluster's own network plug-in can enforce them",
        }[enforcer]


def observe_enforced(kube: KubeClient, names: Collection[str]) -> Observation:
    """Return Ready if nodes enforce policies, cannot, or are not meant to.

    Args:
        kube: reads the pods of the service.
        names: the nodes.
    """
    if kube.find(APPS, "DaemonSet", NetworkPoliciesService.name, NAMESPACE) is None:
        return Ready()
    pods = kube.list_objects("v1", "Pod", NAMESPACE)
    done = {pod["spec"].get("nodeName") for pod in pods if is_ready(pod) or _is_unsupported(pod)}
    missing = sorted(set(names) - done)
    return Waiting(f"{', '.join(missing)} enforces none yet") if missing else Ready()


def _enforcer(ctx: ServiceContext) -> Enforcer:
    if not ctx.has_pools:
        return Enforcer.CLUSTER
    known = ctx.state.capabilities.get(NetworkPoliciesService.name, Enforcer.DEVSTACK)
    return Enforcer(known)


def nodes_that_cannot(api: KubeClient) -> list[str]:
    """Return the names of the nodes whose kernel cannot enforce network policies."""
    pods = api.list_objects("v1", "Pod", NAMESPACE)
    return sorted(pod["spec"]["nodeName"] for pod in pods if _is_unsupported(pod))


def _is_unsupported(pod: Object) -> bool:
    return UNSUPPORTED_ANNOTATION in (pod["metadata"].get("annotations") or {})
