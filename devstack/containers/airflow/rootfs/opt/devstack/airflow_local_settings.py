"""Airflow's local settings: cluster policies for all tasks and pods.

Airflow imports this module by its name. docs/adr/0008-airflow.md has the reasons.
"""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType
from typing import Any

XCOM_CONTAINER = "airflow-xcom-sidecar"
XCOM_COMMAND = 'trap "exit 0" INT; while true; do sleep 0.2; done;'
"""The provider's command sleeps for a second, which would delay the end of every task."""

XCOM_FILE = "/airflow/xcom/return.json"
EMPTY_XCOM = "__airflow_xcom_result_empty__"
"""The provider's value for a task without a result."""
METAFLOW = ("app.kubernetes.io/part-of", "metaflow")
"""The label of Metaflow's task pods."""

POD_OPERATOR = "KubernetesPodOperator"
POLL_SECONDS = 0.2
"""Interval for polling a starting or ending pod; the provider's is 2 to 5 seconds."""
LOG_SECONDS = 10.0
"""Interval for logging that a pod has not started."""
ENDED = ("Succeeded", "Failed")
STATUS_SECONDS = 1.5
"""Delay between a container's end and its status; the kubelet polls every second."""


def stub_async_client() -> None:
    """Replace the asynchronous Kubernetes client by empty modules.

    The provider imports it with KubernetesPodOperator, which takes 60 MB and more
    than a second of each task and of each parsed file. Only the triggerer calls
    it; elsewhere, one name is used in a type annotation.
    """
    package = ModuleType("kubernetes_asyncio")
    for name in ("client", "config"):
        module = ModuleType(f"{package.__name__}.{name}")
        setattr(package, name, module)
        sys.modules[module.__name__] = module
    package.client.CoreV1Api = type("CoreV1Api", (), {})  # type: ignore[attr-defined]
    sys.modules[package.__name__] = package


if os.environ.get("DEVSTACK_AIRFLOW_PART") != "triggerer":
    stub_async_client()


def pool_connections() -> None:
    """Let task processes pool their database connections.

    Airflow opens a connection for each use, 25 in the life of a task. That
    protects databases with many workers; here are four concurrent tasks.
    """
    from airflow import settings

    original = settings.prepare_engine_args

    def prepare_engine_args(
        disable_connection_pool: bool = False, pool_class: Any = None
    ) -> dict[str, Any]:
        return original(disable_connection_pool=False, pool_class=pool_class)

    settings.prepare_engine_args = prepare_engine_args


def own_connections() -> None:
    """Let each forked process open its own database connections, and leave its parent's alone.

    Airflow's scheduler forks the server of its health with an open connection. Both used it: the
    scheduler got the answer to the other's query, and ended or waited forever. Processes of tasks
    closed the connections of their parents, which then connected again.
    """
    from airflow import settings

    def leave_connections() -> None:
        engine = getattr(settings, "engine", None)
        if engine is not None:
            engine.dispose(close=False)

    os.register_at_fork(after_in_child=leave_connections)


# Airflow imports this module before it first connects, and has imported its settings by then.
pool_connections()
own_connections()


def task_policy(task: Any) -> None:
    """Replace the provider's methods that wait for a pod, once an operator uses them."""
    # A mapped task has no operator yet, only its class.
    operator = task.operator_class if hasattr(task, "partial_kwargs") else type(task)
    if all(each.__name__ != POD_OPERATOR for each in operator.__mro__):
        return
    # Not at the top: Airflow imports this module before providers can be imported.
    from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager

    if PodManager.await_pod_start is _await_pod_start:
        return
    PodManager.await_pod_start = _await_pod_start
    PodManager.await_pod_completion = _await_pod_completion
    PodManager.container_is_running = _container_is_running
    for name, ours in (
        ("await_xcom_sidecar_container_start", _skip_sidecar_wait),
        ("extract_xcom", _read_termination_message),
    ):
        setattr(PodManager, name, _unless_sidecar(ours, getattr(PodManager, name)))


