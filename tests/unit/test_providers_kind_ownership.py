from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from devstack.errors import ExitStatus
from devstack.owner import Owner, login_name
from devstack.providers.kind.provider import KindProvider
from tests.fakes.kind import SPEC, KindSetting, Network, Node, refused
from tests.fakes.stack import kubeconfig


@pytest.fixture
def kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> KindSetting:
    return KindSetting(monkeypatch)


THEIRS = "/home/alice/.local/state/devstack/ci"
MINE = login_name(os.geteuid())


def foreign_node(mount: str = f"{THEIRS}/owner.json:/etc/devstack/owner.json:ro") -> Node:
    """Return a node of another user's stack of the same name."""
    return Node("ci-control-plane", mount=mount)


def test_all_that_a_cluster_has_in_docker_names_its_owner(kind: KindSetting) -> None:
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
    provider.load_images(SPEC, ["devstack/minio:1"], lambda _: None)


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
    kind: KindSetting, act: Callable[[KindProvider], None]
) -> None:
    kind.engine.found = [foreign_node()]
    error = refused(act, kind.provider)
    assert (error.code, error.exit_status) == ("CLUSTER_FOREIGN", ExitStatus.ENVIRONMENT)
    assert THEIRS in error.cause
    assert "another --name" in error.remedy
    assert "XDG_STATE_HOME=/home/alice/.local/state" in error.remedy
    assert "down" not in error.remedy
    assert kind.runner.calls == []


def test_a_cluster_of_another_owner_is_not_removed(kind: KindSetting) -> None:
    theirs, network = foreign_node(), Network("devstack-ci", {})
    kind.engine.found, kind.engine.all_networks = [theirs], [network]
    kind.provider.delete(SPEC)
    assert kind.engine.found == [theirs]
    assert kind.engine.all_networks == [network]
    status = kind.provider.status(SPEC)
    assert status.state == "absent"
    assert THEIRS in status.detail


def test_a_stopped_cluster_of_another_owner_is_not_started(kind: KindSetting) -> None:
    theirs = foreign_node()
    theirs.status = "exited"
    kind.engine.found = [theirs]
    kind.dir.write_file("admin.kubeconfig", kubeconfig())
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"
    assert theirs.status == "exited"


def test_a_cluster_of_an_earlier_release_is_recognised_by_its_scheduler(kind: KindSetting) -> None:
    target = "/etc/kubernetes/devstack/scheduler.yaml:ro"
    kind.engine.found = [Node("ci-control-plane", mount=f"{kind.dir.path}/scheduler.yaml:{target}")]
    kind.engine.all_networks = [Network("devstack-ci", {})]
    kind.dir.write_file("admin.kubeconfig", kubeconfig())
    assert kind.provider.ensure(SPEC) == kubeconfig()
    assert kind.runner.calls == []
    kind.provider.delete(SPEC)
    assert (kind.engine.found, kind.engine.all_networks) == ([], [])
    kind.engine.found = [foreign_node(f"{THEIRS}/scheduler.yaml:{target}")]
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"


def test_a_cluster_that_devstack_did_not_create_is_foreign(kind: KindSetting) -> None:
    kind.engine.found = [foreign_node("/srv:/srv")]
    error = refused(kind.provider.ensure, SPEC)
    assert error.code == "CLUSTER_FOREIGN"
    assert "unknown" in error.cause
    kind.provider.delete(SPEC)
    assert len(kind.engine.found) == 1


def test_of_two_concurrent_stacks_only_the_first_creates_a_cluster(
    kind: KindSetting,
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


def test_the_same_directory_of_another_user_is_another_owner(kind: KindSetting) -> None:
    theirs = Owner(str(kind.dir.path.resolve()), "alice")
    kind.engine.volumes["devstack-ci.owner"] = theirs.labels()
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"


def test_the_owner_of_a_directory_removed_by_hand_can_delete_the_cluster(
    kind: KindSetting,
) -> None:
    kind.provider.ensure(SPEC)
    kind.dir.remove()
    assert kind.provider.owner(SPEC) == kind.dir.owner
    kind.provider.delete(SPEC)
    assert kind.engine.found == []
    assert kind.provider.owner(SPEC) is None


def test_a_network_that_kind_left_without_nodes_is_replaced_by_one_with_labels(
    kind: KindSetting,
) -> None:
    kind.engine.all_networks = [Network("devstack-ci", {})]
    kind.provider.ensure(SPEC)
    (network,) = kind.engine.networks("devstack-ci")
    assert network.attrs["Labels"]["devstack.stack"] == "ci"


def test_the_network_of_another_stack_that_is_being_created_is_not_changed(
    kind: KindSetting,
) -> None:
    """Its network exists, its nodes do not yet."""
    labels = Owner(THEIRS, "alice").labels()
    network = Network("devstack-ci", labels)
    kind.engine.volumes["devstack-ci.owner"] = labels
    kind.engine.all_networks = [network]
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"
    kind.provider.delete(SPEC)
    assert kind.engine.all_networks == [network]


def test_a_network_of_another_owner_whose_claim_was_pruned_is_not_changed(
    kind: KindSetting,
) -> None:
    network = Network("devstack-ci", Owner(THEIRS, "alice").labels())
    kind.engine.all_networks = [network]
    assert refused(kind.provider.ensure, SPEC).code == "CLUSTER_FOREIGN"
    kind.provider.delete(SPEC)
    assert kind.engine.all_networks == [network]
    assert kind.engine.volumes == {}
