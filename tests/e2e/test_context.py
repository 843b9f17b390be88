"""Provider `context`: a cluster that devstack did not create, and does not change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from kubernetes import client

from devstack.errors import ExitStatus
from devstack.images import ImageStore
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.config import build_config
from tests.support import footprint
from tests.support.cluster import SERVICES_NAMESPACE, api, minio_pod
from tests.support.commandline import DATABASE_SERVICES, Devstack
from tests.support.datastore import read, serves, write
from tests.support.eventually import eventually
from tests.support.foreign import ForeignCluster
from tests.support.refusal import findings, refused

NAME = "foreign"
CONTEXT = f"kind-{NAME}"
FOREIGN = "theirs"
UP = ("up", "--provider", "context", "--context", CONTEXT)


@dataclass
class Foreign:
    """A user's kind cluster, the kubeconfig that names it, and stacks on it."""

    stack: Devstack
    other: Devstack
    cluster: ForeignCluster
    original: bytes
    core: client.CoreV1Api
    before: footprint.Footprint

    def contents(self) -> set[str]:
        """Return the namespaces, definitions and cluster roles of the cluster."""
        groups = client.RbacAuthorizationV1Api(self.core.api_client)
        kinds = client.ApiextensionsV1Api(self.core.api_client)
        found = [
            *self.core.list_namespace().items,
            *groups.list_cluster_role().items,
            *kinds.list_custom_resource_definition().items,
            *self.core.list_persistent_volume().items,
        ]
        return {item.metadata.name for item in found}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """The cluster, with another user's namespace in it."""
    folder = tmp_path_factory.mktemp("context")
    kubeconfig = folder / "user" / ".kube" / "config"
    cluster = ForeignCluster(NAME, kubeconfig)
    cluster.create(build_config(ClusterSpec(name=NAME), api_port=0))
    _use_another_context(kubeconfig)
    users = {"HOME": str(folder / "user"), "KUBECONFIG": ""}
    stack = Devstack(NAME, folder / "home", users)
    stack.leave_out(*DATABASE_SERVICES)
    core = client.CoreV1Api(api(kubeconfig, CONTEXT))
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=FOREIGN)))
    notes = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="notes"), data={"kept": "yes"})
    core.create_namespaced_config_map(FOREIGN, notes)
    before = footprint.take(stack, stack.home, folder / "user")
    other = Devstack("other", folder / "home", users)
    yield Foreign(stack, other, cluster, kubeconfig.read_bytes(), core, before)
    stack.run("down", check=False)
    cluster.delete()


