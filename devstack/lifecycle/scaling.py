"""Add the nodes of pools that pending pods need, and remove those that are idle.

Run as a program, ``python -m devstack.lifecycle.scaling STACK``, by
:mod:`devstack.lifecycle.autoscaler`. All it knows is in the API and in the stack's directory, so
it may be killed and started again at any time.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from types import FrameType
from typing import Any

from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.capacity import NodeCapacity, measure_capacity
from devstack.kube.client import KubeClient, Object
from devstack.kube.drain import cordon, evictable_pods
from devstack.kube.gangs import MARK, size_of
from devstack.kube.node_status import NOT_READY, state_of
from devstack.kube.offers import as_addable, as_ready
from devstack.kube.pool_nodes import STARTING_TAINT, build_node, ensure_attributes, remove_taint
from devstack.kube.resources import JOBSET
from devstack.kube.scale_up import Addition, pending_units, plan_additions
from devstack.lifecycle.added_images import supply_added_images
from devstack.pools.nodes import NodeSpec
from devstack.pools.scaling import Scaling, scaling_of
from devstack.providers.base import HasPools, LoadsImages
from devstack.stack import Stack, open_stack

POLL_SECONDS = 1.0
SETTLE_SECONDS = 1.0
"""How long the scheduler may still place pods on a node that was cordoned."""

REMOVING = "devstack.dev/scale-down"
"""The annotation of a node that this program is removing."""


@dataclass
class Scaler:
    """Adds and removes the nodes of one stack's pools.

    Attributes:
        stack: the stack.
        provider: its provider.
        report: called with each thing done.
        today: returns the time, as the API's server has it.
    """

    stack: Stack
    provider: HasPools
    report: Callable[[str], None]
    today: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    _idle_since: dict[str, float] = field(default_factory=dict)

    def run_once(self) -> None:
        """Look once at pods and nodes, and change what has to be changed.

        Raises:
            DevstackError: the API does not answer, or a node cannot be created or removed.
        """
        specs = self._specs()
        kube = self.stack.kube()
        pending = kube.list_objects("v1", "Pod", fields="status.phase=Pending")
        known = {node["metadata"]["name"] for node in kube.list_objects("v1", "Node")}
        if not pending and not known & specs.keys():
            return  # nothing to add or to remove: most of the time
        nodes = measure_capacity(kube)
        self._finish_removals(kube, nodes, specs)
        planned = self._additions(kube, pending, nodes, specs)
        additions = [each for each in planned if each.nodes and self._is_due(each)]
        if additions:
            self._add(kube, additions, specs)
        else:
            # The scheduler may take seconds to look again at pods for which it found no node.
            used = {name for each in planned for name in each.used}
            self._remove_idle(kube, nodes, specs, used)

    def continue_predecessor(self) -> None:
        """Finish the nodes that a killed predecessor was creating."""
        kube, specs = self.stack.kube(), self._specs()
        found = {node["metadata"]["name"]: node for node in kube.list_objects("v1", "Node")}
        for name in self.provider.existing_nodes():
            if name in specs and name not in found:
                self.report(f"removes {name}, which has not joined the cluster")
                self.provider.remove_node(name)
        starting = [name for name in specs if name in found and _is_starting(found[name])]
        if starting:
            self._start(kube, starting, specs)

    def _specs(self) -> dict[str, NodeSpec]:
        """Return the nodes that pools add when pods need them, by name."""
        always = self.provider.nodes_by_name(self.stack.cluster)
        most = self.provider.nodes_by_name(self.stack.largest_cluster)
        return {name: spec for name, spec in most.items() if name not in always}

    def _additions(
        self,
        kube: KubeClient,
        pods: Sequence[Object],
        nodes: Sequence[NodeCapacity],
        specs: Mapping[str, NodeSpec],
    ) -> list[Addition]:
        jobsets = kube.list_objects(JOBSET, "JobSet", labels=MARK) if pods else []
        sizes = {(_namespace(each), each["metadata"]["name"]): size_of(each) for each in jobsets}
        known = {node.name for node in nodes}
        items = [build_node(name, spec) for name, spec in specs.items() if name not in known]
        usable = [as_ready(node) for node in nodes if _is_usable(node.node)]
        return plan_additions(pending_units(pods, sizes), usable, as_addable(items, nodes))

    def _is_due(self, addition: Addition) -> bool:
        created = addition.unit.created.replace("Z", "+00:00")
        age = (self.today() - datetime.fromisoformat(created)).total_seconds()
        specs = self._specs()
        return age >= max(self._scaling(specs[name]).delay for name in addition.nodes)

    def _add(
        self, kube: KubeClient, additions: Sequence[Addition], specs: Mapping[str, NodeSpec]
    ) -> None:
        names = [name for addition in additions for name in addition.nodes]
        self.report(f"adds {', '.join(names)}")
        for addition in additions:
            _announce(kube, addition)
        self._start(kube, names, specs)

    def _start(self, kube: KubeClient, names: Sequence[str], specs: Mapping[str, NodeSpec]) -> None:
        # No pod may be placed there before its labels and images are in place.
        starting = {
            name: replace(specs[name], taints=(*specs[name].taints, STARTING_TAINT))
            for name in names
        }
        self.provider.ensure_nodes(self.stack.cluster, starting)
        ensure_attributes(kube, {name: specs[name] for name in names})
        self._load_images()
        for name in names:
            remove_taint(kube, name, STARTING_TAINT)
        self.report(f"added {', '.join(names)}")

    def _load_images(self) -> None:
        provider, stack = self.stack.provider, self.stack
        if isinstance(provider, LoadsImages):
            present = provider.images_present(stack.cluster)
            missing = [ref for ref in stack.state.images.values() if ref not in present]
            if missing:
                provider.load_images(stack.cluster, missing)
        supply_added_images(stack)

    def _remove_idle(
        self,
        kube: KubeClient,
        nodes: Sequence[NodeCapacity],
        specs: Mapping[str, NodeSpec],
        used: Collection[str],
    ) -> None:
        now = self.stack.clock.now()
        for node in nodes:
            needed = node.name in used or node.name not in specs
            if needed or evictable_pods(kube, node.name):
                self._idle_since.pop(node.name, None)
                continue
            since = self._idle_since.setdefault(node.name, now)
            if now - since >= self._scaling(specs[node.name]).idle:
                self._idle_since.pop(node.name)
                self._remove(kube, node.name)

    def _remove(self, kube: KubeClient, name: str) -> None:
        """Remove a node, unless a pod is placed on it at the last moment."""
        kube.patch("v1", "Node", name, {"metadata": {"annotations": {REMOVING: "true"}}})
        cordon(kube, name)
        self.stack.clock.sleep(SETTLE_SECONDS)
        if evictable_pods(kube, name):
            kube.patch("v1", "Node", name, {"metadata": {"annotations": {REMOVING: None}}})
            cordon(kube, name, unschedulable=False)
            return
        self.report(f"removes {name}, which is idle")
        self.provider.remove_node(name)

    def _finish_removals(
        self, kube: KubeClient, nodes: Sequence[NodeCapacity], specs: Mapping[str, NodeSpec]
    ) -> None:
        for node in nodes:
            annotations = node.node["metadata"].get("annotations") or {}
            if REMOVING in annotations and node.name in specs:
                self._remove(kube, node.name)

    def _scaling(self, spec: NodeSpec) -> Scaling:
        pools = {pool["name"]: scaling_of(pool) for pool in self.stack.spec.pool}
        found = pools[spec.pool]
        assert found is not None
        return found


def _is_usable(node: Object) -> bool:
    """Return True for a node on which pods run now, or will run in a moment."""
    if node.get("spec", {}).get("unschedulable"):
        return False
    return _is_starting(node) or state_of(node) != NOT_READY


def _is_starting(node: Object) -> bool:
    taints = node.get("spec", {}).get("taints") or []
    return any(taint["key"] == STARTING_TAINT.partition(":")[0] for taint in taints)


def _announce(kube: KubeClient, addition: Addition) -> None:
    """Record an event on each pod, as Kubernetes' cluster autoscaler does."""
    for pod in addition.unit.pods:
        metadata = pod["metadata"]
        stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        event: Any = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{datetime.now(timezone.utc).timestamp():.6f}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata.get("uid", ""),
            },
            "type": "Normal",
            "reason": "TriggeredScaleUp",
            "message": f"pool adds {', '.join(addition.nodes)}",
            "source": {"component": "devstack-autoscaler"},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        with suppress(ApiError):
            kube.create(event)


def _namespace(item: Object) -> str:
    return str(item["metadata"]["namespace"])


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # Threads that create a container end first, so that `down` finds it.
    raise SystemExit(0)


def main(name: str) -> None:
    """Scale the pools of a stack until it is taken down."""
    signal.signal(signal.SIGTERM, _stop)
    stack = open_stack(StackSpec(name=name))
    provider = stack.provider
    if not isinstance(provider, HasPools):
        return
    scaler = Scaler(stack, provider, _report)
    continued = False
    while stack.dir.admin_kubeconfig.exists():
        try:
            if not continued:
                scaler.continue_predecessor()
                continued = True
            scaler.run_once()
        except (DevstackError, UnreachableError) as error:
            _report(f"cannot scale: {error}")
        stack.clock.sleep(POLL_SECONDS)


def _report(text: str) -> None:
    stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    sys.stdout.write(f"{stamp} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
