"""Workflows, templates and schedules of Argo, as objects of the Kubernetes API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import ARGO
from devstack.kube.times import parse_time

WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
CRON_LABEL = "workflows.argoproj.io/cron-workflow"
NODE_ANNOTATION = "workflows.argoproj.io/node-id"
SENSOR_LABEL = "events.argoproj.io/sensor"
"""The label of runs that a sensor starts: of Argo Events, or of the policy in k8s/argo-events."""

PIPELINE_RUN_LABEL = "pipeline/runid"
"""The label of a workflow that is a run of Kubeflow Pipelines, with the run's id."""

RECURRING_RUN_LABEL = "pipeline/recurring-run-id"
"""The label of what a recurring run of Kubeflow Pipelines consists of: its schedule, its runs."""

_RUN_NAME = "pipelines.kubeflow.org/run_name"

FINISHED = frozenset({"Succeeded", "Failed", "Error"})
"""Final phases of a workflow, and of a node that ran."""

_ATTEMPT = re.compile(r"\((\d+)\)$")
_ITEM = re.compile(r"\((\d+):")
"""What Argo appends to the names of nodes: attempts of a retry, items of a loop."""


@dataclass(frozen=True)
class Workflow:
    """A workflow.

    Attributes:
        template: the name of its template; empty if it has none.
        run_id: its name.
        state: Argo's phase in lower case; ``pending`` before the controller has seen it.
        kind: what started it: ``scheduled``, ``event`` or ``manual``.
        began: start in seconds since the epoch; None before that.
        ended: end in seconds since the epoch; None before that.
        message: why it is in this phase, as Argo says.
        suspended: True while no new pod is started.
        parameters: the values that it was started with, in JSON.
    """

    template: str
    run_id: str
    state: str
    kind: str
    began: float | None
    ended: float | None
    message: str = ""
    suspended: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The template."""
        return self.template

    @property
    def finished(self) -> bool:
        """True if its phase is final."""
        return self.state.capitalize() in FINISHED

    @property
    def metaflow_id(self) -> str:
        """Metaflow's id of the run."""
        return f"argo-{self.run_id}"

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; None until it has ended."""
        if self.began is None or self.ended is None:
            return None
        return self.ended - self.began


@dataclass(frozen=True)
class Node:
    """A node of a workflow that runs as a pod.

    Attributes:
        step: the template of the pod; Metaflow's name of a step, with hyphens.
        items: the items of the loops around it, from the outermost one.
        attempt: number of the attempt, from 1.
        state: Argo's phase in lower case.
        began: start in seconds since the epoch; None before that.
        ended: end in seconds since the epoch; None before that.
        node_id: Argo's id.
        message: why it is in this phase, as Argo says.
        jobset: the JobSet of a @parallel step, which the pod creates and waits for.
    """

    step: str
    items: tuple[int, ...]
    attempt: int
    state: str
    began: float | None
    ended: float | None
    node_id: str
    message: str = ""
    jobset: str = ""

    @property
    def name(self) -> str:
        """The step, with the items' indices: ``work[2]``."""
        return self.step + "".join(f"[{item}]" for item in self.items)

    @property
    def queued(self) -> float | None:
        """Argo does not say when a node began to wait."""
        return self.began


def parse_workflow(item: Object) -> Workflow:
    """Return a workflow as the API has it."""
    metadata, spec, status = item["metadata"], item.get("spec", {}), item.get("status") or {}
    parameters = spec.get("arguments", {}).get("parameters") or []
    return Workflow(
        template=spec.get("workflowTemplateRef", {}).get("name", ""),
        run_id=metadata["name"],
        state=(status.get("phase") or "Pending").lower(),
        kind=_kind(metadata.get("labels", {})),
        began=_seconds(status.get("startedAt")),
        ended=_seconds(status.get("finishedAt")),
        message=status.get("message", ""),
        suspended=bool(spec.get("suspend")),
        parameters={each["name"]: str(each.get("value", "")) for each in parameters},
    )


def _kind(labels: Mapping[str, str]) -> str:
    if CRON_LABEL in labels:
        return "scheduled"
    return "event" if SENSOR_LABEL in labels else "manual"


def pipeline_run_name(item: Object) -> str:
    """Return the name of a run, or recurring run, of Kubeflow Pipelines; else the object's."""
    metadata = item["metadata"]
    return str((metadata.get("annotations") or {}).get(_RUN_NAME) or metadata["name"])


