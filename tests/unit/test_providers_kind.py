from __future__ import annotations

import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from devstack.errors import DevstackError, ExitStatus
from devstack.pidfile import write_pidfile
from devstack.ports import LOOPBACK
from devstack.providers import docker_host
from devstack.providers.base import ClusterSpec
from devstack.providers.kind import provider as module
from devstack.providers.kind.cluster_nodes import POOL_LABEL
from tests.fakes.kind import SPEC, KindSetting, Node, refused
from tests.fakes.runner import Call
from tests.fakes.stack import kubeconfig


@pytest.fixture
def kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> KindSetting:
    return KindSetting(monkeypatch)


def test_a_cluster_is_created_in_its_own_network(kind: KindSetting) -> None:
    assert kind.provider.ensure(SPEC) == kubeconfig()
    (call,) = kind.runner.calls
    assert call.argv[:6] == ("kind", "create", "cluster", "--name", "devstack-ci", "--image")
    assert call.env == {
        "KIND_EXPERIMENTAL_PROVIDER": "docker",
        "KIND_EXPERIMENTAL_DOCKER_NETWORK": "devstack-ci",
    }
    assert call.timeout == 60
    assert isinstance(call.input, str)
    assert yaml.safe_load(call.input)["networking"]["apiServerPort"] == kind.ports["api"]
    assert ("note", "Starting control-plane") in kind.progress.events


def test_the_kubeconfig_is_private_and_never_the_users_own(kind: KindSetting) -> None:
    before = os.umask(0)
    try:
        kind.provider.ensure(SPEC)
    finally:
        os.umask(before)
    assert stat.S_IMODE(kind.dir.admin_kubeconfig.stat().st_mode) == 0o600
    assert not list(kind.dir.path.glob("unfinished*"))


def test_a_running_cluster_is_not_changed(kind: KindSetting) -> None:
    kind.provider.ensure(SPEC)
    kind.provider.ensure(SPEC)
    assert len(kind.runner.calls) == 1


def test_stopped_nodes_are_started(kind: KindSetting) -> None:
    kind.provider.ensure(SPEC)
    kind.engine.found[0].status = "exited"
    assert kind.provider.status(SPEC).state == "stopped"
    assert kind.provider.status(SPEC).detail == "ci-control-plane is exited"
    kind.provider.ensure(SPEC)
    assert kind.provider.status(SPEC).state == "running"
    assert len(kind.runner.calls) == 1


def test_a_port_taken_while_the_node_was_stopped_is_an_error(kind: KindSetting) -> None:
    kind.provider.ensure(SPEC)
    kind.engine.found[0].status = "exited"
    with socket.create_server((LOOPBACK, kind.ports["minio"])):
        error = refused(kind.provider.ensure, SPEC)
    assert error.code == "PORT_TAKEN"


def test_a_cluster_without_kubeconfig_was_interrupted_and_is_created_again(
    kind: KindSetting,
) -> None:
    kind.engine.found = [Node("half-made")]
    # kind's lock on its file, which a kill leaves behind.
    kind.dir.write_file("unfinished.kubeconfig", "half")
    kind.dir.write_file("unfinished.kubeconfig.lock", "")
    kind.provider.ensure(SPEC)
    assert [node.name for node in kind.engine.found] == ["ci-control-plane"]
    assert not list(kind.dir.path.glob("unfinished*"))


def test_a_cluster_removed_by_others_is_created_again(kind: KindSetting) -> None:
    kind.provider.ensure(SPEC)
    kind.engine.found = []
    assert kind.provider.status(SPEC).state == "absent"
    kind.provider.ensure(SPEC)
    assert len(kind.runner.calls) == 2


def test_a_kind_process_that_outlived_devstack_is_ended_first(kind: KindSetting) -> None:
    write_pidfile(kind.dir.path / "kind.pid", os.getpid())
    ended: list[Path] = []
    original = module.kill_orphan
    try:
        module.kill_orphan = ended.append
        kind.provider.ensure(SPEC)
        kind.provider.delete(SPEC)
    finally:
        module.kill_orphan = original
    assert ended == [kind.dir.path / "kind.pid"] * 2


