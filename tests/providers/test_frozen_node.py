"""A node that was killed while something in it was frozen."""

from __future__ import annotations

import json
from typing import Any

import docker
import pytest

from devstack.docker.cgroup import FREEZER
from devstack.docker.client import CLUSTER_LABEL, DockerClient
from devstack.images import ImageStore
from devstack.process import SubprocessRunner
from devstack.progress import Silent

CLUSTER = "devstack-frozen"

# On cgroup v2 there is no such folder; frozen processes die there.
FREEZE = """
[ -d /freezer/docker ] || exit 0
mkdir /freezer/docker/$0/stuck
echo $1 >/freezer/docker/$0/stuck/cgroup.procs
echo FROZEN >/freezer/docker/$0/stuck/freezer.state
"""


@pytest.fixture
def frozen() -> Any:
    client = docker.from_env()
    image = ImageStore(SubprocessRunner(), Silent()).ensure(["task"])["task"]
    container = client.containers.run(
        image, ["sleep", "600"], detach=True, labels={CLUSTER_LABEL: CLUSTER}
    )
    container.reload()
    pid = container.attrs["State"]["Pid"]
    script = ["sh", "-c", FREEZE, str(container.id), str(pid)]
    client.containers.run(
        image,
        entrypoint=script,
        user="root",
        pid_mode="host",
        remove=True,
        volumes={FREEZER: {"bind": "/freezer", "mode": "rw"}},
    )
    return container


def test_a_node_with_a_frozen_process_is_removed(frozen: Any) -> None:
    engine = DockerClient(SubprocessRunner())
    assert [node.id for node in engine.nodes(CLUSTER)] == [frozen.id], json.dumps(frozen.attrs)
    engine.remove(engine.nodes(CLUSTER), {})
    assert engine.nodes(CLUSTER) == []
