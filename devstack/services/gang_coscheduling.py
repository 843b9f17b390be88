"""The gang service on a cluster whose scheduler has the coscheduling plug-in.

Its pods refer to their group by a label, and its groups belong to another API;
everything else is the same.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from devstack.kube.client import Object

_LABEL = "scheduling.x-k8s.io/pod-group"
_LABELLED = f'Object{{metadata: Object.metadata{{labels: {{"{_LABEL}": variables.group}}}}}}'


def with_coscheduling(objects: Iterable[Object]) -> list[Object]:
    """Return the objects of k8s/gang, adapted to the plug-in."""
    changed = copy.deepcopy(list(objects))
    for item in changed:
        if item["kind"] == "ClusterRole":
            _rename_groups(item)
        elif item["kind"] == "Deployment":
            _container(item)["args"] = ["--coscheduling"]
        elif item["metadata"]["name"] == "gang-pods.devstack.dev" and "mutations" in item["spec"]:
            _label_pods(item)
    return changed


def _rename_groups(role: Object) -> None:
    for rule in role["rules"]:
        if "podgroups" in rule["resources"]:
            rule["apiGroups"] = [_LABEL.split("/", maxsplit=1)[0]]


def _container(deployment: Object) -> Object:
    container: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def _label_pods(policy: Object) -> None:
    (mutation,) = policy["spec"]["mutations"]
    mutation["applyConfiguration"]["expression"] = _LABELLED