def _use_another_context(kubeconfig: Path) -> None:
    """Make another cluster the user's current context."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"].append({"name": "work", "cluster": {"server": "https://127.0.0.1:1"}})
    config["users"].append({"name": "work", "user": {"token": "of-the-user"}})
    config["contexts"].append({"name": "work", "context": {"cluster": "work", "user": "work"}})
    config["current-context"] = "work"
    kubeconfig.write_text(yaml.safe_dump(config))


def test_a_missing_context_is_named_with_the_existing_ones(foreign: Foreign) -> None:
    for argv in (("--context", "kind-nowhere"), ()):
        refusal = refused(
            foreign.stack,
            *("up", "--provider", "context", *argv),
            code="CONTEXT_MISSING",
            status=ExitStatus.ENVIRONMENT,
        )
        assert CONTEXT in refusal.remedy
    assert not foreign.stack.directory.exists()


def test_a_context_that_does_not_answer_times_out(foreign: Foreign) -> None:
    argv = ("up", "--provider", "context", "--context", "work", "--timeout", "1")
    refusal = refused(foreign.stack, *argv, code="WAIT_TIMEOUT", status=ExitStatus.TIMEOUT)
    assert "127.0.0.1:1" in refusal.cause
    assert foreign.stack.json("down")["status"] == "ok"


def test_a_missing_image_is_reported_immediately_and_used_once_it_exists(
    foreign: Foreign,
) -> None:
    image = ImageStore(SubprocessRunner(), Silent()).reference("minio")
    _images(foreign, "tag", f"docker.io/{image}", "docker.io/devstack/kept:1")
    _images(foreign, "rm", f"docker.io/{image}")
    refusal = refused(foreign.stack, *UP, code="IMAGE_PULL_FAILED", status=ExitStatus.FAILED)
    assert f"pod {SERVICES_NAMESPACE}/minio-" in refusal.cause
    assert image in refusal.cause
    assert image in refusal.remedy
    _images(foreign, "tag", "docker.io/devstack/kept:1", f"docker.io/{image}")
    foreign.stack.run("up")
    assert foreign.stack.json("status")["data"]["state"] == "up"


def _images(foreign: Foreign, *argv: str) -> None:
    foreign.cluster.execute("ctr", "-n", "k8s.io", "images", *argv)


def test_port_forwards_reach_the_services_after_up_has_ended(foreign: Foreign) -> None:
    assert foreign.stack.json(*UP)["data"]["changed"] == []
    write(foreign.stack, "probe", "precious")
    assert read(foreign.stack, "probe") == "precious"
    assert len(_forwards(foreign.stack)) == 2
    for process in _forwards(foreign.stack):
        assert "--address=127.0.0.1" in process.cmdline()


def test_up_without_options_keeps_the_context(foreign: Foreign) -> None:
    assert foreign.stack.json("up")["data"]["provider"] == "context"


@pytest.mark.parametrize("others", [0, 1], ids=["one forward", "all forwards"])
def test_a_killed_port_forward_is_reported_and_restarted(foreign: Foreign, others: int) -> None:
    for process in _forwards(foreign.stack)[: others + 1]:
        process.kill()
    status = foreign.stack.json("status", check=False)["data"]
    assert status["state"] == "degraded"
    assert any("port-forward" in each["detail"] for each in status["services"])
    assert "PORT_SILENT" in findings(foreign.stack)
    assert foreign.stack.json("up")["data"]["changed"] == ["ready-minio"]
    assert read(foreign.stack, "probe") == "precious"
    assert len(_forwards(foreign.stack)) == 2


def test_minio_is_reachable_after_its_pod_was_replaced(foreign: Foreign) -> None:
    pod = minio_pod(foreign.stack).metadata.name
    foreign.core.delete_namespaced_pod(pod, SERVICES_NAMESPACE, grace_period_seconds=0)
    foreign.stack.run("up")
    eventually("MinIO to serve again", lambda: serves(foreign.stack))
    assert read(foreign.stack, "probe") == "precious"


def test_a_sample_flow_runs(foreign: Foreign) -> None:
    assert foreign.stack.json("run", "hello")["status"] == "ok"


def test_logs_of_the_cluster_come_from_the_api(foreign: Foreign, tmp_path: Path) -> None:
    foreign.stack.run("logs", "--cluster", str(tmp_path / "dump"))
    assert (tmp_path / "dump" / SERVICES_NAMESPACE / "pods.json").exists()


def test_foreign_objects_are_neither_adopted_nor_removed(foreign: Foreign) -> None:
    for namespace, taken in ((FOREIGN, f"Namespace {FOREIGN}"), ("metaflow", "ServiceAccount")):
        argv = (*UP, "--namespace", namespace)
        refusal = refused(
            foreign.other, *argv, code="OBJECT_FOREIGN", status=ExitStatus.ENVIRONMENT
        )
        assert taken in refusal.cause
        assert "--namespace" in refusal.remedy
        foreign.other.run("down")
    assert foreign.core.read_namespaced_config_map("notes", FOREIGN).data == {"kept": "yes"}
    assert foreign.stack.json("status")["data"]["state"] == "up"


def test_a_stack_of_this_name_in_another_home_shares_no_object(
    foreign: Foreign, tmp_path: Path
) -> None:
    twin = Devstack(NAME, tmp_path / "home", {"KUBECONFIG": str(foreign.cluster.kubeconfig)})
    twin.leave_out(*DATABASE_SERVICES)
    refusal = refused(twin, *UP, code="OBJECT_FOREIGN", status=ExitStatus.ENVIRONMENT)
    assert str(foreign.stack.directory) in refusal.cause
    twin.run("down")
    status = foreign.stack.json("status")["data"]
    assert (status["state"], read(foreign.stack, "probe")) == ("up", "precious")


def test_down_removes_its_objects_and_leaves_the_cluster(foreign: Foreign) -> None:
    forwards = _forwards(foreign.stack)
    ours = {"metaflow", SERVICES_NAMESPACE, "jobset-system", "jobsets.jobset.x-k8s.io"}
    assert ours <= foreign.contents()
    assert foreign.stack.json("down")["data"]["removed"] is True
    assert not ours & foreign.contents()
    assert not [name for name in foreign.contents() if name.startswith(("jobset", "pvc-"))]
    assert not [process for process in forwards if process.is_running()]
    assert foreign.core.read_namespaced_config_map("notes", FOREIGN).data == {"kept": "yes"}
    users = foreign.cluster.kubeconfig.parent.parent
    now = footprint.take(foreign.stack, foreign.stack.home, users)
    assert now.since(foreign.before) == {}
    assert foreign.cluster.kubeconfig.read_bytes() == foreign.original


def _forwards(stack: Devstack) -> list[psutil.Process]:
    """Return the running processes that the stack has recorded as its forwards."""
    records = sorted((stack.directory / "forwards").glob("*.json"))
    pids = [json.loads(record.read_text())["pid"] for record in records]
    running = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return [each for each in running if each.status() != psutil.STATUS_ZOMBIE]