def _unless_sidecar(ours: Any, theirs: Any) -> Any:
    """Return a method that calls ``theirs`` for pods with a sidecar, and ``ours`` for others."""

    def method(manager: Any, pod: Any, *arguments: Any, **options: Any) -> Any:
        has_sidecar = any(each.name == XCOM_CONTAINER for each in pod.spec.containers)
        return (theirs if has_sidecar else ours)(manager, pod, *arguments, **options)

    return method


def _skip_sidecar_wait(_manager: Any, _pod: Any, **_options: Any) -> None:
    """Return immediately."""


def _read_termination_message(manager: Any, pod: Any) -> str:
    """Return the result of a task without a sidecar: its container's termination message."""
    ended = manager.await_pod_completion(pod).status.container_statuses or []
    messages = [each.state.terminated.message for each in ended if each.state.terminated]
    return next((message for message in messages if message), EMPTY_XCOM)


def _await_pod_start(
    manager: Any, pod: Any, startup_timeout: float = 120, startup_check_interval: float = 1
) -> None:
    """Wait like the provider's method, but without a warning for each poll."""
    began = logged = time.monotonic()
    while manager.read_pod(pod).status.phase == "Pending":
        now = time.monotonic()
        if now - began >= startup_timeout:
            from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchFailedException

            raise PodLaunchFailedException(
                f"Pod took longer than {startup_timeout} seconds to start. "
                f"See why: devstack why {pod.metadata.name}"
            )
        if now - logged >= LOG_SECONDS:
            manager.log.warning("Pod not yet started: %s", pod.metadata.name)
            logged = now
        time.sleep(min(POLL_SECONDS, startup_check_interval))


def _container_is_running(manager: Any, pod: Any, container_name: str) -> bool:
    """Return True if a container runs, like the provider's method.

    The provider calls it at the end of a task's log, just before the container's
    status changes. If it returned True then, the provider would read the log again
    after a second, with a warning and the last lines twice.
    """
    deadline = time.monotonic() + STATUS_SECONDS
    while True:
        states = manager.read_pod(pod).status.container_statuses or []
        running = any(each.name == container_name and each.state.running for each in states)
        if not running or container_name == XCOM_CONTAINER or time.monotonic() > deadline:
            return running
        time.sleep(POLL_SECONDS)


def _await_pod_completion(
    manager: Any, pod: Any, istio_enabled: bool = False, container_name: str = "base"
) -> Any:
    """Wait like the provider's method; with Istio, only for the task's container.

    It ignores the sidecar, which has been stopped after its file was read; the pod
    is deleted next. A pod whose containers have all ended is finished (definition of
    the pod's phase), but the kubelet reports it a second later.
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
        time.sleep(POLL_SECONDS)


def _ended(pod: Any) -> dict[str, int]:
    """Return the exit codes of a pod's containers that have ended."""
    states = pod.status.container_statuses or []
    return {each.name: each.state.terminated.exit_code for each in states if each.state.terminated}


def pod_mutation_hook(pod: Any) -> None:
    """Remove the sidecar of Metaflow's pods; set a local image for that of others."""
    label, metaflow = METAFLOW
    if (pod.metadata.labels or {}).get(label) == metaflow:
        _use_termination_message(pod)
    for container in pod.spec.containers:
        if container.name == XCOM_CONTAINER:
            # The provider's image has no tag, so the kubelet would pull it.
            container.image = os.environ.get("DEVSTACK_XCOM_IMAGE", container.image)
            container.image_pull_policy = "IfNotPresent"
            container.command = ["sh", "-c", XCOM_COMMAND]


def _use_termination_message(pod: Any) -> None:
    """Return a task's result by its container's termination message, without a sidecar.

    The result of Metaflow's tasks, an id and a number of items, is far shorter than
    the limit of 4096 bytes (Kubernetes API, Container, terminationMessagePath). A
    second container, and two commands in it, would take half a second per task.
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
