from __future__ import annotations

from pathlib import Path

import pytest

from devstack import tools
from devstack.errors import DevstackError, ExitStatus
from devstack.lifecycle.logs import LogTarget, log_arguments, log_targets, read_logs
from devstack.lifecycle.up import up
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService
from tests.fakes.api import pod
from tests.fakes.stack import World


@pytest.fixture
def ready(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    up(world.open())
    monkeypatch.setattr(tools, "ensure_kubectl", lambda *_arguments, **_options: Path("kubectl"))
    pods = {
        ("devstack", "minio-0"): "minio",
        ("metaflow", "rbac-1"): "rbac",
        ("metaflow", "t-hello-abc"): "",
        ("kube-system", "coredns-1"): "",
    }
    for (namespace, name), service in pods.items():
        labels = {"app.kubernetes.io/name": service} if service else {}
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        ready_pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
        world.api.objects[f"/api/v1/pods/{namespace}.{name}"] = ready_pod
    return world


def labels(world: World, target: str | None) -> list[str]:
    return [each.label for each in log_targets(world.open(), target)]


def test_without_a_target_the_pods_of_all_services_are_selected(ready: World) -> None:
    assert labels(ready, None) == ["devstack/minio-0", "metaflow/rbac-1"]


@pytest.mark.parametrize("target", ["minio", "minio-0", "devstack/minio-0"])
def test_a_pod_is_found_by_service_by_name_and_by_namespace(ready: World, target: str) -> None:
    assert labels(ready, target) == ["devstack/minio-0"]


def test_installations_of_airflow_have_logs_of_their_own(ready: World) -> None:
    installations = [AirflowService(), AirflowService(Installation("team-a"))]
    ready.services += installations  # type: ignore[arg-type]
    for each in installations:
        namespace = each.installation.namespace
        ready.api.add(pod("scheduler-1", namespace, labels={"app.kubernetes.io/name": "airflow"}))
    assert labels(ready, "airflow") == ["airflow/scheduler-1"]
    assert labels(ready, "airflow-team-a") == ["airflow-team-a/scheduler-1"]


def test_any_pod_can_be_named(ready: World) -> None:
    assert labels(ready, "t-hello-abc") == ["metaflow/t-hello-abc"]


def test_an_empty_target_matches_no_pod(ready: World) -> None:
    with pytest.raises(DevstackError) as caught:
        labels(ready, "")
    assert caught.value.code == "TARGET_UNKNOWN"
    assert "''" in caught.value.message


def test_an_unknown_target_lists_the_services(ready: World) -> None:
    with pytest.raises(DevstackError) as caught:
        log_targets(ready.open(), "mino")
    assert caught.value.exit_status == ExitStatus.USAGE
    assert caught.value.code == "TARGET_UNKNOWN"
    assert "minio, rbac" in caught.value.remedy


def test_kubectl_runs_as_administrator(ready: World) -> None:
    stack = ready.open()
    target = LogTarget("devstack/minio-0", "devstack", "minio-0")
    argv = log_arguments(stack, target, tail=7, previous=True)
    assert argv == [
        "kubectl",
        f"--kubeconfig={stack.dir.admin_kubeconfig}",
        f"--cache-dir={stack.dir.kubectl_cache}",
        "logs",
        "minio-0",
        "--namespace",
        "devstack",
        "--all-containers",
        "--tail=7",
        "--previous",
    ]


def test_logs_that_cannot_be_read_are_reported_with_the_cause(ready: World) -> None:
    ready.runner.answer("kubectl", returncode=1, stderr="previous container not found\n")
    target = LogTarget("devstack/minio-0", "devstack", "minio-0")
    shown = read_logs(ready.open(), target, 7, True)
    assert (shown.text, shown.error) == ("", "previous container not found")
    assert ready.runner.calls[0].timeout is not None
