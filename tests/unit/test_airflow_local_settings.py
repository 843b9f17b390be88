"""What Airflow gives every task; the file itself, with stand-ins for Airflow's objects."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from devstack.images.airflow import ROOTFS

PROVIDER = "airflow.providers.cncf.kubernetes.utils.pod_manager"


class KubernetesPodOperator:
    """Stands for the provider's operator."""


class MetaflowKubernetesOperator(KubernetesPodOperator):
    """Stands for the operator that Metaflow's DAG files define."""


class PodManager:
    """Stands for the provider's manager of one pod."""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # So that this process keeps its own asynchronous client.
    monkeypatch.setenv("DEVSTACK_AIRFLOW_PART", "triggerer")
    monkeypatch.setitem(sys.modules, PROVIDER, SimpleNamespace(PodManager=PodManager))
    spec = importlib.util.spec_from_file_location(
        "settings_under_test", ROOTFS / "opt" / "devstack" / "airflow_local_settings.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_starting_pod_is_looked_at_often(settings: ModuleType) -> None:
    task: Any = MetaflowKubernetesOperator()
    settings.task_policy(task)
    assert task.startup_check_interval_seconds < 1


def test_a_mapped_task_gets_it_as_an_argument(settings: ModuleType) -> None:
    task = SimpleNamespace(partial_kwargs={}, operator_class=MetaflowKubernetesOperator)
    settings.task_policy(task)
    assert task.partial_kwargs["startup_check_interval_seconds"] < 1


def test_other_tasks_are_left_alone(settings: ModuleType) -> None:
    task = SimpleNamespace()
    settings.task_policy(task)
    assert vars(task) == {}


def test_the_sidecar_runs_what_the_node_has(
    settings: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSTACK_XCOM_IMAGE", "devstack/xcom:1")
    base = SimpleNamespace(name="base", image="task:1", image_pull_policy=None)
    sidecar = SimpleNamespace(name="airflow-xcom-sidecar", image="alpine", image_pull_policy=None)
    pod = SimpleNamespace(spec=SimpleNamespace(containers=[base, sidecar]))
    settings.pod_mutation_hook(pod)
    assert (sidecar.image, sidecar.image_pull_policy) == ("devstack/xcom:1", "IfNotPresent")
    assert (base.image, base.image_pull_policy) == ("task:1", None)


def test_the_end_of_a_pod_is_waited_for(
    settings: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases = iter(["Running", "Running", "Succeeded"])
    slept: list[float] = []
    monkeypatch.setattr(settings.time, "sleep", slept.append)

    def read_pod(_pod: object) -> Any:
        return SimpleNamespace(status=SimpleNamespace(phase=next(phases), container_statuses=None))

    ended = settings._await_pod_completion(SimpleNamespace(read_pod=read_pod), "pod")
    assert ended.status.phase == "Succeeded"
    assert len(slept) == 2


def test_the_stand_in_has_what_the_provider_names(
    settings: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", ".client", ".config"):
        monkeypatch.delitem(sys.modules, f"kubernetes_asyncio{name}", raising=False)
    settings.leave_out_async_client()
    import kubernetes_asyncio

    assert kubernetes_asyncio.client.CoreV1Api
    for name in ("", ".client", ".config"):
        del sys.modules[f"kubernetes_asyncio{name}"]
