from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack import tools
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient
from devstack.ports import LOOPBACK, any_free
from devstack.process import note_process
from devstack.providers.base import ClusterSpec
from devstack.providers.kind import provider as module
from devstack.providers.kind.provider import KindProvider
from devstack.state import StackDir, StackState
from tests.fakes.api import FakeApi
from tests.fakes.runner import Call, FakeClock, FakeRunner, Recorder
from tests.fakes.stack import FakeImages, kubeconfig

SPEC = ClusterSpec("ci", timeout=60)


class Node:
    def __init__(self, name: str, status: str = "running", images: str = "") -> None:
        self.name = name
        self.status = status
        self.images = images


class FakeEngine:
    """The engine as kind leaves it."""

    def __init__(self) -> None:
        self.found: list[Node] = []
        self.networks: list[str] = []

    def problem(self) -> None:
        return None

    def nodes(self, cluster: str) -> list[Node]:
        assert cluster == "devstack-ci"
        return list(self.found)

    def start(self, nodes: list[Node]) -> None:
        for node in nodes:
            node.status = "running"

    def remove(self, nodes: list[Node]) -> None:
        self.found = [node for node in self.found if node not in nodes]

    def remove_network(self, name: str) -> None:
        self.networks = [network for network in self.networks if network != name]

    def execute(self, node: Node, argv: list[str]) -> str:
        return node.images


