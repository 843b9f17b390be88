"""Airflow's local settings, with fakes of Airflow's objects."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from devstack.images.recipes.airflow import ROOTFS

SIDECAR = "airflow-xcom-sidecar"
PROVIDER = "airflow.providers.cncf.kubernetes.utils.pod_manager"


class KubernetesPodOperator:
    """Fake of the provider's operator."""


class MetaflowKubernetesOperator(KubernetesPodOperator):
    """Fake of the operator that Metaflow's DAG files define."""


class PodManager:
    """Fake of the provider's pod manager."""


class PodLaunchFailedException(Exception):  # noqa: N818
    """Fake of the provider's exception for a pod that does not start."""


_PROVIDER = SimpleNamespace(
    PodManager=PodManager, PodLaunchFailedException=PodLaunchFailedException
)


def prepare_engine_args(disable_connection_pool: bool = False, pool_class: Any = None) -> Any:
    """Fake of Airflow's function."""
    return {"pooled": not disable_connection_pool, "poolclass": pool_class}


@pytest.fixture
def airflow_settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Airflow's module of settings."""
    package, module = ModuleType("airflow"), ModuleType("airflow.settings")
    package.settings = module  # type: ignore[attr-defined]
    module.prepare_engine_args = prepare_engine_args  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What the module lets each forked process call."""
    calls: list[Callable[[], None]] = []

    def register(*, after_in_child: Callable[[], None]) -> None:
        calls.append(after_in_child)

    monkeypatch.setattr("os.register_at_fork", register)
    return calls


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch,
    airflow_settings: ModuleType,
    forked: list[Callable[[], None]],
) -> ModuleType:
    # Keeps this process's own asynchronous client.
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


@pytest.mark.usefixtures("settings")
def test_a_task_process_pools_its_connections(airflow_settings: ModuleType) -> None:
    prepared = airflow_settings.prepare_engine_args(disable_connection_pool=True)
    assert prepared == {"pooled": True, "poolclass": None}
    chosen = airflow_settings.prepare_engine_args(pool_class="SingletonThreadPool")
    assert chosen["poolclass"] == "SingletonThreadPool"


@pytest.mark.parametrize(
    "task",
    [
        MetaflowKubernetesOperator(),
        SimpleNamespace(partial_kwargs={}, operator_class=MetaflowKubernetesOperator),
    ],
    ids=["a task", "a mapped task"],
)
def test_methods_that_wait_for_pods_are_replaced(
    settings: ModuleType, task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager: Any = PodManager
    for name in (
        "await_pod_start",
        "await_pod_completion",
        "container_is_running",
        "await_xcom_sidecar_container_start",
        "extract_xcom",
    ):
        monkeypatch.setattr(manager, name, None, raising=False)
    settings.task_policy(task)
    changed = manager.extract_xcom
    assert manager.await_pod_start is settings._await_pod_start
    settings.task_policy(task)
    assert manager.extract_xcom is changed


def test_other_tasks_replace_nothing(settings: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    task, manager = SimpleNamespace(), PodManager
    monkeypatch.setattr(manager, "await_pod_start", None, raising=False)
    settings.task_policy(task)
    assert vars(task) == {}
    assert manager.await_pod_start is None  # type: ignore[attr-defined]


def _request(**labels: str) -> Any:
    """Return the pod that the provider creates, with the sidecar and the shared volume."""
    shared = SimpleNamespace(name="xcom")
    own = SimpleNamespace(name="own")
    base = SimpleNamespace(
        name="base", image="task:1", image_pull_policy=None, volume_mounts=[own, shared]
    )
    sidecar = SimpleNamespace(
        name=SIDECAR, image="alpine", image_pull_policy=None, volume_mounts=[shared]
    )
    return SimpleNamespace(
        metadata=SimpleNamespace(labels=labels),
        spec=SimpleNamespace(containers=[base, sidecar], volumes=[own, shared]),
    )


def test_the_sidecar_uses_the_local_image(
    settings: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSTACK_XCOM_IMAGE", "devstack/xcom:1")
    pod = _request(app="mine")
    settings.pod_mutation_hook(pod)
    base, sidecar = pod.spec.containers
    assert (sidecar.image, sidecar.image_pull_policy) == ("devstack/xcom:1", "IfNotPresent")
    assert (base.image, base.image_pull_policy) == ("task:1", None)


def test_a_metaflow_task_returns_its_result_without_a_sidecar(settings: ModuleType) -> None:
    pod = _request(**{"app.kubernetes.io/part-of": "metaflow"})
    settings.pod_mutation_hook(pod)
    (task,) = pod.spec.containers
    assert task.termination_message_path == "/airflow/xcom/return.json"
    assert [each.name for each in task.volume_mounts] == ["own"]
    assert [each.name for each in pod.spec.volumes] == ["own"]


def test_a_metaflow_pod_with_more_containers_keeps_its_sidecar(settings: ModuleType) -> None:
    pod = _request(**{"app.kubernetes.io/part-of": "metaflow"})
    pod.spec.containers.append(SimpleNamespace(name="proxy"))
    settings.pod_mutation_hook(pod)
    assert [each.name for each in pod.spec.containers] == ["base", SIDECAR, "proxy"]


@pytest.mark.parametrize(
    ("message", "handed_over"), [('{"n": 1}', '{"n": 1}'), (None, "__airflow_xcom_result_empty__")]
)
def test_a_tasks_result_is_read_from_the_pods_status(
    settings: ModuleType, message: str | None, handed_over: str
) -> None:
    method = settings._unless_sidecar(
        settings._read_termination_message, lambda *_: "read from the sidecar"
    )
    pod = _pod("Running", ("base", 0))
    pod.status.container_statuses[0].state.terminated.message = message
    manager = _Manager(pod)
    manager.await_pod_completion = manager.read_pod
    assert method(manager, pod) == handed_over


def test_the_result_of_a_pod_with_a_sidecar_is_read_by_the_provider(settings: ModuleType) -> None:
    method = settings._unless_sidecar(
        settings._read_termination_message, lambda *_: "read from the sidecar"
    )
    assert method(None, _pod("Running", ("base", 0), (SIDECAR, None))) == "read from the sidecar"


def _pod(phase: str, *containers: tuple[str, int | None], restart: str = "Never") -> Any:
    """Return a pod of the Kubernetes client; a container without an exit code is running."""
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
    """Returns the given pods, one for each read."""

    await_pod_completion: Any

    def __init__(self, *pods: Any) -> None:
        self.left = list(pods)
        self.warnings: list[str] = []
        self.log = SimpleNamespace(warning=lambda _text, name: self.warnings.append(name))

    def read_pod(self, _pod: object) -> Any:
        return self.left.pop(0)


POD = SimpleNamespace(metadata=SimpleNamespace(name="task-1"))


@pytest.fixture
def slept(settings: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records sleeps instead of sleeping."""
    found: list[float] = []
    now = iter(float(number) for number in range(100))
    monkeypatch.setattr(settings.time, "sleep", found.append)
    monkeypatch.setattr(settings.time, "monotonic", lambda: next(now))
    return found