def parse_nodes(item: Object) -> list[Node]:
    """Return the nodes of a workflow that are pods, sorted by start."""
    nodes = (item.get("status") or {}).get("nodes") or {}
    found = [_node(each) for each in nodes.values() if each.get("type") == "Pod"]
    return sorted(found, key=lambda node: (node.began or float("inf"), node.name, node.attempt))


def _node(item: Mapping[str, Any]) -> Node:
    attempt = _ATTEMPT.search(item.get("displayName", ""))
    return Node(
        step=item.get("templateName") or item.get("displayName", ""),
        items=tuple(int(number) for number in _ITEM.findall(item.get("name", ""))),
        attempt=int(attempt[1]) + 1 if attempt else 1,
        state=(item.get("phase") or "Pending").lower(),
        began=_seconds(item.get("startedAt")),
        ended=_seconds(item.get("finishedAt")),
        node_id=item["id"],
        message=item.get("message", ""),
        jobset=_input(item, "jobset-name"),
    )


def _input(item: Mapping[str, Any], name: str) -> str:
    """Return an input parameter of a node; empty if it has none of this name."""
    parameters = item.get("inputs", {}).get("parameters") or []
    return next((str(each.get("value", "")) for each in parameters if each["name"] == name), "")


def _seconds(text: str | None) -> float | None:
    return parse_time(text).timestamp() if text else None


def list_workflows(kube: KubeClient, namespace: str, template: str = "") -> list[Workflow]:
    """Return the workflows of a template, or all; the latest first."""
    items = kube.list_objects(ARGO, "Workflow", namespace)
    items.sort(key=lambda item: str(item["metadata"].get("creationTimestamp", "")), reverse=True)
    found = map(parse_workflow, items)
    return [workflow for workflow in found if template in ("", workflow.template)]


def start_workflow(
    kube: KubeClient,
    namespace: str,
    template: str,
    parameters: Mapping[str, str],
    annotations: Mapping[str, str],
) -> Workflow:
    """Create a workflow from a template.

    Args:
        kube: the API.
        namespace: the template's.
        template: its name.
        parameters: the values of its parameters.
        annotations: the workflow's annotations.
    """
    values = [{"name": name, "value": value} for name, value in parameters.items()]
    manifest = {
        "apiVersion": ARGO,
        "kind": "Workflow",
        "metadata": {
            "generateName": f"{template}-",
            "namespace": namespace,
            "annotations": dict(annotations),
        },
        "spec": {
            "workflowTemplateRef": {"name": template},
            "arguments": {"parameters": values},
        },
    }
    return parse_workflow(kube.create(manifest))


def write_object(kube: KubeClient, manifest: Object) -> None:
    """Create an object, or replace the one of that name, as Metaflow does.

    Raises:
        ConflictError: somebody else has changed it meanwhile.
    """
    metadata = manifest["metadata"]
    live = kube.find(
        manifest["apiVersion"], manifest["kind"], metadata["name"], metadata["namespace"]
    )
    if live is None:
        kube.create(manifest)
        return
    version = live["metadata"]["resourceVersion"]
    kube.replace({**manifest, "metadata": {**metadata, "resourceVersion": version}})


def flow_templates(kube: KubeClient, namespace: str) -> Iterator[Object]:
    """Yield the templates that Metaflow has deployed, by name."""
    items = kube.list_objects(ARGO, "WorkflowTemplate", namespace)
    for item in sorted(items, key=lambda each: str(each["metadata"]["name"])):
        if "metaflow/flow_name" in item["metadata"].get("annotations", {}):
            yield item


def parameter_types(template: Object) -> dict[str, str]:
    """Return Metaflow's types of a template's parameters by name."""
    text = template["metadata"].get("annotations", {}).get("metaflow/parameters", "{}")
    return {name: str(each.get("type") or "str") for name, each in json.loads(text).items()}


def parameter_defaults(template: Object) -> dict[str, str]:
    """Return the values of a template's parameters by name, as JSON."""
    parameters = template["spec"].get("arguments", {}).get("parameters") or []
    return {each["name"]: str(each.get("value", "")) for each in parameters}


def pods_of(kube: KubeClient, namespace: str, run_id: str) -> Sequence[Object]:
    """Return the pods of a workflow."""
    return kube.list_objects("v1", "Pod", namespace, labels=f"{WORKFLOW_LABEL}={run_id}")
