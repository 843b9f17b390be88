"""Find deployments, runs and tasks by the names that users type."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.deployers.errors import deployment_error
from devstack.deployers.names import suggestion, unknown_task
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient, Object
from devstack.kube.workflows import Node, Workflow, flow_templates, list_workflows


def find_template(kube: KubeClient, namespace: str, name: str) -> Object:
    """Return a deployment by its name, or by the flow's if unique.

    Raises:
        DevstackError: ``DEPLOYMENT_UNKNOWN``, or ``DEPLOYMENT_AMBIGUOUS`` with the candidates.
    """
    templates = list(flow_templates(kube, namespace))
    by_name = {str(each["metadata"]["name"]): each for each in templates}
    if name in by_name:
        return by_name[name]
    matches = [each for each in templates if flow_of(each) == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(str(each["metadata"]["name"]) for each in matches)
        raise deployment_error(f"several deployments of {name}", names, "use its name", "AMBIGUOUS")
    meant = suggestion(name, [*by_name, *map(flow_of, templates)])
    raise deployment_error(
        f"Argo has no deployment {name!r}",
        f"it has {', '.join(by_name)}" if by_name else "it has none",
        f"{meant}`devstack argo deploy FLOW.py` deploys a flow",
        "UNKNOWN",
    )


def flow_of(template: Object) -> str:
    """Return the flow's class of a deployment."""
    return str(template["metadata"]["annotations"]["metaflow/flow_name"])


def runs_of(kube: KubeClient, namespace: str, name: str = "") -> list[Workflow]:
    """Return the runs of a deployment, or of all; the latest first."""
    found = list_workflows(kube, namespace, name)
    return [run for run in found if run.template]


def find_run(kube: KubeClient, namespace: str, name: str) -> Workflow:
    """Return a run.

    Args:
        kube: the API.
        namespace: the namespace of workflows.
        name: Argo's name or Metaflow's id (``argo-myflow-x2k9q``), optionally after ``FLOW/``;
            or a deployment or a flow, for its latest run.

    Raises:
        DevstackError: ``RUN_UNKNOWN``.
    """
    runs = runs_of(kube, namespace)
    run_id = name.rpartition("/")[2]
    for run in runs:
        if run_id in (run.run_id, run.metaflow_id):
            return run
    flows = {
        str(each["metadata"]["name"]): flow_of(each) for each in flow_templates(kube, namespace)
    }
    for run in runs:
        if name in (run.template, flows.get(run.template)):
            return run
    raise DevstackError(
        f"Argo has no run {name!r}",
        cause="it is not the name of a deployment, a workflow or a Metaflow run",
        remedy="devstack argo runs",
        code="RUN_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )


def find_tasks(nodes: Sequence[Node], name: str) -> list[Node]:
    """Return the tasks given by name: ``work[2]``, ``work`` for all of its items, or all.

    Raises:
        DevstackError: ``TASK_UNKNOWN`` with the existing tasks.
    """
    # Argo's names have no underscores.
    wanted = name.replace("_", "-")
    found = [node for node in nodes if wanted in ("", node.name, node.step)]
    if found:
        return found
    raise unknown_task(name, [node.name for node in nodes])
