"""The stack's Airflow, and all that is needed to work with it."""

from __future__ import annotations

from dataclasses import dataclass

from devstack import tools
from devstack.airflow.client import AirflowClient
from devstack.deployers.airflow.deliver import DagFolder
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient
from devstack.process import Runner
from devstack.services.airflow import service as airflow
from devstack.stack import Stack, require_up
from devstack.waits import Clock

SESSION_FILE = "airflow-session"
"""The session of the last login, in the stack's own directory."""


@dataclass(frozen=True)
class StackAirflow:
    """Airflow on one stack.

    Attributes:
        client: its REST API.
        folder: where it finds DAGs.
        kube: looks after its task pods.
        namespace: where these run.
        runner: starts programs.
        clock: tells the time.
        timeout: seconds that any single wait may take.
    """

    client: AirflowClient
    folder: DagFolder
    kube: KubeClient
    namespace: str
    runner: Runner
    clock: Clock
    timeout: float


def open_airflow(stack: Stack) -> StackAirflow:
    """Return the Airflow of a stack.

    Raises:
        DevstackError: ``STACK_DOWN``, or ``AIRFLOW_DISABLED`` where the stack has none.
    """
    require_up(stack)
    if not any(service.name == airflow.NAMESPACE for service in stack.services):
        raise DevstackError(
            "the stack has no Airflow",
            cause="it was brought up without it",
            remedy=f"devstack up --with airflow --name {stack.spec.name}",
            code="AIRFLOW_DISABLED",
            exit_status=ExitStatus.USAGE,
        )
    kube = stack.kube()
    return StackAirflow(
        client=_client(stack),
        folder=DagFolder(
            kube,
            tools.find_kubectl(stack.runner, stack.progress),
            stack.dir.admin_kubeconfig,
            stack.runner,
        ),
        kube=kube,
        namespace=stack.state.namespace,
        runner=stack.runner,
        clock=stack.clock,
        timeout=stack.spec.timeout,
    )


def _client(stack: Stack) -> AirflowClient:
    """Return a client that goes on with the session of the command before."""
    kept = stack.dir.path / SESSION_FILE
    return AirflowClient(
        airflow.url(stack.context(None)),
        stack.state.credential("airflow_admin_password"),
        cookie=kept.read_text() if kept.exists() else "",
        remember=lambda cookie: _keep(stack, cookie),
    )


def _keep(stack: Stack, cookie: str) -> None:
    stack.dir.write_file(SESSION_FILE, cookie)
