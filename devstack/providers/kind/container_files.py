"""Deleting what containers wrote on a node, before the node itself is removed.

Docker removes a node's volume one file after another: after a hundred task pods, each of
which unpacked Metaflow and a flow's code, that is most of `down`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from devstack.docker.client import DockerClient
from devstack.errors import DevstackError
from devstack.parallel import in_parallel

# An idle stack has some 60 snapshots, which Docker removes sooner than a shell starts.
# Those of images are links to files outside the volume; `rm` removes the links.
DELETE = """\
cd /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots || exit
[ "$(ls | wc -l)" -gt 100 ] || exit 0
systemctl stop --no-block kubelet containerd
ls | timeout 20 xargs -P 8 -n 4 rm -rf
"""


def delete_container_files(engine: DockerClient, nodes: Iterable[Any]) -> None:
    """Delete the writable layers of all containers on nodes that run, in parallel.

    Docker removes the rest, so errors do not matter.

    Args:
        engine: runs the deletion inside the nodes.
        nodes: node containers that are about to be removed.
    """
    running = [node for node in nodes if node.status == "running"]
    in_parallel(partial(_delete, engine), running)


def _delete(engine: DockerClient, node: Any) -> None:
    with suppress(DevstackError):
        engine.execute(node, ["sh", "-c", DELETE])
