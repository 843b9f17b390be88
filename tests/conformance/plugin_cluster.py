"""A user's own cluster with the coscheduling plug-in, and a stack on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler
from devstack.kube.client import KubeClient
from devstack.kube.resources import COSCHEDULING
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.config import build_config
from devstack.providers.kind.scheduler import SCHEDULER
from tests.conformance.background import running
from tests.containers import COSCHEDULER
from tests.support.commandline import DATABASE_SERVICES, Devstack
from tests.support.eventually import eventually
from tests.support.foreign import ForeignCluster

NAME = "plugin"
GROUPS = Path(__file__).with_name("podgroup-crd.yaml")
PLUGIN = "Coscheduling"
MANIFEST = "/etc/kubernetes/manifests/kube-scheduler.yaml"


@contextmanager
def plugin_cluster(folder: Path) -> Iterator[tuple[Devstack, ForeignCluster]]:
    """Create the cluster, its scheduler and a stack on it; remove all at the end.

    Args:
        folder: for kubeconfig, settings and logs.
    """
    cluster = ForeignCluster(NAME, folder / "user" / "kubeconfig")
    cluster.create(_without_native_gangs())
    users = {"HOME": str(folder / "user"), "KUBECONFIG": str(cluster.kubeconfig)}
    stack = Devstack(NAME, folder / "home", users)
    stack.leave_out(*DATABASE_SERVICES)
    try:
        with _scheduler(cluster, folder):
            stack.run("up", "--provider", "context", "--context", cluster.context)
            yield stack, cluster
            stack.run("down")
    finally:
        cluster.delete()


def _without_native_gangs() -> str:
    config = yaml.safe_load(build_config(ClusterSpec(name=NAME), api_port=0))
    del config["featureGates"], config["runtimeConfig"]
    return str(yaml.safe_dump(config))


@contextmanager
def _scheduler(cluster: ForeignCluster, folder: Path) -> Iterator[None]:
    """Run a scheduler with the plug-in in place of the cluster's own, on this machine."""
    program = Compiler(SubprocessRunner(), Silent(), ArtifactCache()).ensure([COSCHEDULER])
    kube = KubeClient.from_kubeconfig(cluster.kubeconfig.read_text(), timeout=60)
    cluster.execute("rm", MANIFEST)
    eventually("the scheduler to go", lambda: not _schedulers(kube))
    kube.apply(yaml.safe_load(GROUPS.read_text()))
    eventually("groups to be served", lambda: "PodGroup" in kube.kinds(COSCHEDULING))
    file = folder / "scheduler.yaml"
    file.write_text(yaml.safe_dump(_settings(cluster.kubeconfig)))
    argv = [str(program["coscheduler"]), "--config", str(file), "--secure-port", "0"]
    # With hints, pods that the plug-in rejected are not retried when capacity is freed.
    argv += ["--feature-gates", "SchedulerQueueingHints=false"]
    # Nor are they, by some events, without hints; five minutes is the default.
    argv += ["--pod-max-in-unschedulable-pods-duration", "5s"]
    with running(argv, folder / "scheduler.log"):
        yield


def _schedulers(kube: KubeClient) -> list[str]:
    pods = kube.list_objects("v1", "Pod", "kube-system", labels="component=kube-scheduler")
    return [pod["metadata"]["name"] for pod in pods]


def _settings(kubeconfig: Path) -> dict[str, object]:
    """Return the scheduler's configuration file, as the plug-in's users have it."""
    plugin = {"name": PLUGIN}
    profile = {
        "schedulerName": "default-scheduler",
        "plugins": {
            "multiPoint": {"enabled": [plugin]},
            # A scheduler has only one queue-sort plug-in.
            "queueSort": {"enabled": [plugin], "disabled": [{"name": "*"}]},
        },
        "pluginConfig": [{**plugin, "args": {"permitWaitingTimeSeconds": 10}}],
    }
    return {
        "apiVersion": SCHEDULER["apiVersion"],
        "kind": SCHEDULER["kind"],
        "clientConnection": {**SCHEDULER["clientConnection"], "kubeconfig": str(kubeconfig)},
        "podMaxBackoffSeconds": SCHEDULER["podMaxBackoffSeconds"],
        "leaderElection": {"leaderElect": False},
        "profiles": [profile],
    }
