"""Why a run of Kubeflow Pipelines does not run or has failed: `devstack why RUN`.

A run is a workflow of the stack's Argo, and is explained like one.
"""

from __future__ import annotations

from devstack.deployers.argo.explain import Terms, explain_workflow
from devstack.deployers.base import RunResult
from devstack.deployers.kubeflow.client import PipelinesClient, PipelinesUnavailableError
from devstack.deployers.kubeflow.deployer import open_deployer
from devstack.deployers.kubeflow.follow import failure_of, find_workflow
from devstack.deployers.kubeflow.lookup import find_run
from devstack.deployers.kubeflow.runs import METAFLOW_PREFIX, PipelineRun
from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.kube.workflows import PIPELINE_RUN_LABEL, pipeline_run_name
from devstack.stack import Stack
from devstack.why.answer import Answer

_FLOW = "metaflow/flow_name"
"""The annotation of pods of a flow."""


def explain_run(stack: Stack, name: str) -> Answer:
    """Return why a run does not run, or that it does.

    Args:
        stack: the stack.
        name: the API's or Metaflow's id of the run, or the name of its workflow; a deployment for
            its latest run; or ``RUN/TASK``, ``DEPLOYMENT/TASK``.

    Raises:
        DevstackError: ``RUN_UNKNOWN`` or ``TASK_UNKNOWN``; ``KUBEFLOW_UNREACHABLE`` if only the
            pipelines API, which does not answer, could find it.
    """
    run, task = _resolve(stack, open_deployer(stack).client, name)
    workflow = find_workflow(stack, run.run_id)
    if workflow is None:
        return _without_workflow(run)
    terms = Terms(
        _subject(run, workflow),
        "resume it on Argo's page: devstack kubeflow open",
        lambda result: failure_of(stack, RunResult(run, result.tasks, ok=False)),
    )
    return explain_workflow(stack, workflow, task, terms)


def _resolve(stack: Stack, client: PipelinesClient, name: str) -> tuple[PipelineRun, str]:
    """Return the run and the task of ``NAME``, ``FLOW/RUN``, or ``NAME/TASK``."""
    before, _, after = name.partition("/")
    tried = [(before, after), (after, "")] if after else [(name, "")]
    errors = []
    for run, task in reversed(tried):
        try:
            return _find(stack, client, run), task
        except DevstackError as error:
            if error.code not in ("RUN_UNKNOWN", "KUBEFLOW_UNREACHABLE"):
                raise
            errors.append(error)
    raise errors[-1]


def _find(stack: Stack, client: PipelinesClient, name: str) -> PipelineRun:
    workflow = _workflow_named(stack, name)
    run_id = workflow["metadata"]["labels"][PIPELINE_RUN_LABEL] if workflow else name
    try:
        return find_run(client, run_id)
    except PipelinesUnavailableError:
        workflow = workflow or _workflow_of_run(stack, name.removeprefix(METAFLOW_PREFIX))
        if workflow is None:
            raise
        # The cluster knows what it does, and the workflow's annotations name the run.
        return _run_of(workflow)


def _workflow_named(stack: Stack, name: str) -> Object | None:
    """Return the workflow of this name if it is a run of Kubeflow Pipelines."""
    found = stack.kube().find(ARGO, "Workflow", name, stack.state.namespace)
    if found is None or PIPELINE_RUN_LABEL not in (found["metadata"].get("labels") or {}):
        return None
    return found


def _workflow_of_run(stack: Stack, run_id: str) -> Object | None:
    """Return the workflow of a run's id, which may be any text."""
    labels = PIPELINE_RUN_LABEL
    found = stack.kube().list_objects(ARGO, "Workflow", stack.state.namespace, labels=labels)
    return next((each for each in found if each["metadata"]["labels"][labels] == run_id), None)


def _run_of(workflow: Object) -> PipelineRun:
    run_id = workflow["metadata"]["labels"][PIPELINE_RUN_LABEL]
    return PipelineRun(pipeline_run_name(workflow), run_id, "unknown", "manual", None, None)


def _subject(run: PipelineRun, workflow: Object) -> str:
    flow = _flow_of(workflow)
    name = f"{flow}/{run.metaflow_id}" if flow else run.run_id
    return f"run {name} of {run.template or pipeline_run_name(workflow)}"


def _flow_of(workflow: Object) -> str:
    """Return the flow's class; empty for a pipeline that Metaflow has not made."""
    for template in workflow["spec"].get("templates") or []:
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        if flow := annotations.get(_FLOW):
            return str(flow)
    return ""


def _without_workflow(run: PipelineRun) -> Answer:
    """Answer with what the API knows: Argo deletes workflows after a week."""
    subject = f"run {run.metaflow_id} of {run.template or 'a pipeline that was deleted'}"
    if run.state == "succeeded":
        return Answer(subject, "ended", f"it succeeded in {run.seconds or 0.0:.1f} s")
    if run.finished:
        because = run.message or f"it ended as {run.state}"
        return Answer(subject, "failed", f"{because}; its workflow is deleted, with the logs")
    because = "its workflow does not exist"
    return Answer(subject, "stuck", because, f"devstack kubeflow trigger {run.template}".rstrip())
