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
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import FrameType
from typing import Any

from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.kube.api_errors import ApiError
from devstack.kube.capacity import NodeCapacity, measure_capacity
from devstack.kube.client import KubeClient, Object
from devstack.kube.drain import evictable_pods
from devstack.kube.gangs import MARK, size_of
from devstack.kube.node_status import NOT_READY, state_of
from devstack.kube.offers import as_addable, as_ready
from devstack.kube.pool_nodes import build_node, ensure_attributes, is_starting
from devstack.kube.resources import JOBSET
from devstack.kube.scale_down import (
    SETTLE_SECONDS,
    begin_removal,
    cancel_removal,
    is_being_removed,
)
from devstack.kube.scale_up import Addition, pending_units, plan_additions
from devstack.kube.times import format_time, parse_time
from devstack.kube.volumes_on_nodes import claims_by_node
from devstack.lifecycle.new_nodes import as_starting, finish_nodes
from devstack.lifecycle.shape_step import addable_specs
from devstack.pools.nodes import NodeSpec
from devstack.pools.scaling import Scaling, scaling_of
from devstack.providers.base import HasPools
from devstack.stack import Stack, open_stack

POLL_SECONDS = 1.0


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
    _kept: dict[str, list[str]] = field(default_factory=dict)

    def run_once(self) -> None:
        """Look once at pods and nodes, and change what has to be changed.

        Raises:
            DevstackError: the API does not answer, or a node cannot be created or removed.
        """
        specs = addable_specs(self.stack, self.provider)
        kube = self.stack.kube()
        pending = kube.list_objects("v1", "Pod", fields="status.phase=Pending")
        known = {node["metadata"]["name"] for node in kube.list_objects("v1", "Node")}
        if not pending and not known & specs.keys():
            return  # nothing to add or to remove: most of the time
        nodes = measure_capacity(kube)
        starting = [each.name for each in nodes if each.name in specs and is_starting(each.node)]
        if starting:
            # Whatever kept them from being finished may be over.
            self._start(kube, starting, specs)
            return
        self._finish_removals(kube, nodes, specs)
        planned = self._additions(kube, pending, nodes, specs)
        additions = [each for each in planned if each.nodes and self._is_due(each, specs)]
        if additions:
            self._add(kube, additions, specs)
        else:
            # The scheduler may take seconds to look again at pods for which it found no node.
            used = {name for each in planned for name in each.used}
            self._remove_idle(kube, nodes, specs, used)

    def continue_predecessor(self) -> None:
        """Remove the containers that a killed predecessor was creating: they never joined."""
        kube, specs = self.stack.kube(), addable_specs(self.stack, self.provider)
        found = {node["metadata"]["name"] for node in kube.list_objects("v1", "Node")}
        for name in self.provider.existing_nodes():
            if name in specs and name not in found:
                self.report(f"removes {name}, which has not joined the cluster")
                self.provider.remove_node(name)

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

    def _is_due(self, addition: Addition, specs: Mapping[str, NodeSpec]) -> bool:
        age = (self.today() - parse_time(addition.unit.created)).total_seconds()
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
        chosen = {name: specs[name] for name in names}
        self.provider.ensure_nodes(self.stack.cluster, as_starting(chosen))
        ensure_attributes(kube, chosen)
        finish_nodes(self.stack, names)
        self.report(f"added {', '.join(names)}")

    def _remove_idle(
        self,
        kube: KubeClient,
        nodes: Sequence[NodeCapacity],
        specs: Mapping[str, NodeSpec],
        used: Collection[str],
    ) -> None:
        now = self.stack.clock.now()
        for node in nodes:
            needed = node.name in used or node.name not in specs or _is_out_of_use(node.node)
            if needed or evictable_pods(kube, node.name):
                self._idle_since.pop(node.name, None)
                continue
            since = self._idle_since.setdefault(node.name, now)
            if now - since >= self._scaling(specs[node.name]).idle:
                self._idle_since[node.name] = now
                if not self._has_volumes(kube, node.name):
                    self._idle_since.pop(node.name)
                    self._remove(kube, node.name)

    def _has_volumes(self, kube: KubeClient, name: str) -> bool:
        """Return True if data of claims would be lost with a node."""
        claims = claims_by_node(kube).get(name, [])
        if claims and self._kept.get(name) != claims:
            self.report(f"keeps {name}, which has the data of {', '.join(claims)}")
        self._kept[name] = claims
        return bool(claims)

    def _remove(self, kube: KubeClient, name: str) -> None:
        """Remove a node, unless a pod is placed on it at the last moment."""
        begin_removal(kube, name)
        self.stack.clock.sleep(SETTLE_SECONDS)
        if evictable_pods(kube, name) or self._has_volumes(kube, name):
            cancel_removal(kube, name)
            return
        self.report(f"removes {name}, which is idle")
        self.provider.remove_node(name)

    def _finish_removals(
        self, kube: KubeClient, nodes: Sequence[NodeCapacity], specs: Mapping[str, NodeSpec]
    ) -> None:
        for node in nodes:
            if is_being_removed(node.node) and node.name in specs:
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
    return is_starting(node) or state_of(node) != NOT_READY


def _is_out_of_use(node: Object) -> bool:
    """Return True for a node that a user took away, and may restore."""
    return bool(node.get("spec", {}).get("unschedulable")) or state_of(node) == NOT_READY


def _announce(kube: KubeClient, addition: Addition) -> None:
    """Record an event on each pod, as Kubernetes' cluster autoscaler does."""
    for pod in addition.unit.pods:
        metadata = pod["metadata"]
        stamp = format_time(datetime.now(timezone.utc))
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
    # Threads that create a container end first, if they do within pidfile.END_TIMEOUT.
    raise SystemExit(0)


def main(name: str) -> None:
    """Scale the pools of a stack until it is taken down."""
    signal.signal(signal.SIGTERM, _stop)
    if not sys.stdin.readline():
        return  # the `up` that started this process was killed before it had recorded it
    stack = open_stack(StackSpec(name=name))
    provider = stack.provider
    if not isinstance(provider, HasPools):
        return
    scaler = Scaler(stack, provider, _report)
    fault = "none yet"
    while stack.dir.admin_kubeconfig.exists():
        try:
            if fault:
                # It may have kept a node from joining.
                scaler.continue_predecessor()
            scaler.run_once()
            fault = ""
        except DevstackError as error:
            if str(error) != fault:
                _report(f"cannot scale: {error}")
            fault = str(error)
        stack.clock.sleep(POLL_SECONDS)


def _report(text: str) -> None:
    stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    sys.stdout.write(f"{stamp} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
