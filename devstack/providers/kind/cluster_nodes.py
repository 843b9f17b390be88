"""The nodes of pools of a kind cluster: creating, resizing, stopping and removing them.

A node is a container like the control plane's, which then joins the cluster. Docker's label
marks it as one of a pool; what it is to be is in the stack's directory. So it can be continued
wherever a killed `up` stopped: a container that has not joined is created again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from devstack.docker.client import ROLE_LABEL, DockerClient
from devstack.docker.similar import build_similar
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient
from devstack.kube.node_state import node_lacks
from devstack.kube.readiness import node_is_ready
from devstack.pools.nodes import NodeSpec
from devstack.providers.base import RealSize
from devstack.providers.kind.container_files import delete_container_files
from devstack.providers.kind.join import BOOTED, FOLDER, JOINED, SCRIPT, join_files, join_token
from devstack.providers.kind.kubelet_certificates import ensure_kubelet_certificates
from devstack.providers.kind.node_files import (
    node_folder,
    node_mounts,
    read_node_spec,
    remove_node_files,
    write_node_files,
)
from devstack.providers.kind.node_size import has_size
from devstack.providers.kind.ownership import FILE as OWNER_FILE
from devstack.providers.kind.ownership import owner_mount
from devstack.state import StackDir
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

POOL_LABEL = "devstack.pool"
"""Docker's label of the container of a node of a pool."""

_ONLY_CONTROL_PLANE = ("KUBECONFIG",)
"""Variables that kind gives to the control plane only."""

_Item = TypeVar("_Item")

_CPU_SHARES = 256
"""The control plane and the services are on nodes with Docker's 1024, and come before tasks."""