class Setting:
    """A kind provider, and what kind would do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dir = StackDir("ci")
        self.ports = {"minio": any_free(set()), "api": any_free(set())}
        self.dir.write(StackState("ci", ports=self.ports))
        self.engine = FakeEngine()
        self.runner = FakeRunner()
        self.progress = Recorder()
        self.images = FakeImages()
        self.offline: list[bool] = []
        self.runner.answer("kind", effect=self.make, stdout=" • Starting control-plane …\n")
        api = FakeApi()
        api.objects["/readyz"] = {}
        monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda *_a, **_o: api.client())
        monkeypatch.setattr(module, "Engine", lambda _runner: self.engine)
        monkeypatch.setattr(tools, "find_kind", self._find_kind)
        self.provider = KindProvider(
            self.dir,
            self.images,  # type: ignore[arg-type]
            self.runner,
            FakeClock(),
            self.progress,
        )

    def make(self, call: Call) -> None:
        if "create" not in call.argv:
            return
        path = Path(call.argv[call.argv.index("--kubeconfig") + 1])
        assert not path.exists()
        path.write_text(kubeconfig())
        self.engine.found = [Node("ci-control-plane")]
        self.engine.networks.append(call.env["KIND_EXPERIMENTAL_DOCKER_NETWORK"])

    def _find_kind(self, _runner: object, _progress: object, offline: bool = False) -> Path:
        self.offline.append(offline)
        return Path("kind")


@pytest.fixture
def kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(monkeypatch)


def refused(act: Any, *arguments: object) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        act(*arguments)
    return caught.value


def test_a_cluster_is_made_in_a_network_of_its_own(kind: Setting) -> None:
    assert kind.provider.ensure(SPEC) == kubeconfig()
    (call,) = kind.runner.calls
    assert call.argv[:6] == ("kind", "create", "cluster", "--name", "devstack-ci", "--image")
    assert call.env == {"KIND_EXPERIMENTAL_DOCKER_NETWORK": "devstack-ci"}
    assert call.timeout == 60
    assert isinstance(call.input, str)
    assert yaml.safe_load(call.input)["networking"]["apiServerPort"] == kind.ports["api"]
    assert ("note", "Starting control-plane") in kind.progress.events


def test_the_kubeconfig_is_private_and_never_the_users_own(kind: Setting) -> None:
    before = os.umask(0)
    try:
        kind.provider.ensure(SPEC)
    finally:
        os.umask(before)
    assert stat.S_IMODE(kind.dir.admin_kubeconfig.stat().st_mode) == 0o600
    assert not list(kind.dir.path.glob("unfinished*"))


def test_a_cluster_that_runs_is_left_alone(kind: Setting) -> None:
    kind.provider.ensure(SPEC)
    kind.provider.ensure(SPEC)
    assert len(kind.runner.calls) == 1


def test_stopped_nodes_are_started(kind: Setting) -> None:
    kind.provider.ensure(SPEC)
    kind.engine.found[0].status = "exited"
    assert kind.provider.status(SPEC).state == "stopped"
    assert kind.provider.status(SPEC).detail == "ci-control-plane is exited"
    kind.provider.ensure(SPEC)
    assert kind.provider.status(SPEC).state == "running"
    assert len(kind.runner.calls) == 1


def test_a_port_taken_while_the_node_was_stopped_is_told(kind: Setting) -> None:
    kind.provider.ensure(SPEC)
    kind.engine.found[0].status = "exited"
    with socket.create_server((LOOPBACK, kind.ports["minio"])):
        error = refused(kind.provider.ensure, SPEC)
    assert error.code == "PORT_TAKEN"


def test_a_cluster_without_kubeconfig_was_interrupted_and_is_made_anew(kind: Setting) -> None:
    kind.engine.found = [Node("half-made")]
    # kind's lock on its file, which a kill leaves behind.
    kind.dir.write_file("unfinished.kubeconfig", "half")
    kind.dir.write_file("unfinished.kubeconfig.lock", "")
    kind.provider.ensure(SPEC)
    assert [node.name for node in kind.engine.found] == ["ci-control-plane"]
    assert not list(kind.dir.path.glob("unfinished*"))


def test_a_cluster_removed_behind_our_back_is_made_anew(kind: Setting) -> None:
    kind.provider.ensure(SPEC)
    kind.engine.found = []
    assert kind.provider.status(SPEC).state == "absent"
    kind.provider.ensure(SPEC)
    assert len(kind.runner.calls) == 2


def test_a_kind_that_outlived_its_devstack_is_ended_first(kind: Setting) -> None:
    note_process(kind.dir.path / "kind.pid", os.getpid())
    ended: list[Path] = []
    original = module.kill_orphan
    try:
        module.kill_orphan = ended.append
        kind.provider.ensure(SPEC)
        kind.provider.delete(SPEC)
    finally:
        module.kill_orphan = original
    assert ended == [kind.dir.path / "kind.pid"] * 2


def test_a_taken_port_is_told_before_kind_is_asked(kind: Setting) -> None:
    with socket.create_server((LOOPBACK, kind.ports["minio"])):
        error = refused(kind.provider.ensure, SPEC)
    assert error.code == "PORT_TAKEN"
    assert kind.runner.calls == []
    assert kind.images.ensured == []


def test_another_number_of_nodes_is_refused(kind: Setting) -> None:
    kind.provider.ensure(SPEC)
    error = refused(kind.provider.ensure, ClusterSpec("ci", nodes=3))
    assert (error.code, error.exit_status) == ("NODES_FIXED", ExitStatus.USAGE)
    assert "devstack down --name ci" in error.remedy


def test_a_node_that_docker_makes_late_does_not_stop_the_next_up(kind: Setting) -> None:
    """Docker was asked for it by a kind that was killed, and makes it after we looked."""
    said = (
        'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "x"\n'
    )
    tries: list[Call] = []

    def create(call: Call) -> None:
        tries.append(call)
        kind.engine.found.append(Node("late"))
        kind.runner.answer("kind", "create", effect=kind.make)

    kind.runner.answer("kind", "create", effect=create, returncode=1, stderr=said)
    kind.provider.ensure(SPEC)
    assert len(tries) == 1
    assert [node.name for node in kind.engine.found] == ["ci-control-plane"]


def test_a_node_that_docker_makes_late_is_removed_by_down(kind: Setting) -> None:
    looks: list[str] = []

    def nodes(cluster: str) -> list[Node]:
        looks.append(cluster)
        if len(looks) == 3:
            kind.engine.found = [Node("late")]
        return list(kind.engine.found)

    kind.engine.nodes = nodes  # type: ignore[method-assign]
    kind.provider.delete(SPEC)
    assert len(looks) > 3
    assert kind.engine.found == []


@pytest.mark.parametrize("words", ["port is already allocated", "address already in use"])
def test_a_port_that_another_took_meanwhile_is_told_as_such(kind: Setting, words: str) -> None:
    said = f"docker: Error response from daemon: Bind for 127.0.0.1:9000 failed: {words}.\n"
    kind.runner.answer("kind", "create", returncode=1, stderr=said)
    assert refused(kind.provider.ensure, SPEC).code == "PORT_TAKEN"


def test_what_kind_complains_of_is_the_cause(kind: Setting) -> None:
    said = "Creating cluster ...\nERROR: failed to create cluster: could not find a log line\n"
    kind.runner.answer("kind", "create", returncode=1, stderr=said)
    error = refused(kind.provider.ensure, SPEC)
    assert (error.code, error.exit_status) == ("KIND_FAILED", ExitStatus.ENVIRONMENT)
    assert error.cause == "failed to create cluster: could not find a log line"
    assert not kind.dir.admin_kubeconfig.exists()


def test_nothing_is_left_after_delete(kind: Setting) -> None:
    kind.provider.ensure(SPEC)
    kind.provider.delete(SPEC)
    assert kind.engine.found == []
    assert kind.engine.networks == []
    assert not kind.dir.admin_kubeconfig.exists()
    kind.provider.delete(SPEC)


def test_only_what_every_node_has_counts_as_loaded(kind: Setting) -> None:
    kind.engine.found = [
        Node("one", images="docker.io/devstack/minio:1\nregistry.k8s.io/pause:3.10\nsha256:abc\n"),
        Node("two", images="docker.io/devstack/minio:1\n"),
    ]
    assert kind.provider.images_present(SPEC) == {"devstack/minio:1"}
    kind.engine.found = []
    assert kind.provider.images_present(SPEC) == set()


def test_images_are_loaded_in_one_go(kind: Setting) -> None:
    kind.provider.load_images(SPEC, ["devstack/minio:1", "devstack/task:1"])
    (argv,) = kind.runner.argvs
    assert argv[:3] == ("kind", "load", "docker-image")
    assert argv[3:] == ("devstack/minio:1", "devstack/task:1", "--name", "devstack-ci")


@pytest.mark.parametrize("offline", [True, False])
def test_kind_is_only_fetched_when_not_offline(kind: Setting, offline: bool) -> None:
    kind.provider.ensure(ClusterSpec("ci", offline=offline))
    assert kind.offline == [offline]
