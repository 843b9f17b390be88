"""What nodes offer to tasks, whether or not other tasks use it now, and what a pod lacks there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from devstack.kube.api_errors import ApiError
from devstack.kube.capacity import NodeCapacity, measure_capacity, node_capacity, node_requests
from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import JOB_NAME
from devstack.kube.node_selection import label_mismatches, untolerated_taints
from devstack.kube.pod_requests import Amounts, format_amount
from devstack.kube.pool_nodes import annotated_devices, is_starting
from devstack.kube.shape import Shape, read_shape
from devstack.pools.nodes import POOL_LABEL
from devstack.pools.taints import is_taint_of_state

_CORDONED, _STARTING, _NOT_READY = "cordoned", "starting", "not ready"
_ADDABLE = "not added yet"


@dataclass(frozen=True)
class Offers:
    """What the cluster offers.

    Attributes:
        nodes: the nodes as if no task ran and all were ready, then those that pools may add.
        shape: what the stack says of the cluster's size.
        later: why a node takes no pods now, by name: it is "cordoned", "starting", "not ready",
            or "not added yet".
        tasks: the pods that hold resources of a node until they end by themselves.
    """

    nodes: Sequence[NodeCapacity]
    shape: Shape
    later: Mapping[str, str] = field(default_factory=dict)
    tasks: Sequence[Object] = ()

    def may_come(self, pod: Object) -> str:
        """Return a node that has room for the pod as soon as it is ready; empty if none.

        A node that becomes ready by itself is preferred to one that is cordoned.
        """
        names = [
            node.name
            for node in self.nodes
            if node.name in self.later and shortfall(pod, node).nothing
        ]
        return min(names, key=self.is_cordoned, default="")

    def is_cordoned(self, name: str) -> bool:
        """Return True for a node that takes no pods until someone uncordons it."""
        return self.later.get(name) == _CORDONED

    def uncordon_command(self, name: str) -> str:
        """Return the command that lets a node take pods again."""
        command = "devstack node restore" if self.shape.has_pools else "kubectl uncordon"
        return f"{command} {name}"

    def fits_now(self, pod: Object) -> bool:
        """Return True if a node that is ready has room for the pod, but for other tasks."""
        ready = (node for node in self.nodes if node.name not in self.later)
        return any(shortfall(pod, node).nothing for node in ready)


@dataclass(frozen=True)
class Shortfall:
    """What a pod lacks on a node, however long it waits.

    Attributes:
        node: the node.
        labels: the labels that the node does not have, as phrases.
        taints: the taints that the pod does not tolerate.
        resources: how much of each resource the node offers, of those that are too little.
    """

    node: NodeCapacity
    labels: Sequence[str]
    taints: Sequence[str]
    resources: Amounts

    @property
    def nothing(self) -> bool:
        """True if the pod lacks nothing."""
        return not (self.labels or self.taints or self.resources)

    @property
    def pool(self) -> str:
        """The node's pool; empty if it is of none."""
        return pool_of(self.node.node)

    def sentence(self, requests: Amounts) -> str:
        """Return what is missing as text: "it offers 4 cpu (16 requested), ..."."""
        parts = [
            f"offers {format_amount(name, max(Decimal(0), offered))} {name}"
            f" ({format_amount(name, requests.get(name, Decimal(1)))} requested)"
            for name, offered in sorted(self.resources.items())
        ]
        parts += self.labels
        parts += [f"has the taint {each}, which the pod does not tolerate" for each in self.taints]
        return ", ".join(parts)


def measure_offers(client: KubeClient) -> Offers | None:
    """Return what the cluster offers; None if the account may not read nodes and pods."""
    tasks: list[Object] = []

    def stays(pod: Object) -> bool:
        if ends_by_itself(pod):
            tasks.append(pod)
        return not ends_by_itself(pod)

    try:
        measured = measure_capacity(client, stays)
    except ApiError:
        return None
    shape = read_shape(client)
    # A node that a pool adds has neither its labels nor its devices when it registers.
    nodes = [
        node for node in measured if not (is_starting(node.node) and node.name in shape.addable)
    ]
    known = {node.name: node for node in nodes}
    later = {node.name: why for node in nodes if (why := _why_later(node))}
    items = [item for name, item in sorted(shape.addable.items()) if name not in known]
    registered = {node.name for node in measured}
    for item in items:
        later[_name(item)] = _STARTING if _name(item) in registered else _ADDABLE
    ready = [as_ready(node) for node in nodes]
    return Offers([*ready, *as_addable(items, measured)], shape, later, tasks)


