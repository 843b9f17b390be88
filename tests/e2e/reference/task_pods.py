"""The pods of a run: what their tasks saw, and the objects."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.support.commandline import Devstack

_OBSERVED = re.compile(r"OBSERVED (\{.*\})")
_NAMESPACE = "METAFLOW_KUBERNETES_POD_NAMESPACE"


@dataclass(frozen=True)
class Pod:
    """One pod: what its task saw, and the object.

    Attributes:
        seen: what tests/e2e/flows/observed_pod.py printed.
        object: the pod as the API server has it.
    """

    seen: dict[str, Any]
    object: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        found: dict[str, str] = self.seen["environment"]
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self.object["metadata"]
        return found

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.object["spec"]
        return found

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.spec["containers"][0]
        return found

    @property
    def resources(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = self.container["resources"]
        return found

    @property
    def node(self) -> str:
        return str(self.spec["nodeName"])

    def size_of(self, folder: str) -> int:
        """Return the bytes of a tmpfs."""
        kind, size = self.seen["folders"][folder]
        assert kind == "tmpfs"
        return int(size)


@dataclass(frozen=True)
class Pods:
    """The pods of a run, and its output."""

    output: str
    by_step: dict[str, Pod]

    def __getitem__(self, step: str) -> Pod:
        return self.by_step[step]


def read_pods(stack: Devstack, output: str) -> Pods:
    """Return the pods that a run's output describes."""
    by_step = {}
    for text in _OBSERVED.findall(output):
        seen = json.loads(text)
        pod = read(stack, "pod", seen["pod"], "-n", seen["environment"][_NAMESPACE])
        by_step[seen["step"]] = Pod(seen, pod)
    return Pods(output, by_step)


def read_gang(stack: Devstack, first: Pod) -> list[Pod]:
    """Return the pods of a gang; Metaflow prints the output of the first one only."""
    name = first.environment["METAFLOW_KUBERNETES_JOBSET_NAME"]
    namespace = first.environment[_NAMESPACE]
    selected = f"jobset.sigs.k8s.io/jobset-name={name}"
    found = []
    for item in read(stack, "pods", "-n", namespace, "-l", selected)["items"]:
        log = stack.kubectl("logs", "-n", namespace, item["metadata"]["name"]).stdout
        found.append(Pod(json.loads(_OBSERVED.findall(log)[0]), item))
    return found


def read(stack: Devstack, *argv: str) -> dict[str, Any]:
    """Return the object or the list that `kubectl get` prints."""
    answer = stack.admin_kubectl("get", *argv, "-o", "json")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found
