from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.images.archive_reader import read_archive
from devstack.kube.client import KubeClient
from devstack.owner import Owner
from devstack.providers import minikube as module
from devstack.providers.base import ClusterSpec
from devstack.providers.minikube import MinikubeProvider
from devstack.state import StackDir
from tests.fakes.api import FakeApi
from tests.fakes.runner import Call, FakeClock, FakeRunner, Recorder
from tests.fakes.stack import kubeconfig
from tests.unit.test_images_archive_reader import docker_archive

SPEC = ClusterSpec("ci", nodes=2, timeout=60)
PROFILE = ("minikube", "--profile", "devstack-ci")


@pytest.fixture
def stack(home: Path) -> StackDir:
    return StackDir("ci")


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


class FakeEngine:
    """The Docker engine that minikube uses."""

    def __init__(self) -> None:
        self.volumes: dict[str, dict[str, str]] = {}
        self.labels: list[str] = []

    def has_containers(self, label: str) -> bool:
        return label in self.labels

    def claim_volume(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return self.volumes.setdefault(name, dict(labels))

    def volume_labels(self, name: str) -> dict[str, str] | None:
        return self.volumes.get(name)

    def remove_volume(self, name: str) -> None:
        self.volumes.pop(name)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def provider(
    stack: StackDir, runner: FakeRunner, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> MinikubeProvider:
    monkeypatch.setattr(module, "engine_client", lambda _runner: engine)
    api = FakeApi()
    api.objects["/readyz"] = {}
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda *_a, **_o: api.client())
    return MinikubeProvider(stack, runner, FakeClock(), Recorder())


def write_kubeconfig(call: Call) -> None:
    path = Path(call.env["KUBECONFIG"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text(kubeconfig())


def test_a_missing_minikube_is_a_problem(provider: MinikubeProvider) -> None:
    (problem,) = provider.check(SPEC)
    assert problem.code == "MINIKUBE_MISSING"
    assert "install minikube" in problem.remedy


def test_a_profile_of_its_own_is_started_with_our_settings(
    provider: MinikubeProvider, runner: FakeRunner, stack: StackDir
) -> None:
    runner.answer(*PROFILE, "start", effect=write_kubeconfig)
    assert provider.check(SPEC) == []
    assert provider.ensure(SPEC) == kubeconfig()
    (call,) = runner.calls
    assert call.argv[:4] == (*PROFILE, "start")
    assert "--nodes=2" in call.argv
    assert "--listen-address=127.0.0.1" in call.argv
    gates = "GenericWorkload=true,InPlacePodLevelResourcesVerticalScaling=false"
    assert f"--feature-gates={gates}" in call.argv
    assert call.env == {"KUBECONFIG": str(stack.admin_kubeconfig)}
    assert call.timeout == 60


def test_a_failed_start_keeps_the_previous_kubeconfig(
    provider: MinikubeProvider, runner: FakeRunner, stack: StackDir
) -> None:
    stack.write_file("admin.kubeconfig", kubeconfig())
    stderr = "* minikube v1\nX Exiting due to DRV_NOT_DETECTED: No possible driver was detected\n"
    runner.answer(*PROFILE, "start", returncode=69, stderr=stderr)
    with pytest.raises(DevstackError) as caught:
        provider.ensure(SPEC)
    error = caught.value
    assert (error.code, error.exit_status) == ("MINIKUBE_FAILED", ExitStatus.ENVIRONMENT)
    assert error.cause == "DRV_NOT_DETECTED: No possible driver was detected"
    assert stack.admin_kubeconfig.read_text() == kubeconfig()


@pytest.mark.parametrize(
    ("output", "state"),
    [
        (json.dumps({"Name": "devstack-ci", "Host": "Running"}), "running"),
        (json.dumps([{"Host": "Stopped"}, {"Host": "Running"}]), "stopped"),
        (json.dumps({"Host": "Nonexistent"}), "absent"),
        ("", "absent"),
        ('* Profile "devstack-ci" not found.\n', "absent"),
    ],
)
def test_status_is_that_of_minikube(
    provider: MinikubeProvider, runner: FakeRunner, output: str, state: str
) -> None:
    runner.answer(*PROFILE, "status", returncode=7, stdout=output)
    assert provider.status(SPEC).state == state


def test_only_our_profile_is_deleted(provider: MinikubeProvider, runner: FakeRunner) -> None:
    runner.answer(*PROFILE, "delete")
    provider.delete(SPEC)
    assert runner.argvs == [(*PROFILE, "delete")]


def test_without_minikube_nothing_is_deleted(
    provider: MinikubeProvider, runner: FakeRunner
) -> None:
    provider.delete(SPEC)
    assert runner.calls == []


def test_images_of_users_are_loaded_and_listed_with_their_ids(
    provider: MinikubeProvider, runner: FakeRunner, tmp_path: Path
) -> None:
    listing = [
        {"id": "12ab", "repoTags": ["docker.io/library/app:1"]},
        {"id": "34", "repoTags": None},
    ]
    runner.answer(*PROFILE, "image", "list", stdout=json.dumps(listing))
    assert provider.image_ids(SPEC) == {"app:1": "sha256:12ab"}
    loaded: list[tuple[str, ...]] = []

    def load(call: Call) -> None:
        archive = read_archive(Path(call.argv[-1]), tmp_path)
        loaded.append(archive.references)

    runner.answer(*PROFILE, "image", "load", effect=load)
    provider.add_images(SPEC, read_archive(docker_archive(tmp_path / "a.tar", "app:1"), tmp_path))
    assert loaded == [("app:1",)]


def test_images_are_listed_without_the_default_registry(
    provider: MinikubeProvider, runner: FakeRunner
) -> None:
    runner.answer(*PROFILE, "image", "list", stdout="docker.io/devstack/minio:1\nquay.io/x:2\n")
    assert provider.images_present(SPEC) == {"devstack/minio:1", "quay.io/x:2"}
    runner.answer(*PROFILE, "image", "load")
    provider.load_images(SPEC, ["devstack/task:1"], lambda _: None)
    assert runner.argvs[-1] == (*PROFILE, "image", "load", "devstack/task:1")


def test_logs_go_into_one_file(
    provider: MinikubeProvider, runner: FakeRunner, tmp_path: Path
) -> None:
    runner.answer(*PROFILE, "logs")
    provider.collect_logs(SPEC, tmp_path)
    assert runner.argvs == [(*PROFILE, "logs", "--file", str(tmp_path / "minikube.log"))]


ALICE = Owner("/home/alice/.local/state/devstack/ci", "alice")
NODE_LABEL = "name.minikube.sigs.k8s.io=devstack-ci"


@pytest.mark.parametrize("claimed", [True, False])
def test_a_profile_of_another_owner_is_neither_started_nor_deleted(
    provider: MinikubeProvider, runner: FakeRunner, engine: FakeEngine, claimed: bool
) -> None:
    if claimed:
        engine.volumes["devstack-ci.owner"] = ALICE.labels()
    else:
        engine.labels = [NODE_LABEL]
    before = dict(engine.volumes)
    with pytest.raises(DevstackError) as caught:
        provider.ensure(SPEC)
    assert (caught.value.code, caught.value.exit_status) == (
        "CLUSTER_FOREIGN",
        ExitStatus.ENVIRONMENT,
    )
    assert not claimed or str(ALICE) in caught.value.cause
    with pytest.raises(DevstackError, match="belongs to"):
        provider.collect_logs(SPEC, Path("logs"))
    provider.delete(SPEC)
    assert provider.status(SPEC).state == "absent"
    assert runner.calls == []
    assert engine.volumes == before


def test_a_profile_is_claimed_before_it_is_started_and_released_after_it_is_deleted(
    provider: MinikubeProvider, runner: FakeRunner, stack: StackDir, engine: FakeEngine
) -> None:
    claims: list[bool] = []

    def note(call: Call) -> None:
        claims.append("devstack-ci.owner" in engine.volumes)

    def start(call: Call) -> None:
        note(call)
        write_kubeconfig(call)

    runner.answer(*PROFILE, "start", effect=start)
    runner.answer(*PROFILE, "delete", effect=note)
    provider.ensure(SPEC)
    assert provider.owner(SPEC) == stack.owner
    provider.delete(SPEC)
    assert claims == [True, True]
    assert engine.volumes == {}
    assert provider.owner(SPEC) is None


def test_a_profile_of_an_earlier_release_belongs_to_the_stack_with_its_kubeconfig(
    provider: MinikubeProvider, runner: FakeRunner, stack: StackDir, engine: FakeEngine
) -> None:
    engine.labels = [NODE_LABEL]
    stack.write_file("admin.kubeconfig", "current-context: devstack-ci\n")
    runner.answer(*PROFILE, "start")
    provider.ensure(SPEC)
    assert engine.volumes == {"devstack-ci.owner": stack.owner.labels()}
