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

XCOM_FILE = "/airflow/xcom/return.json"
EMPTY_XCOM = "__airflow_xcom_result_empty__"
"""What the provider takes for a task that hands over nothing."""
METAFLOW = ("app.kubernetes.io/part-of", "metaflow")
"""The label of Metaflow's task pods."""

POD_OPERATOR = "KubernetesPodOperator"
LOOK_SECONDS = 0.2
"""How often a starting or ending pod is looked at; the provider's own is every 2 to 5 seconds."""
TELL_SECONDS = 10.0
"""How often a pod that does not start is told of in the task's log."""
ENDED = ("Succeeded", "Failed")
REPORTED_SECONDS = 1.5
"""How long after a container's last word its end may go unseen: the kubelet looks every second."""


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


def keep_connections() -> None:
    """Let a process keep its connections to the database.

    Airflow has those of tasks make one for each use, 25 in the life of a task. It
    spares databases with many workers; here are four tasks at a time.
    """
    from airflow import settings

    own = settings.prepare_engine_args

    def prepare_engine_args(
        disable_connection_pool: bool = False, pool_class: Any = None
    ) -> dict[str, Any]:
        return own(disable_connection_pool=False, pool_class=pool_class)

    settings.prepare_engine_args = prepare_engine_args


# Airflow imports this file before it first connects, and not without that module.
keep_connections()


def task_policy(task: Any) -> None:
    """Look at a pod's start and end more often than the provider does."""
    # A mapped task has no operator yet, but the class that it will be made of.
    operator = task.operator_class if hasattr(task, "partial_kwargs") else type(task)
    if all(each.__name__ != POD_OPERATOR for each in operator.__mro__):
        return
    # The provider is imported by now; Airflow itself cannot do without this file before.
    from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager

    if PodManager.await_pod_start is _await_pod_start:
        return
    PodManager.await_pod_start = _await_pod_start
    PodManager.await_pod_completion = _await_pod_completion
    PodManager.container_is_running = _container_is_running
    for name, ours in (
        ("await_xcom_sidecar_container_start", _no_sidecar_to_await),
        ("extract_xcom", _handed_over),
    ):
        setattr(PodManager, name, _where_no_sidecar(ours, getattr(PodManager, name)))


def _where_no_sidecar(ours: Any, theirs: Any) -> Any:
    """Return a method that is ``theirs`` for pods with a sidecar, and ``ours`` for others."""

    def method(manager: Any, pod: Any, *arguments: Any, **options: Any) -> Any:
        has_sidecar = any(each.name == XCOM_CONTAINER for each in pod.spec.containers)
        return (theirs if has_sidecar else ours)(manager, pod, *arguments, **options)

    return method


def _no_sidecar_to_await(_manager: Any, _pod: Any, **_options: Any) -> None:
    """Wait for nothing."""


def _handed_over(manager: Any, pod: Any) -> str:
    """Return what a task without a sidecar wrote into its file: the kubelet reports it."""
    ended = manager.await_pod_completion(pod).status.container_statuses or []
    messages = [each.state.terminated.message for each in ended if each.state.terminated]
    return next((message for message in messages if message), EMPTY_XCOM)


def _await_pod_start(
    manager: Any, pod: Any, startup_timeout: float = 120, startup_check_interval: float = 1
) -> None:
    """Wait as the provider's own method does, without a warning at every look."""
    began = told = time.monotonic()
    while manager.read_pod(pod).status.phase == "Pending":
        now = time.monotonic()
        if now - began >= startup_timeout:
            from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchFailedException

            raise PodLaunchFailedException(
                f"Pod took longer than {startup_timeout} seconds to start. "
                f"See why: devstack why {pod.metadata.name}"
            )
        if now - told >= TELL_SECONDS:
            manager.log.warning("Pod not yet started: %s", pod.metadata.name)
            told = now
        time.sleep(min(LOOK_SECONDS, startup_check_interval))


def _container_is_running(manager: Any, pod: Any, container_name: str) -> bool:
    """Tell whether a container runs, as the provider's own method does.

    It asks where a task's log has ended. The container's end comes a little
    later; taken for running, the log would be read again a second on, with a
    warning and the last lines twice.
    """
    deadline = time.monotonic() + REPORTED_SECONDS
    while True:
        states = manager.read_pod(pod).status.container_statuses or []
        running = any(each.name == container_name and each.state.running for each in states)
        if not running or container_name == XCOM_CONTAINER or time.monotonic() > deadline:
            return running
        time.sleep(LOOK_SECONDS)


def _await_pod_completion(
    manager: Any, pod: Any, istio_enabled: bool = False, container_name: str = "base"
) -> Any:
    """Wait as the provider's own method does; with Istio the task's container counts.

    The sidecar is not waited for: by now it has handed over its file and was told
    to end, and the pod is deleted next. A pod whose containers have all ended is
    over (its phase's definition); the kubelet says so a second later.
    """
    while True:
        seen = manager.read_pod(pod)
        ended = _ended(seen)
        if seen.status.phase in ENDED or (istio_enabled and container_name in ended):
            return seen
        names = {each.name for each in seen.spec.containers} - {XCOM_CONTAINER}
        if seen.spec.restart_policy == "Never" and set(ended) >= names:
            seen.status.phase = "Failed" if any(ended.values()) else "Succeeded"
            return seen
        time.sleep(LOOK_SECONDS)


def _ended(pod: Any) -> dict[str, int]:
    """Return the exit codes of a pod's containers that have ended."""
    states = pod.status.container_statuses or []
    return {each.name: each.state.terminated.exit_code for each in states if each.state.terminated}


def pod_mutation_hook(pod: Any) -> None:
    """Take the sidecar from Metaflow's pods, and give others the image that the node has."""
    label, metaflow = METAFLOW
    if (pod.metadata.labels or {}).get(label) == metaflow:
        _hand_over_by_message(pod)
    for container in pod.spec.containers:
        if container.name == XCOM_CONTAINER:
            # Upstream's image has no tag, so it would be pulled.
            container.image = os.environ.get("DEVSTACK_XCOM_IMAGE", container.image)
            container.image_pull_policy = "IfNotPresent"
            container.command = ["sh", "-c", XCOM_COMMAND]


def _hand_over_by_message(pod: Any) -> None:
    """Have the kubelet hand over a task's file, instead of a sidecar.

    What Metaflow's tasks hand over, their id and how many items follow, is far
    shorter than the 4096 bytes that a container may leave at its
    terminationMessagePath (Kubernetes API, Container). A second container, and two
    commands in it, take a task half a second.
    """
    sidecar = [each for each in pod.spec.containers if each.name == XCOM_CONTAINER]
    others = [each for each in pod.spec.containers if each.name != XCOM_CONTAINER]
    if not sidecar or len(others) != 1:
        return
    volume = next(each.name for each in sidecar[0].volume_mounts)
    (task,) = pod.spec.containers = others
    task.termination_message_path = XCOM_FILE
    task.volume_mounts = [each for each in task.volume_mounts if each.name != volume]
    pod.spec.volumes = [each for each in pod.spec.volumes if each.name != volume]