def test_a_taken_port_is_an_error_before_kind_runs(kind: KindSetting) -> None:
    with socket.create_server((LOOPBACK, kind.ports["minio"])):
        error = refused(kind.provider.ensure, SPEC)
    assert error.code == "PORT_TAKEN"
    assert kind.runner.calls == []
    assert kind.images.ensured == []


def test_another_number_of_nodes_is_rejected(kind: KindSetting) -> None:
    kind.provider.ensure(SPEC)
    error = refused(kind.provider.ensure, ClusterSpec("ci", nodes=3))
    assert (error.code, error.exit_status) == ("NODES_FIXED", ExitStatus.USAGE)
    assert "devstack down --name ci" in error.remedy


def test_a_node_that_docker_creates_late_does_not_stop_the_next_up(kind: KindSetting) -> None:
    """A killed kind had requested it; Docker creates it after the nodes were listed."""
    stderr = (
        'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "x"\n'
    )
    attempts: list[Call] = []

    def create(call: Call) -> None:
        attempts.append(call)
        kind.engine.found.append(Node("late"))
        kind.runner.answer("kind", "create", effect=kind.make)

    kind.runner.answer("kind", "create", effect=create, returncode=1, stderr=stderr)
    kind.provider.ensure(SPEC)
    assert len(attempts) == 1
    assert [node.name for node in kind.engine.found] == ["ci-control-plane"]


def test_a_node_that_docker_creates_late_is_removed_by_down(kind: KindSetting) -> None:
    listings: list[str] = []

    def nodes(cluster: str) -> list[Node]:
        listings.append(cluster)
        if len(listings) == 3:
            kind.engine.found = [Node("late")]
        return list(kind.engine.found)

    kind.engine.nodes = nodes  # type: ignore[method-assign]
    kind.provider.delete(SPEC)
    assert len(listings) > 3
    assert kind.engine.found == []


@pytest.mark.parametrize("message", ["port is already allocated", "address already in use"])
def test_a_port_taken_while_kind_runs_is_port_taken(kind: KindSetting, message: str) -> None:
    stderr = f"docker: Error response from daemon: Bind for 127.0.0.1:9000 failed: {message}.\n"
    kind.runner.answer("kind", "create", returncode=1, stderr=stderr)
    assert refused(kind.provider.ensure, SPEC).code == "PORT_TAKEN"


def test_the_error_of_kind_is_the_cause(kind: KindSetting) -> None:
    stderr = "Creating cluster ...\nERROR: failed to create cluster: could not find a log line\n"
    kind.runner.answer("kind", "create", returncode=1, stderr=stderr)
    error = refused(kind.provider.ensure, SPEC)
    assert (error.code, error.exit_status) == ("KIND_FAILED", ExitStatus.ENVIRONMENT)
    assert error.cause == "failed to create cluster: could not find a log line"
    assert not kind.dir.admin_kubeconfig.exists()


def test_the_output_ends_with_the_reason_of_kubeadm_not_its_stack_trace(kind: KindSetting) -> None:
    stderr = (
        "ERROR: failed to create cluster\n"
        "error execution phase wait-control-plane: timed out\n"
        "k8s.io/kubernetes/cmd/kubeadm/app.Run\n"
        "\tk8s.io/kubernetes@v1.37.2/cmd/kubeadm/app/kubeadm.go:48\n"
        "runtime.goexit\n"
        "\truntime/asm_amd64.s:1771\n"
    )
    kind.runner.answer("kind", "create", returncode=1, stderr=stderr)
    tail = refused(kind.provider.ensure, SPEC).output_tail
    assert tail[-1] == "error execution phase wait-control-plane: timed out"


def test_nothing_is_left_after_delete(kind: KindSetting) -> None:
    kind.provider.ensure(SPEC)
    kind.provider.delete(SPEC)
    assert kind.engine.found == []
    assert kind.engine.all_networks == []
    assert kind.engine.volumes == {}
    assert not kind.dir.admin_kubeconfig.exists()
    kind.provider.delete(SPEC)


def test_only_what_every_node_has_counts_as_loaded(kind: KindSetting) -> None:
    kind.engine.found = [
        Node("one", images="docker.io/devstack/minio:1\nregistry.k8s.io/pause:3.10\nsha256:abc\n"),
        Node("two", images="docker.io/devstack/minio:1\n"),
    ]
    assert kind.provider.images_present(SPEC) == {"devstack/minio:1"}
    kind.engine.found = []
    assert kind.provider.images_present(SPEC) == set()