@dataclass(frozen=True)
class ClusterNodes:
    """The nodes of one kind cluster.

    Attributes:
        cluster: the kind cluster's name.
        stack: the stack's directory.
        engine: runs the containers.
        clock: measures timeouts.
        note: called with the reason for waiting.
        machine: the size of the machine that runs the nodes.
        timeout: seconds for any single wait.
    """

    cluster: str
    stack: StackDir
    engine: DockerClient
    clock: Clock
    note: Callable[[str], None]
    machine: RealSize
    timeout: float

    def ensure(self, nodes: Mapping[str, NodeSpec]) -> None:
        """Create nodes, or give existing ones their size; return once they are Ready."""
        containers = {each.name: each for each in self.engine.nodes(self.cluster)}
        found = {name: containers[name] for name in nodes if name in containers}
        joined = {name for name, each in found.items() if self.engine.has_file(each, JOINED)}
        unfinished = [each for name, each in found.items() if name not in joined]
        self.engine.remove(unfinished, self.stack.owner.labels())
        self.engine.start(containers[name] for name in joined)
        resized = [name for name in joined if self._write_files(name, nodes[name])]
        missing = {name: spec for name, spec in nodes.items() if name not in joined}
        if missing:
            self._add(missing, containers[f"{self.cluster}-control-plane"])
        self._restart_kubelets([containers[name] for name in resized])
        self._wait(nodes, [*missing, *resized])

    def remove(self, name: str) -> None:
        """Remove a node's container, and its object in the API."""
        found = [each for each in self.engine.nodes(self.cluster) if each.name == name]
        delete_container_files(self.engine, found)
        self.engine.remove(found, self.stack.owner.labels())
        self._kube().delete("v1", "Node", name)
        remove_node_files(self.stack, name)

    def restore(self, name: str) -> None:
        """Start a node that was stopped; return once it is Ready."""
        self.engine.start([self.container(name)])
        spec = read_node_spec(node_folder(self.stack, name))
        self._wait({name: spec} if spec else {}, [name])

    def container(self, name: str) -> Any:
        """Return a node's container.

        Raises:
            DevstackError: ``NODE_MISSING``.
        """
        for each in self.engine.nodes(self.cluster):
            if each.name == name:
                return each
        raise DevstackError(
            f"node {name!r} has no container",
            cause="it was removed by another program",
            remedy=f"`devstack up --name {self.stack.name}` creates it again",
            code="NODE_MISSING",
            exit_status=ExitStatus.ENVIRONMENT,
        )

    def existing(self) -> dict[str, NodeSpec | None]:
        """Return what the nodes are, by name; None for those whose size cannot be changed."""
        names = [each.name for each in self.engine.nodes(self.cluster)]
        return {name: read_node_spec(node_folder(self.stack, name)) for name in names}

    def _write_files(self, name: str, spec: NodeSpec) -> bool:
        """Write a node's files; return True if its kubelet has to be restarted."""
        folder = node_folder(self.stack, name).resolve()
        node = self._find(name)
        # One that has just been started is not Ready, and its systemd takes no requests yet.
        stale = node is not None and node_is_ready(node) and node_lacks(node, spec) != ""
        changed = not has_size(folder, spec) or stale
        write_node_files(folder, spec, self.machine)
        return changed

    def _find(self, name: str) -> dict[str, Any] | None:
        return self._kube().find("v1", "Node", name)

    def _add(self, nodes: Mapping[str, NodeSpec], model: Any) -> None:
        self.note(f"creating {', '.join(nodes)}")
        kube = self._kube()
        for name in nodes:
            # kubeadm refuses a name that a Ready node has.
            kube.delete("v1", "Node", name)
        with join_token(kube) as token:
            _in_parallel(lambda item: self._create(*item, model, token), nodes.items())

    def _create(self, name: str, spec: NodeSpec, model: Any, token: str) -> None:
        folder = node_folder(self.stack, name).resolve()
        write_node_files(folder, spec, self.machine)
        if not (self.stack.path / OWNER_FILE).exists():
            # A stack of an earlier release; Docker would make the mount's source a folder.
            self.stack.write_file(OWNER_FILE, self.stack.owner.to_json())
        owner = owner_mount((self.stack.path / OWNER_FILE).resolve())
        body = build_similar(
            model.attrs,
            name,
            labels={ROLE_LABEL: "worker", POOL_LABEL: spec.pool},
            binds=[_bind(mount) for mount in (*node_mounts(folder), owner)],
            left_out=str(self.stack.path.resolve()),
            without_variables=_ONLY_CONTROL_PLANE,
        )
        body["HostConfig"]["CpuShares"] = _CPU_SHARES
        container = self._create_container(name, body)
        self.engine.start([container])
        address = self.engine.address(container, self.cluster)
        admin = self.stack.admin_kubeconfig.read_text()
        files = join_files(self.cluster, name, spec, address, admin, token)
        self.engine.put_files(container, FOLDER, files)
        done = self.engine.run(container, SCRIPT, self.timeout)
        if not done.ok:
            raise _not_joined(name, done.stdout + done.stderr)

    def _create_container(self, name: str, body: Mapping[str, Any]) -> Any:
        try:
            return self.engine.create(name, body)
        except DevstackError as error:
            other = self.engine.cluster_of(name) if "already in use" in error.cause else ""
            if other in ("", self.cluster):
                raise
            raise _name_taken(name, other) from error

    def _restart_kubelets(self, containers: Iterable[Any]) -> None:
        _in_parallel(self._restart_kubelet, containers)

    def _restart_kubelet(self, container: Any) -> None:
        # It may have been started a moment ago.
        self.engine.run(container, BOOTED, self.timeout)
        restart = ["systemctl", "restart", "kubelet"]
        self.engine.require(container, restart, f"cannot resize {container.name}")

    def _wait(self, nodes: Mapping[str, NodeSpec], changed: Iterable[str]) -> None:
        admin = self.stack.admin_kubeconfig.read_text()
        ensure_kubelet_certificates(admin, list(changed), self.timeout, self.clock, self.note)
        wait_until(
            partial(self._observe, nodes),
            what="the nodes to be Ready",
            timeout=self.timeout,
            clock=self.clock,
            interval=0.1,
            note=self.note,
            remedy="see `devstack logs --cluster`",
        )

    def _observe(self, nodes: Mapping[str, NodeSpec]) -> Observation:
        found = {each["metadata"]["name"]: each for each in self._kube().list_objects("v1", "Node")}
        for name, spec in nodes.items():
            if lacks := node_lacks(found.get(name), spec):
                return Waiting(f"node {name} {lacks}")
        return Ready()

    def _kube(self) -> KubeClient:
        return KubeClient.from_kubeconfig(self.stack.admin_kubeconfig.read_text())


def is_of_pool(container: Any) -> bool:
    """Return True if a node's container is one of a pool, and so not made by kind."""
    return POOL_LABEL in container.labels


def usable_nodes(engine: DockerClient, containers: Iterable[Any]) -> list[Any]:
    """Return the containers of nodes that run and have joined: others run no programs yet."""
    return [
        each
        for each in containers
        if each.status == "running" and (not is_of_pool(each) or engine.has_file(each, JOINED))
    ]


def _bind(mount: Mapping[str, Any]) -> str:
    return f"{mount['hostPath']}:{mount['containerPath']}:ro"


def _in_parallel(act: Callable[[_Item], None], items: Iterable[_Item]) -> None:
    """Act on all items at once; raise the first error once all have ended."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for task in [pool.submit(act, item) for item in items]:
            task.result()


def _name_taken(name: str, cluster: str) -> DevstackError:
    return DevstackError(
        f"cannot create node {name!r}",
        cause=f"the kind cluster {cluster!r} has a node of this name",
        remedy="give the pool another name: nodes are called devstack-STACK-POOL-INDEX",
        code="NODE_NAME_TAKEN",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _not_joined(name: str, output: str) -> DevstackError:
    return DevstackError(
        f"node {name!r} does not join the cluster",
        cause="`kubeadm join` failed",
        remedy="run `devstack up` again; `devstack doctor` checks the machine",
        code="NODE_JOIN_FAILED",
        exit_status=ExitStatus.ENVIRONMENT,
        output=output,
    )
