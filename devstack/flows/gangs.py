"""Why the gangs of a run have no nodes yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from devstack.kube.capacity import fit
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of
from devstack.kube.gangs import CONDITION, JOBSET_NAME, TOO_LARGE, pod_group_name
from devstack.kube.offers import Offers, closest_shortfall
from devstack.kube.pool_lines import lines_for_gang
from devstack.kube.resources import JOBSET
from devstack.kube.scheduling import build_remedy, describe_shortfall
from devstack.waits import Failed, Observation, Waiting


def waits_as_gang(pod: Object) -> bool:
    """Return True for a pod of a JobSet that has no node until all of its gang can start."""
    labels = pod["metadata"].get("labels") or {}
    return JOBSET_NAME in labels and bool(pod_group_name(pod)) and not pod["spec"].get("nodeName")


def observe_gangs(
    kube: KubeClient, namespace: str, pods: Iterable[Object], offers: Offers | None
) -> list[Observation]:
    """Observe the gangs of waiting pods, each gang once.

    Args:
        kube: reads the JobSets.
        namespace: the namespace of the pods.
        pods: pods for which :func:`waits_as_gang` is true.
        offers: what the nodes offer; None if unknown.

    Returns:
        Failed for a gang that is larger than the cluster, and than what its pools may add;
        else Waiting.
    """
    gangs: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        gangs[pod["metadata"]["labels"][JOBSET_NAME]].append(pod)
    return [_observe(kube, namespace, name, gangs[name], offers) for name in sorted(gangs)]


def _observe(
    kube: KubeClient, namespace: str, name: str, pods: Sequence[Object], offers: Offers | None
) -> Observation:
    condition = condition_of(kube.find(JOBSET, "JobSet", name, namespace) or {}, CONDITION)
    message = condition.get("message", "")
    if condition.get("reason") != TOO_LARGE:
        return Waiting(f"gang {name} waits: it {message}" if message else f"gang {name} waits")
    # Of another cluster the gang controller knows as much.
    if offers and offers.shape.has_pools and fit(pods, offers.nodes) == len(pods):
        return Waiting(
            f"gang {name} waits for nodes that are added, started or cordoned: it {message}"
        )
    return _too_large(name, message, pods, offers)


def _too_large(name: str, message: str, pods: Sequence[Object], offers: Offers | None) -> Failed:
    remedy = "use a smaller num_parallel, request less in @kubernetes or @resources, or add nodes"
    closest = closest_shortfall(pods[0], offers.nodes) if offers else None
    if offers and offers.shape.has_pools:
        remedy = build_remedy(closest, lines_for_gang(pods, offers), offers)
    reason = f"gang {name} can never start: it {message}"
    if closest and not closest.nothing:
        reason += f". For one of its pods, {describe_shortfall(pods[0], closest)}"
    return Failed(reason, remedy=remedy, code="GANG_TOO_LARGE")
