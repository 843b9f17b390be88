"""A run as a workflow, and a recurring run as a cron workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeflow_pipelines.translation.dags import parameters_of, translate
from kubeflow_pipelines.translation.pipeline import Pipeline
from kubeflow_pipelines.translation.placeholders import RUN_ID_LABEL
from kubeflow_pipelines.translation.schedules import argo_cron
from kubeflow_pipelines.translation.values import run_values

API_VERSION = "argoproj.io/v1alpha1"
RECURRING_LABEL = "pipeline/recurring-run-id"
PIPELINE_LABEL = "pipeline/pipeline-id"
NAME_ANNOTATION = "pipelines.kubeflow.org/run_name"

_NAME_LENGTH = 40
"""Of 63 characters that Argo allows, with what is appended; 11 of them by cron workflows."""

_KEPT_RUNS = 10_000
"""Runs of a schedule that are kept; Argo would delete all but the last three."""

Object = dict[str, Any]


@dataclass(frozen=True)
class RunRequest:
    """A run, or a recurring run, to start.

    Attributes:
        run_id: its id.
        name: the name that users see.
        pipeline: what to run.
        pipeline_id: the pipeline's id; empty if the run brings a pipeline of its own.
        parameters: values of the pipeline's parameters by name, in JSON.
    """

    run_id: str
    name: str
    pipeline: Pipeline
    pipeline_id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Where workflows run.

    Attributes:
        namespace: the namespace of the tasks.
        account: the account of the pods.
    """

    namespace: str
    account: str


def check_pipeline(pipeline: Pipeline) -> None:
    """Raise an error if this service cannot run a pipeline.

    Raises:
        UnsupportedError: it names what is not supported.
    """
    given = parameters_of(pipeline)
    # Defaults that Argo would change are found too.
    run_values({name: {**each, "isOptional": True} for name, each in given.items()}, {})
    translate(pipeline, given)


def build_workflow(request: RunRequest, target: Target) -> Object:
    """Return the workflow of a run.

    Raises:
        UnsupportedError: a parameter has a wrong value, or none although a task needs it.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "Workflow",
        "metadata": {
            "name": object_name(request),
            "namespace": target.namespace,
            "labels": {RUN_ID_LABEL: request.run_id, **_labels(request)},
            "annotations": {NAME_ANNOTATION: request.name},
        },
        "spec": _spec(request, target),
    }


def build_cron_workflow(request: RunRequest, target: Target, cron: str, *, enabled: bool) -> Object:
    """Return the cron workflow of a recurring run.

    Its runs get their ids from Argo: the workflow's own.

    Args:
        request: the recurring run.
        target: where it runs.
        cron: Kubeflow's cron expression.
        enabled: False to leave it suspended.

    Raises:
        UnsupportedError: a parameter or the expression is wrong.
    """
    # Argo creates a run's first pods before it sets labels of this kind, so they would keep the
    # placeholder of the label.
    label, uid = "{{workflow.labels." + RUN_ID_LABEL + "}}", "{{workflow.uid}}"
    spec = json.loads(json.dumps(_spec(request, target)).replace(label, uid))
    spec["workflowMetadata"] = {"labelsFrom": {RUN_ID_LABEL: {"expression": "workflow.uid"}}}
    labels = {RECURRING_LABEL: request.run_id, **_labels(request)}
    metadata = {"labels": labels, "annotations": {NAME_ANNOTATION: request.name}}
    return {
        "apiVersion": API_VERSION,
        "kind": "CronWorkflow",
        "metadata": {
            "name": object_name(request),
            "namespace": target.namespace,
            **metadata,
        },
        "spec": {
            "suspend": not enabled,
            "schedules": [argo_cron(cron)],
            "timezone": "UTC",
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": _KEPT_RUNS,
            "failedJobsHistoryLimit": _KEPT_RUNS,
            "workflowMetadata": metadata,
            "workflowSpec": spec,
        },
    }


def object_name(request: RunRequest) -> str:
    """Return the name of a run's object: that of the pipeline, and the beginning of the id."""
    base = re.sub(r"[^a-z0-9]+", "-", request.pipeline.name.lower()).strip("-")
    return f"{base[:_NAME_LENGTH].rstrip('-') or 'pipeline'}-{request.run_id[:8]}"


def _labels(request: RunRequest) -> dict[str, str]:
    return {PIPELINE_LABEL: request.pipeline_id} if request.pipeline_id else {}


def _spec(request: RunRequest, target: Target) -> Object:
    values = run_values(parameters_of(request.pipeline), request.parameters)
    entrypoint, templates = translate(request.pipeline, values)
    spec: Object = {
        "entrypoint": entrypoint,
        "serviceAccountName": target.account,
        "templates": templates,
    }
    if values:
        parameters = [{"name": name, "value": value} for name, value in values.items()]
        spec["arguments"] = {"parameters": parameters}
    return spec