def test_the_start_of_a_pod_is_awaited_without_log_messages(
    settings: ModuleType, slept: list[float]
) -> None:
    pending = _pod("Pending", ("base", None))
    settings._await_pod_start(_Manager(pending, pending, _pod("Running", ("base", None))), POD)
    assert len(slept) == 2


def test_a_pod_that_does_not_start_is_logged_and_then_an_error(
    settings: ModuleType, slept: list[float]
) -> None:
    manager = _Manager(*[_pod("Pending", ("base", None))] * 50)
    with pytest.raises(PodLaunchFailedException, match="devstack why task-1"):
        settings._await_pod_start(manager, POD, startup_timeout=30)
    assert manager.warnings == ["task-1"] * 2


def test_the_end_of_a_pod_is_awaited(settings: ModuleType, slept: list[float]) -> None:
    running = _pod("Running", ("base", None))
    manager = _Manager(running, running, _pod("Succeeded", ("base", 0)))
    assert settings._await_pod_completion(manager, "pod").status.phase == "Succeeded"
    assert len(slept) == 2


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
@pytest.mark.parametrize("beside", [(), ((SIDECAR, None),)], ids=["alone", "with a sidecar"])
def test_a_pod_whose_task_has_ended_is_finished(
    settings: ModuleType, slept: list[float], code: int, phase: str, beside: Any
) -> None:
    manager = _Manager(_pod("Running", ("base", code), *beside))
    assert settings._await_pod_completion(manager, "pod").status.phase == phase
    assert slept == []


@pytest.mark.parametrize(
    "unfinished",
    [
        _pod("Running", ("base", 0), ("helper", None), (SIDECAR, None)),
        _pod("Running", ("base", 1), (SIDECAR, None), restart="OnFailure"),
    ],
    ids=["another container runs", "the task may be started again"],
)
def test_other_containers_of_a_pod_are_awaited(
    settings: ModuleType, slept: list[float], unfinished: Any
) -> None:
    manager = _Manager(unfinished, _pod("Failed", ("base", 1)))
    assert settings._await_pod_completion(manager, "pod").status.phase == "Failed"
    assert len(slept) == 1


def test_the_end_of_a_container_whose_log_has_ended_is_awaited(
    settings: ModuleType, slept: list[float]
) -> None:
    manager = _Manager(_pod("Running", ("base", None)), _pod("Running", ("base", 0)))
    assert settings._container_is_running(manager, "pod", "base") is False
    assert len(slept) == 1


def test_a_container_that_continues_is_running(settings: ModuleType, slept: list[float]) -> None:
    manager = _Manager(*[_pod("Running", ("base", None))] * 9)
    assert settings._container_is_running(manager, "pod", "base") is True
    assert slept


def test_a_running_sidecar_is_reported_immediately(
    settings: ModuleType, slept: list[float]
) -> None:
    manager = _Manager(_pod("Running", ("base", 0), (SIDECAR, None)))
    assert settings._container_is_running(manager, "pod", SIDECAR) is True
    assert slept == []


def test_the_stub_has_the_names_that_the_provider_uses(
    settings: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", ".client", ".config"):
        monkeypatch.delitem(sys.modules, f"kubernetes_asyncio{name}", raising=False)
    settings.stub_async_client()
    import kubernetes_asyncio

    assert kubernetes_asyncio.client.CoreV1Api
    for name in ("", ".client", ".config"):
        del sys.modules[f"kubernetes_asyncio{name}"]


def test_a_forked_process_leaves_its_parents_database_connections(
    settings: ModuleType, airflow_settings: ModuleType, forked: list[Callable[[], None]]
) -> None:
    disposed: list[dict[str, bool]] = []
    forked[0]()  # before Airflow has an engine
    airflow_settings.engine = SimpleNamespace(  # type: ignore[attr-defined]
        dispose=lambda **options: disposed.append(options)
    )
    forked[0]()
    assert disposed == [{"close": False}]