def as_addable(items: Iterable[Object], nodes: Sequence[NodeCapacity]) -> list[NodeCapacity]:
    """Return what nodes will offer that are added, beside the pods that every node runs.

    Args:
        items: the nodes as the API will have them.
        nodes: those that exist.
    """
    overhead = _daemon_requests(nodes)
    added = [node_capacity(item) for item in items]
    for node in added:
        node.subtract(overhead)
    return added


def shortfall(pod: Object, node: NodeCapacity) -> Shortfall:
    """Return what a pod lacks on a node."""
    lacking = {
        name: node.free.get(name, Decimal(0))
        for name, amount in node_requests(pod).items()
        if amount > 0 and amount > node.free.get(name, Decimal(0))
    }
    return Shortfall(
        node, label_mismatches(pod, node.node), untolerated_taints(pod, node.node), lacking
    )


def closest_shortfall(pod: Object, nodes: Sequence[NodeCapacity]) -> Shortfall | None:
    """Return what the pod lacks on the node that is closest to what it needs.

    None if there is no node; :attr:`Shortfall.nothing` is true if the pod fits on one.
    """
    requests = node_requests(pod)
    found = (shortfall(pod, node) for node in nodes)
    return min(found, key=lambda each: _distance(each, requests), default=None)


def as_ready(node: NodeCapacity) -> NodeCapacity:
    """Return a node as it will be once it is ready: not cordoned, and with all its devices.

    While a kubelet restarts, its node offers no devices.
    """
    spec = node.node.get("spec", {})
    taints = [each for each in spec.get("taints") or [] if not is_taint_of_state(each["key"])]
    item = {**node.node, "spec": {**spec, "unschedulable": False, "taints": taints}}
    ready = NodeCapacity(item, dict(node.free), node.pods)
    offered = node_capacity(node.node).free
    for name, count in annotated_devices(node.node).items():
        if not count:  # which the kubelet need not list
            continue
        ready.free[name] = ready.free.get(name, Decimal(0)) + max(
            Decimal(0), count - offered.get(name, Decimal(0))
        )
    return ready


def _why_later(node: NodeCapacity) -> str:
    """Return why a node takes no pods yet; empty if it is ready."""
    spec = node.node.get("spec", {})
    if spec.get("unschedulable"):
        return _CORDONED
    if is_starting(node.node):
        return _STARTING
    ready = as_ready(node)
    same = (spec.get("taints") or []) == ready.node["spec"]["taints"] and node.free == ready.free
    return "" if same else _NOT_READY


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _distance(found: Shortfall, requests: Amounts) -> tuple[int, Decimal]:
    """Return how far a node is from what a pod needs: how many things lack, then how much."""
    lacking = [
        1 - max(Decimal(0), found.resources[name]) / requests[name] for name in found.resources
    ]
    count = len(found.labels) + len(found.taints) + len(found.resources)
    return count, sum(lacking, Decimal(0))


def _daemon_requests(nodes: Sequence[NodeCapacity]) -> Amounts:
    """Return what the pods of DaemonSets request of a node that will be added."""
    sums = [_sum(filter(is_of_daemon_set, node.pods)) for node in nodes]
    names = {name for each in sums for name in each}
    return {name: max(each.get(name, Decimal(0)) for each in sums) for name in names}


def _sum(pods: Iterable[Object]) -> Amounts:
    total: Amounts = {}
    for pod in pods:
        for name, amount in node_requests(pod).items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def pool_of(node: Object) -> str:
    """Return the name of a node's pool; empty if it is of none."""
    return str((node["metadata"].get("labels") or {}).get(POOL_LABEL, ""))


def ends_by_itself(pod: Object) -> bool:
    """Return True for a pod that ends by itself, and then frees what it holds.

    That is one of a Job, or one that is not started again: Airflow's tasks belong to no Job.
    """
    of_job = JOB_NAME in (pod["metadata"].get("labels") or {})
    # The API writes the default, Always, into every pod.
    return of_job or pod["spec"].get("restartPolicy", "Always") != "Always"


def is_of_daemon_set(pod: Object) -> bool:
    """Return True for a pod that every node of its kind runs."""
    owners = pod["metadata"].get("ownerReferences") or []
    return any(owner.get("kind") == "DaemonSet" for owner in owners)
