"""Which nodes pools have to add so that pending pods run: a gang's all at once, or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from devstack.kube.capacity import NodeCapacity, pod_size, unfit_reason
from devstack.kube.client import Object
from devstack.kube.conditions import condition_of
from devstack.kube.gangs import JOBSET_NAME, pod_group_name


@dataclass(frozen=True)
class Unit:
    """Pods that need nodes at the same time: one pod, or the pods of a gang.

    Attributes:
        pods: the pods.
        created: when the last of them was created, as the API writes it.
    """

    pods: Sequence[Object]
    created: str


@dataclass(frozen=True)
class Addition:
    """The nodes that one unit needs in addition.

    Attributes:
        unit: the pods.
        nodes: the names of the nodes to add; empty if those that exist have room.
        used: the names of all nodes that the unit will use.
    """

    unit: Unit
    nodes: Sequence[str]
    used: Sequence[str] = ()


def pending_units(pods: Sequence[Object], sizes: dict[tuple[str, str], int]) -> list[Unit]:
    """Return the pods for which the scheduler finds no node, the oldest first.

    Args:
        pods: pods in any state.
        sizes: the number of pods of each JobSet, by namespace and name.

    Returns:
        One unit for each gang of which all pods exist, and for each other pod.
    """
    gangs: dict[tuple[str, str], list[Object]] = defaultdict(list)
    units = []
    for pod in filter(_has_no_node, pods):
        jobset = (pod["metadata"].get("labels") or {}).get(JOBSET_NAME, "")
        if jobset and pod_group_name(pod):
            gangs[pod["metadata"]["namespace"], jobset].append(pod)
        elif condition_of(pod, "PodScheduled").get("reason") == "Unschedulable":
            units.append(_unit([pod]))
    whole = [members for key, members in gangs.items() if len(members) >= sizes.get(key, 1)]
    return sorted([*units, *map(_unit, whole)], key=lambda unit: unit.created)


def plan_additions(
    units: Sequence[Unit], nodes: Sequence[NodeCapacity], addable: Sequence[NodeCapacity]
) -> list[Addition]:
    """Return the nodes to add, unit by unit; a unit that never fits is left out.

    Args:
        units: pods without nodes, the most urgent first.
        nodes: the nodes that exist, or are being created, with what is free.
        addable: the nodes that pools may add, in order of preference.
    """
    free, left = [node.copy() for node in nodes], list(addable)
    additions = []
    for unit in units:
        placed = _place(unit.pods, free, left)
        if placed is None:
            continue
        free, names, used = placed
        left = [node for node in left if node.name not in names]
        additions.append(Addition(unit, names, used))
    return additions


def _place(
    pods: Sequence[Object], nodes: Sequence[NodeCapacity], addable: Sequence[NodeCapacity]
) -> tuple[list[NodeCapacity], list[str], list[str]] | None:
    """Return the nodes after all pods are placed, those added, and those used.

    None if not all pods fit.
    """
    free, left = [node.copy() for node in nodes], [node.copy() for node in addable]
    names, used = [], []
    for pod in sorted(pods, key=pod_size, reverse=True):
        node = next((each for each in free if not unfit_reason(pod, each)), None)
        if node is None:
            node = next((each for each in left if not unfit_reason(pod, each)), None)
            if node is None:
                return None
            left.remove(node)
            free.append(node)
            names.append(node.name)
        node.reserve(pod)
        used.append(node.name)
    return free, names, used


def _unit(pods: Sequence[Object]) -> Unit:
    return Unit(pods, max(str(pod["metadata"].get("creationTimestamp", "")) for pod in pods))


def _has_no_node(pod: Object) -> bool:
    ended = pod.get("status", {}).get("phase") != "Pending"
    deleted = pod["metadata"].get("deletionTimestamp")
    return not (ended or deleted or pod["spec"].get("nodeName"))
