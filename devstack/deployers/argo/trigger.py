"""Starting runs from the template that is deployed, not from an earlier one.

Argo's controller reads templates from a cache that follows the API, so a run that is created at
once after a deployment may get the template of before, or none: "workflowtemplates.argoproj.io
NAME not found" (workflow/controller/operator.go: fetchWorkflowSpec). Each template therefore
gives its runs an annotation with its version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from devstack.errors import DevstackError
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import ARGO
from devstack.kube.workflows import Workflow, parse_workflow, start_workflow
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

VERSION = "devstack.dev/template-version"
"""The annotation of a template's runs."""

SEEN_SECONDS = 10.0
"""How long to wait for the controller; if it is down, the run starts when it is back."""
ATTEMPTS = 10


def with_version(template: Mapping[str, Any]) -> Object:
    """Return a template whose runs get an annotation with its version."""
    spec = template["spec"]
    metadata = spec.get("workflowMetadata", {})
    version = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
    annotations = {**metadata.get("annotations", {}), VERSION: version}
    return {
        **template,
        "spec": {**spec, "workflowMetadata": {**metadata, "annotations": annotations}},
    }


def start_run(
    stack: Stack, template: Object, values: Mapping[str, str], annotations: Mapping[str, str]
) -> Workflow:
    """Start a run of a template as it is now.

    Args:
        stack: the stack.
        template: the template as the API has it.
        values: the values of its parameters.
        annotations: the run's annotations.
    """
    kube, metadata = stack.kube(), template["metadata"]
    attempts = 0
    while True:
        attempts += 1
        run = start_workflow(kube, metadata["namespace"], metadata["name"], values, annotations)
        started = _wait_until_seen(stack, kube, metadata["namespace"], run.run_id)
        if attempts == ATTEMPTS or not _is_outdated(started, template):
            return run
        kube.delete(ARGO, "Workflow", run.run_id, metadata["namespace"])


def _wait_until_seen(stack: Stack, kube: KubeClient, namespace: str, run_id: str) -> Object:
    """Return a run once the controller has seen it; as it is if the controller does not respond."""
    last: dict[str, Any] = {}

    def observe() -> Observation:
        last.update(kube.find(ARGO, "Workflow", run_id, namespace) or {})
        phase = (last.get("status") or {}).get("phase")
        return Ready() if phase else Waiting("the controller has not seen it")

    what = f"the run {run_id} to be seen by Argo's controller"
    try:
        wait_until(observe, what=what, timeout=SEEN_SECONDS, clock=stack.clock)
    except DevstackError as error:
        if error.code != "WAIT_TIMEOUT":
            raise
    return last


def _is_outdated(started: Object, template: Object) -> bool:
    """Return True if a run did not get the template, or got one of before."""
    if not started:
        return False
    run = parse_workflow(started)
    name = template["metadata"]["name"]
    if run.finished and f'workflowtemplates.argoproj.io "{name}" not found' in run.message:
        return True
    wanted = _annotations(template["spec"].get("workflowMetadata", {})).get(VERSION)
    seen = run.state != "pending"
    return seen and wanted is not None and _annotations(started["metadata"]).get(VERSION) != wanted


def _annotations(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    return metadata.get("annotations") or {}
