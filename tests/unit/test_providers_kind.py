from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack import tools
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient
from devstack.owner import Owner, login_name
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
    """A node container, with the owner's file of this stack or of another directory mounted."""

    def __init__(
        self, name: str, status: str = "running", images: str = "", mount: str = ""
    ) -> None:
        self.name = name
        self.status = status
        self.images = images
        mount = mount or f"{StackDir('ci').path}/owner.json:/etc/devstack/owner.json:ro"
        self.attrs = {"HostConfig": {"Binds": ["/lib/modules:/lib/modules:ro", mount]}}


class Network:
    def __init__(self, name: str, labels: Mapping[str, str]) -> None:
        self.name = name
        self.attrs = {"Labels": dict(labels)}


class FakeEngine:
    """The engine as kind leaves it."""

    def __init__(self) -> None:
        self.found: list[Node] = []
        self.all_networks: list[Network] = []
        self.volumes: dict[str, dict[str, str]] = {}

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

    def networks(self, name: str) -> list[Network]:
        return [network for network in self.all_networks if network.name == name]

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        self.all_networks.append(Network(name, labels))

    def remove_networks(self, networks: list[Network]) -> None:
        self.all_networks = [each for each in self.all_networks if each not in networks]

    def claim_volume(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return self.volumes.setdefault(name, dict(labels))

    def volume_labels(self, name: str) -> dict[str, str] | None:
        return self.volumes.get(name)

    def remove_volume(self, name: str) -> None:
        self.volumes.pop(name)

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
        # kind creates the network only if there is none.
        network = call.env["KIND_EXPERIMENTAL_DOCKER_NETWORK"]
        assert self.engine.networks(network)

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
    assert kind.engine.all_networks == []
    assert kind.engine.volumes == {}
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


THEIRS = "/home/alice/.local/state/devstack/ci"
MINE = login_name(os.geteuid())


def alices(mount: str = f"{THEIRS}/owner.json:/etc/devstack/owner.json:ro") -> Node:
    """Return a node of another user's stack of the same name."""
    return Node("ci-control-plane", mount=mount)


def test_all_that_a_cluster_has_in_docker_names_its_owner(kind: Setting) -> None:
    kind.provider.ensure(SPEC)
    labels = {
        "devstack.stack": "ci",
        "devstack.state-directory": str(kind.dir.path.resolve()),
        "devstack.user": MINE,
    }
    assert kind.engine.volumes == {"devstack-ci.owner": labels}
    assert [network.attrs["Labels"] for network in kind.engine.all_networks] == [labels]
    (call,) = kind.runner.calls
    assert isinstance(call.input, str)
    mounts = [node["extraMounts"] for node in yaml.safe_load(call.input)["nodes"]]
    file = str(kind.dir.path.resolve() / "owner.json")
    mount = {"hostPath": file, "containerPath": "/etc/devstack/owner.json", "readOnly": True}
    assert all(mount in each for each in mounts)
    assert kind.provider.owner(SPEC) == Owner(str(kind.dir.path.resolve()), MINE)


def load(provider: KindProvider) -> None:
    provider.load_images(SPEC, ["devstack/minio:1"])


def collect(provider: KindProvider) -> None:
    provider.collect_logs(SPEC, Path("logs"))


def save(provider: KindProvider) -> None:
    provider.save_volumes(SPEC, {"ci-control-plane": ["/var"]}, Path("volumes"))


def restore(provider: KindProvider) -> None:
    provider.restore_volumes(SPEC, Path("volumes"))


@pytest.mark.parametrize(
    "act",
    [
        lambda provider: provider.ensure(SPEC),
        lambda provider: provider.images_present(SPEC),
        load,
        collect,
        save,
        restore,
    ],
)
def test_a_cluster_of_another_owner_is_not_used(
    kind: Setting, act: Callable[[KindProvider], None]
) -> None:
    kind.engine.found = [alices()]
    error = refused(act, kind.provider)
    assert (error.code, error.exit_status) == ("CLUSTER_FOREIGN", ExitStatus.ENVIRONMENT)
    assert THEIRS in error.cause
    assert "another --name" in error.remedy
    assert "XDG_STATE_HOME=/home/alice/.local/state" in error.remedy
    assert "down" not in error.remedy
    assert kind.runner.calls == []


def test_a_cluster_of_another_owner_is_not_removed(kind: Setting) -> None:
    theirs, network = alices(), Network("devstack-ci", {})
    kind.engine.found, kind.engine.all_networks = [theirs], [network]
    kind.provider.delete(SPEC)
    assert kind.engine.found == [theirs]
    assert kind.engine.all_networks == [network]
    status = kind.provider.status(SPEC)
    assert status.state == "absent"
    assert THEIRS in status.detail


def test_a_stopped_cluster_of_another_owner_is_not_started(kind: Setting) -> None:
    theirs = alices()
    theirs.status = "exited"
    kind.engine.found = [theirs]
    kind.dir.write_file("admin.kubeconfig", kubeconfig())
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"
    assert theirs.status == "exited"


def test_a_cluster_of_an_earlier_release_is_recognised_by_its_scheduler(kind: Setting) -> None:
    target = "/etc/kubernetes/devstack/scheduler.yaml:ro"
    kind.engine.found = [Node("ci-control-plane", mount=f"{kind.dir.path}/scheduler.yaml:{target}")]
    kind.engine.all_networks = [Network("devstack-ci", {})]
    kind.dir.write_file("admin.kubeconfig", kubeconfig())
    assert kind.provider.ensure(SPEC) == kubeconfig()
    assert kind.runner.calls == []
    kind.provider.delete(SPEC)
    assert (kind.engine.found, kind.engine.all_networks) == ([], [])
    kind.engine.found = [alices(f"{THEIRS}/scheduler.yaml:{target}")]
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"


def test_a_cluster_that_devstack_did_not_create_belongs_to_somebody_else(kind: Setting) -> None:
    kind.engine.found = [alices("/srv:/srv")]
    error = refused(kind.provider.ensure, SPEC)
    assert error.code == "CLUSTER_FOREIGN"
    assert "unknown" in error.cause
    kind.provider.delete(SPEC)
    assert len(kind.engine.found) == 1


def test_of_two_stacks_that_come_up_at_once_only_the_first_creates_a_cluster(
    kind: Setting,
) -> None:
    """The other one has claimed the name, and its nodes are not there yet."""
    theirs = Owner(THEIRS, "alice")
    kind.engine.volumes["devstack-ci.owner"] = theirs.labels()
    error = refused(kind.provider.ensure, SPEC)
    assert error.code == "CLUSTER_FOREIGN"
    assert f"user alice, state directory {THEIRS}" in error.cause
    assert kind.runner.calls == []
    kind.provider.delete(SPEC)
    assert kind.engine.volumes == {"devstack-ci.owner": theirs.labels()}
    assert kind.engine.all_networks == []


def test_the_same_directory_of_another_user_is_another_owner(kind: Setting) -> None:
    theirs = Owner(str(kind.dir.path.resolve()), "alice")
    kind.engine.volumes["devstack-ci.owner"] = theirs.labels()
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"


def test_the_owner_of_a_directory_removed_by_hand_can_delete_the_cluster(
    kind: Setting,
) -> None:
    kind.provider.ensure(SPEC)
    kind.dir.remove()
    assert kind.provider.owner(SPEC) == kind.dir.owner
    kind.provider.delete(SPEC)
    assert kind.engine.found == []
    assert kind.provider.owner(SPEC) is None


def test_a_network_that_kind_left_without_nodes_is_replaced_by_one_with_labels(
    kind: Setting,
) -> None:
    kind.engine.all_networks = [Network("devstack-ci", {})]
    kind.provider.ensure(SPEC)
    (network,) = kind.engine.networks("devstack-ci")
    assert network.attrs["Labels"]["devstack.stack"] == "ci"
