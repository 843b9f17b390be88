"""What every task of this Airflow is given; Airflow imports it by its name.

Metaflow's DAG files are not touched: what they leave to Airflow is chosen here.
"""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType
from typing import Any

XCOM_CONTAINER = "airflow-xcom-sidecar"
XCOM_COMMAND = 'trap "exit 0" INT; while true; do sleep 0.2; done;'
"""Provider's own sleeps for a whole second, by which every task would end later."""

POD_OPERATOR = "KubernetesPodOperator"
STARTING_SECONDS = 0.5
"""How often a starting pod is looked at; the provider's own is every five seconds."""
ENDING_SECONDS = 0.2
"""How often an ending pod is looked at; the provider's own is every two seconds."""
ENDED = ("Succeeded", "Failed")


def leave_out_async_client() -> None:
    """Put empty modules in the place of the asynchronous Kubernetes client.

    The provider imports it wherever a pod is run, which takes 60 MB and more
    than a second of each task and of each parsed file. Only the triggerer calls
    it; elsewhere one name is used, to say what type an argument has.
    """
    package = ModuleType("kubernetes_asyncio")
    for name in ("client", "config"):
        module = ModuleType(f"{package.__name__}.{name}")
        setattr(package, name, module)
        sys.modules[module.__name__] = module
    package.client.CoreV1Api = type("CoreV1Api", (), {})  # type: ignore[attr-defined]
    sys.modules[package.__name__] = package


if os.environ.get("DEVSTACK_AIRFLOW_PART") != "triggerer":
    leave_out_async_client()


def task_policy(task: Any) -> None:
    """Look at a pod's start and end more often than the provider does."""
    # A mapped task has no operator yet, but the arguments that it will be made with.
    mapped = getattr(task, "partial_kwargs", None)
    operator = task.operator_class if mapped is not None else type(task)
    if all(each.__name__ != POD_OPERATOR for each in operator.__mro__):
        return
    if mapped is not None:
        mapped["startup_check_interval_seconds"] = STARTING_SECONDS
    else:
        task.startup_check_interval_seconds = STARTING_SECONDS
    # The provider is imported by now; Airflow itself cannot do without this file before.
    from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager

    PodManager.await_pod_completion = _await_pod_completion


def _await_pod_completion(
    manager: Any, pod: Any, istio_enabled: bool = False, container_name: str = "base"
) -> Any:
    """Wait as the provider's own method does; with Istio the task's container counts."""
    while True:
        seen = manager.read_pod(pod)
        states = seen.status.container_statuses or []
        ended = [state for state in states if state.state.terminated]
        if seen.status.phase in ENDED or (
            istio_enabled and any(state.name == container_name for state in ended)
        ):
            return seen
        time.sleep(ENDING_SECONDS)


def pod_mutation_hook(pod: Any) -> None:
    """Use the sidecar's image that the node has; upstream's has no tag, so it would be pulled."""
    for container in pod.spec.containers:
        if container.name == XCOM_CONTAINER:
            container.image = os.environ.get("DEVSTACK_XCOM_IMAGE", container.image)
            container.image_pull_policy = "IfNotPresent"
            container.command = ["sh", "-c", XCOM_COMMAND]
