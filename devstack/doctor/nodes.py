"""The check of the cluster's nodes: their conditions, and pods that they evicted."""

from __future__ import annotations

from devstack.doctor.check import BY_DEGREE, REQUEST_TIMEOUT, Check, Fault, Finding
from devstack.kube.conditions import condition_of, is_ready
from devstack.kube.resources import CORE
from devstack.stack import Stack

PRESSURES = ("DiskPressure", "MemoryPressure", "PIDPressure")
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def _nodes(stack: Stack) -> list[Finding]:
    kube = stack.kube(REQUEST_TIMEOUT)
    found = []
    for node in kube.list_objects(CORE, "Node"):
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        if not is_ready(node):
            reason = condition_of(node, "Ready").get("message") or "the kubelet has not reported"
            severity = "error" if _CONTROL_PLANE in labels else "warning"
            remedy = f"devstack up repairs it; devstack node restore {name} after `node kill`"
            cause = f"node {name} is not Ready: {reason}"
            found.append(Finding(cause, remedy, "NODE_NOT_READY", severity))
        for pressure in PRESSURES:
            if condition_of(node, pressure).get("status") == "True":
                cause = f"node {name} has {pressure}: it evicts pods and accepts no new ones"
                remedy = "free disk space or memory where the engine runs"
                found.append(Finding(cause, remedy, "NODE_PRESSURE"))
    pods = kube.list_objects(CORE, "Pod", stack.state.namespace, fields="status.phase=Failed")
    evicted = sorted(
        pod["metadata"]["name"] for pod in pods if pod["status"].get("reason") == "Evicted"
    )
    if evicted:
        cause = f"{len(evicted)} task pod(s) were evicted, such as {evicted[0]}"
        remedy = f"devstack why {evicted[0]}; request what the task uses, or free space"
        found.append(Finding(cause, remedy, "PODS_EVICTED", "warning"))
    return found


NODES_CHECKS = (
    Check(
        "nodes",
        "the nodes are Ready and have what pods need",
        _nodes,
        (
            Fault(
                "NODE_NOT_READY",
                "A node's kubelet does not report, or reports an error.",
                "`devstack up` repairs it; `devstack node restore` after `node kill`.",
                BY_DEGREE,
            ),
            Fault(
                "NODE_PRESSURE",
                "A node is short of disk, memory or processes, and evicts pods.",
                "Free space or memory where the engine runs.",
            ),
            Fault(
                "PODS_EVICTED",
                "Task pods were ended by the kubelet because a node was short of something.",
                "Request what the task uses, or free space.",
                "warning",
            ),
        ),
        needs_stack=True,
    ),
)