def test_volumes_of_a_stopped_node_are_saved_and_those_of_a_lost_one_go_to_the_first(
    kind: KindSetting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[str] = []
    unpacked: dict[str, str] = {}

    def pack(node: Node, _folders: object, archive: Path) -> None:
        assert node.status == "running"
        packed.append(node.name)
        archive.touch()

    monkeypatch.setattr(kind.engine, "pack", pack, raising=False)
    monkeypatch.setattr(
        kind.engine,
        "unpack",
        lambda node, archive: unpacked.update({archive.name: node.name}),
        raising=False,
    )
    base = Node("devstack-ci-control-plane")
    kind.engine.found = [base, Node("devstack-ci-a-0", "exited")]
    folders = {node.name: ["/var"] for node in kind.engine.found}
    kind.provider.save_volumes(SPEC, folders, tmp_path)
    assert packed == list(folders)
    kind.engine.found = [base]
    kind.provider.restore_volumes(SPEC, tmp_path)
    assert unpacked == {f"{name}.tar": base.name for name in folders}


def test_nodes_that_are_stopped_or_have_not_joined_get_no_images(
    kind: KindSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, joining = Node("stopped", "exited"), Node("joining")
    joining.labels = {POOL_LABEL: "a"}
    joining.files = set()
    kind.engine.found = [Node("one", images="docker.io/devstack/minio:1\n"), stopped, joining]
    assert kind.provider.images_present(SPEC) == {"devstack/minio:1"}
    loaded: list[tuple[list[str], list[str]]] = []
    monkeypatch.setattr(
        module,
        "load_images",
        lambda _, nodes, images, *__: loaded.append(([each.name for each in nodes], images)),
    )
    kind.provider.load_images(SPEC, ["devstack/task:1"], lambda _: None)
    assert loaded == [(["one"], ["devstack/task:1"])]


@pytest.mark.parametrize("offline", [True, False])
def test_kind_is_only_fetched_when_not_offline(kind: KindSetting, offline: bool) -> None:
    kind.provider.ensure(ClusterSpec("ci", offline=offline))
    assert kind.offline == [offline]


@pytest.fixture
def machine(kind: KindSetting, monkeypatch: pytest.MonkeyPatch) -> KindSetting:
    """A machine that meets all requirements, with kind on it."""
    monkeypatch.setattr(docker_host, "withholds_sys_resource", lambda: False)
    monkeypatch.setattr(module, "find_tool", lambda *_arguments: Path("kind"))
    return kind


def requirements(setting: KindSetting, spec: ClusterSpec = SPEC) -> list[tuple[str, str]]:
    """Return the requirements that are not met: codes and severities."""
    problems = setting.provider.check_machine(spec)
    assert all(problem.message and problem.remedy for problem in problems)
    return [(problem.code, problem.severity) for problem in problems]


def test_a_machine_that_meets_all_requirements_has_no_problem(machine: KindSetting) -> None:
    assert requirements(machine) == []


def test_a_missing_kind_is_a_problem_only_offline(
    machine: KindSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_tool", lambda *_arguments: None)
    # `up` compiles it.
    assert requirements(machine) == []
    assert machine.provider.check(SPEC) == []
    (problem,) = machine.provider.check(replace(SPEC, offline=True))
    assert (problem.code, problem.severity) == ("KIND_MISSING", "error")


@pytest.mark.parametrize(("runtime", "found"), [("runc", 1), ("devstack", 0)])
def test_a_host_that_withholds_the_capability(
    machine: KindSetting, monkeypatch: pytest.MonkeyPatch, runtime: str, found: int
) -> None:
    monkeypatch.setattr(docker_host, "withholds_sys_resource", lambda: True)
    machine.runner.answer("docker", "info", stdout=f"{runtime}\n")
    assert requirements(machine) == [("CAP_SYS_RESOURCE", "error")] * found


def test_without_docker_its_runtime_is_not_checked(
    machine: KindSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_host, "withholds_sys_resource", lambda: True)
    machine.engine.fault = DevstackError("Docker is not installed", code="DOCKER_MISSING")
    assert requirements(machine) == []
    assert [problem.code for problem in machine.provider.check(SPEC)] == ["DOCKER_MISSING"]
