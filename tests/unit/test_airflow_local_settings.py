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


class PodLaunchFailedException(Exception):  # noqa: N818
    """Stands for what the provider raises of a pod that does not start."""


_PROVIDER = SimpleNamespace(
    PodManager=PodManager, PodLaunchFailedException=PodLaunchFailedException
)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # So that this process keeps its own asynchronous client.
    monkeypatch.setenv("DEVSTACK_AIRFLOW_PART", "triggerer")
    monkeypatch.setitem(sys.modules, PROVIDER, _PROVIDER)
    spec = importlib.util.spec_from_file_location(
        "settings_under_test", ROOTFS / "opt" / "devstack" / "airflow_local_settings.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "task",
    [
        MetaflowKubernetesOperator(),
        SimpleNamespace(partial_kwargs={}, operator_class=MetaflowKubernetesOperator),
    ],
    ids=["a task", "a mapped task"],
)
def test_pods_are_looked_at_in_our_way(
    settings: ModuleType, task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("await_pod_start", "await_pod_completion", "container_is_running"):
        monkeypatch.setattr(PodManager, name, None, raising=False)
    settings.task_policy(task)
    assert PodManager.await_pod_start is settings._await_pod_start  # type: ignore[attr-defined]


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


def _pod(phase: str, *containers: tuple[str, int | None], restart: str = "Never") -> Any:
    """Return a pod as the client has it; a container without an exit code runs."""
    states = [
        SimpleNamespace(
            name=name,
            state=SimpleNamespace(
                running=code is None or None,
                terminated=None if code is None else SimpleNamespace(exit_code=code),
            ),
        )
        for name, code in containers
    ]
    return SimpleNamespace(
        spec=SimpleNamespace(containers=states, restart_policy=restart),
        status=SimpleNamespace(phase=phase, container_statuses=states),
    )


class _Manager:
    """Reads the pods it was given, one after the other."""

    def __init__(self, *pods: Any) -> None:
        self.left = list(pods)
        self.warnings: list[str] = []
        self.log = SimpleNamespace(warning=lambda _text, name: self.warnings.append(name))

    def read_pod(self, _pod: object) -> Any:
        return self.left.pop(0)


SIDECAR = "airflow-xcom-sidecar"
POD = SimpleNamespace(metadata=SimpleNamespace(name="task-1"))


@pytest.fixture
def slept(settings: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The sleeps, which do not happen."""
    found: list[float] = []
    now = iter(float(number) for number in range(100))
    monkeypatch.setattr(settings.time, "sleep", found.append)
    monkeypatch.setattr(settings.time, "monotonic", lambda: next(now))
    return found


def test_the_start_of_a_pod_is_waited_for_in_silence(
    settings: ModuleType, slept: list[float]
) -> None:
    pending = _pod("Pending", ("base", None))
    settings._await_pod_start(_Manager(pending, pending, _pod("Running", ("base", None))), POD)
    assert len(slept) == 2


def test_a_pod_that_does_not_start_is_told_of_and_given_up(
    settings: ModuleType, slept: list[float]
) -> None:
    manager = _Manager(*[_pod("Pending", ("base", None))] * 50)
    with pytest.raises(PodLaunchFailedException, match="devstack why task-1"):
        settings._await_pod_start(manager, POD, startup_timeout=30)
    assert manager.warnings == ["task-1"] * 2


def test_the_end_of_a_pod_is_waited_for(settings: ModuleType, slept: list[float]) -> None:
    running = _pod("Running", ("base", None))
    manager = _Manager(running, running, _pod("Succeeded", ("base", 0)))
    assert settings._await_pod_completion(manager, "pod").status.phase == "Succeeded"
    assert len(slept) == 2


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
def test_a_sidecar_that_was_told_to_end_is_not_waited_for(
    settings: ModuleType, slept: list[float], code: int, phase: str
) -> None:
    manager = _Manager(_pod("Running", ("base", code), (SIDECAR, None)))
    assert settings._await_pod_completion(manager, "pod").status.phase == phase
    assert slept == []


@pytest.mark.parametrize(
    "unfinished",
    [
        _pod("Running", ("base", 0), ("helper", None), (SIDECAR, None)),
        _pod("Running", ("base", 1), (SIDECAR, None), restart="OnFailure"),
        _pod("Running", ("base", 0)),
    ],
    ids=["another container runs", "the task may be started again", "no sidecar"],
)
def test_anything_else_of_a_pod_is_waited_for(
    settings: ModuleType, slept: list[float], unfinished: Any
) -> None:
    manager = _Manager(unfinished, _pod("Failed", ("base", 1)))
    assert settings._await_pod_completion(manager, "pod").status.phase == "Failed"
    assert len(slept) == 1


def test_the_end_of_a_container_whose_log_has_ended_is_waited_for(
    settings: ModuleType, slept: list[float]
) -> None:
    manager = _Manager(_pod("Running", ("base", None)), _pod("Running", ("base", 0)))
    assert settings._container_is_running(manager, "pod", "base") is False
    assert len(slept) == 1


def test_a_container_that_goes_on_runs(settings: ModuleType, slept: list[float]) -> None:
    manager = _Manager(*[_pod("Running", ("base", None))] * 9)
    assert settings._container_is_running(manager, "pod", "base") is True
    assert slept


def test_a_sidecar_that_runs_is_told_at_once(settings: ModuleType, slept: list[float]) -> None:
    manager = _Manager(_pod("Running", ("base", 0), (SIDECAR, None)))
    assert settings._container_is_running(manager, "pod", SIDECAR) is True
    assert slept == []


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
