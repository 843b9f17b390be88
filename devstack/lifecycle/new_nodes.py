"""What a new node needs before pods may be placed on it: images, and where the registry is.

Nodes join with a taint that is removed once they have it. So whatever was interrupted, a node
with the taint is one that is not finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from devstack.errors import DevstackError
from devstack.kube.client import KubeClient, Object
from devstack.kube.drain import delete_pod
from devstack.kube.pool_nodes import STARTING_TAINT, is_starting, remove_taint
from devstack.lifecycle.added_images import supply_added_images
from devstack.lifecycle.registries_step import configure_registries
from devstack.lifecycle.step import Step
from devstack.parallel import in_parallel
from devstack.pools.nodes import NodeSpec
from devstack.pools.settings import BASE_POOL
from devstack.providers.base import HasPools, LoadsImages
from devstack.services.network_policies import observe_enforced
from devstack.stack import Stack
from devstack.waits import wait_until

POLICIES_TIMEOUT = 10.0
"""Seconds that a new node waits at most for its pod of `network-policies`."""

_NOT_PULLED = ("ErrImagePull", "ImagePullBackOff")


def new_nodes_steps(stack: Stack) -> list[Step]:
    """Return the step that lets pods run on new nodes; empty if the stack has no pools."""
    if not isinstance(stack.provider, HasPools) or not stack.largest_cluster.pool_nodes:
        return []
    return [
        Step(
            "new-nodes",
            "Let pods run on new nodes",
            is_done=lambda: not _starting(stack),
            ensure=lambda: finish_nodes(stack, _starting(stack)),
            needs_api=True,
        )
    ]


def as_starting(specs: Mapping[str, NodeSpec]) -> dict[str, NodeSpec]:
    """Return what nodes are to be when they join; those that have joined do not change by it."""
    return {
        name: spec
        if spec.pool == BASE_POOL
        else replace(spec, taints=(*spec.taints, STARTING_TAINT))
        for name, spec in specs.items()
    }


def finish_nodes(stack: Stack, names: Sequence[str]) -> None:
    """Give new nodes what pods need, then let pods be placed on them."""
    load_missing_images(stack)
    supply_added_images(stack)
    configure_registries(stack)
    if isinstance(stack.provider, HasPools):
        stack.provider.limit_nodes(names)
    kube = stack.kube()

    in_parallel(lambda name: _restart_unpulled(kube, name), names)
    _wait_for_network_policies(stack, kube, names)
    in_parallel(lambda name: remove_taint(kube, name, STARTING_TAINT), names)


def _wait_for_network_policies(stack: Stack, kube: KubeClient, names: Sequence[str]) -> None:
    """Wait until nodes enforce network policies, but not for long.

    What a pod connects to before, it stays connected to. A node that enforces none for another
    reason still takes pods, as one does whose program ends later.
    """
    try:
        wait_until(
            lambda: observe_enforced(kube, names),
            what="new nodes to enforce network policies",
            timeout=POLICIES_TIMEOUT,
            clock=stack.clock,
        )
    except DevstackError as error:
        if error.code != "WAIT_TIMEOUT":
            raise


def load_missing_images(stack: Stack) -> None:
    """Load those of the stack's images that a node lacks."""
    provider = stack.provider
    if isinstance(provider, LoadsImages):
        present = provider.images_present(stack.cluster)
        missing = [ref for ref in stack.state.images.values() if ref not in present]
        if missing:
            provider.load_images(stack.cluster, missing, stack.progress.note)


def _starting(stack: Stack) -> list[str]:
    nodes = stack.kube().list_objects("v1", "Node")
    return [node["metadata"]["name"] for node in nodes if is_starting(node)]


def _restart_unpulled(kube: KubeClient, node: str) -> None:
    """Replace the pods of DaemonSets that came before their images: the kubelet backs off."""
    for pod in kube.list_objects("v1", "Pod", fields=f"spec.nodeName={node}"):
        if _is_unpulled(pod):
            delete_pod(kube, pod, 0)


def _is_unpulled(pod: Object) -> bool:
    status = pod.get("status", {})
    found = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    states = [each.get("state", {}).get("waiting", {}) for each in found]
    return any(each.get("reason") in _NOT_PULLED for each in states)
