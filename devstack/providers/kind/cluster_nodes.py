"""The nodes of pools of a kind cluster: creating, resizing, stopping and removing them.

A node is a container like the control plane's, which then joins the cluster. Docker's label
marks it as one of a pool; what it is to be is in the stack's directory. So it can be continued
wherever a killed `up` stopped: a container that has not joined is created again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from devstack.docker.client import ROLE_LABEL, DockerClient
from devstack.docker.similar import build_similar
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import is_ready
from devstack.kube.drain import delete_pod
from devstack.kube.node_state import node_lacks
from devstack.kube.offers import is_of_daemon_set
from devstack.kube.pool_nodes import ensure_attributes, is_starting
from devstack.parallel import in_parallel
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
        found = [containers[name] for name in nodes if name in containers]
        joined = self._joined(found)
        unfinished = [each for each in found if each.name not in joined]
        self.engine.remove(unfinished, self.stack.owner.labels())
        self.engine.start(joined.values())
        registered = self._registered()
        resized = [name for name in joined if self._write_files(nodes[name], registered, name)]
        missing = {name: spec for name, spec in nodes.items() if name not in joined}
        self._add_and_resize(missing, containers, resized)
        # An `up` that was killed may have left one that has joined and serves nothing.
        in_parallel(self._wait_for_kubelet, _unfinished(registered, joined))
        self._wait(nodes)

    def _joined(self, found: Iterable[Any]) -> dict[str, Any]:
        """Return the containers of nodes that have joined the cluster, by name."""
        found = list(found)
        marks = in_parallel(lambda each: self.engine.has_file(each, JOINED), found)
        return {each.name: each for each, joined in zip(found, marks, strict=True) if joined}

    def _registered(self) -> dict[str, Object]:
        """Return the nodes that the API has, by name."""
        return {each["metadata"]["name"]: each for each in self._kube().list_objects("v1", "Node")}

    def remove(self, name: str) -> None:
        """Remove a node's container, and its object in the API."""
        found = [each for each in self.engine.nodes(self.cluster) if each.name == name]
        delete_container_files(self.engine, found)
        self.engine.remove(found, self.stack.owner.labels())
        kube = self._kube()
        kube.delete("v1", "Node", name)
        # Those of DaemonSets would be listed as running for a minute more.
        for pod in kube.list_objects("v1", "Pod", fields=f"spec.nodeName={name}"):
            if is_of_daemon_set(pod):
                delete_pod(kube, pod, 0)
        remove_node_files(self.stack, name)

    def restore(self, name: str) -> None:
        """Start a node that was stopped; return once it is Ready."""
        self.engine.start([self.container(name)])
        self._wait_for_kubelet(name)
        spec = read_node_spec(node_folder(self.stack, name))
        self._wait({name: spec} if spec else {})

    def limit_cpus(self, names: Container[str]) -> None:
        """Let the services come before the pods of nodes of pools where CPUs are short.

        Not before a node is finished: it would be created several times more slowly.
        """
        nodes = [each for each in self.engine.nodes(self.cluster) if is_of_pool(each)]
        for node in nodes:
            if node.name in names and node.attrs["HostConfig"].get("CpuShares") != _CPU_SHARES:
                self.engine.set_cpu_shares(node, _CPU_SHARES)

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

    def _write_files(self, spec: NodeSpec, registered: Mapping[str, Object], name: str) -> bool:
        """Write a node's files; return True if its kubelet has to be restarted."""
        folder = node_folder(self.stack, name).resolve()
        node = registered.get(name)
        # One that has just been started is not Ready, and its systemd takes no requests yet.
        stale = node is not None and is_ready(node) and node_lacks(node, spec) != ""
        changed = not has_size(folder, spec) or stale
        write_node_files(folder, spec, self.machine)
        return changed

    def _add_and_resize(
        self, missing: Mapping[str, NodeSpec], containers: Mapping[str, Any], resized: Iterable[str]
    ) -> None:
        """Let nodes join, and restart the kubelets of others, all at once."""
        restarts = [partial(self._resize, containers[name]) for name in resized]
        with ExitStack() as joining:
            joins = []
            if missing:
                token = joining.enter_context(self._prepare_joins(missing))
                model = containers[f"{self.cluster}-control-plane"]
                joins = [partial(self._add, *each, model, token) for each in missing.items()]
            in_parallel(lambda act: act(), [*joins, *restarts])

    @contextmanager
    def _prepare_joins(self, names: Iterable[str]) -> Iterator[str]:
        """Return a token with which nodes of these names may join, until the context ends."""
        self.note(f"creating {', '.join(names)}")
        if not (self.stack.path / OWNER_FILE).exists():
            # A stack of an earlier release; Docker would make the mount's source a folder.
            self.stack.write_file(OWNER_FILE, self.stack.owner.to_json())
        kube = self._kube()
        for name in names:
            # kubeadm refuses a name that a Ready node has.
            kube.delete("v1", "Node", name)
        with join_token(kube) as token:
            yield token

    def _add(self, name: str, spec: NodeSpec, model: Any, token: str) -> None:
        """Let one node join, give it its labels and devices, and wait until its kubelet serves."""
        self._create(name, spec, model, token)
        kube = self._kube()
        self._wait_until(
            lambda: Ready() if kube.find("v1", "Node", name) else Waiting(f"{name} is joining"),
            f"node {name} to register",
        )
        ensure_attributes(kube, {name: spec})
        self._wait_for_kubelet(name)

    def _create(self, name: str, spec: NodeSpec, model: Any, token: str) -> None:
        folder = node_folder(self.stack, name).resolve()
        write_node_files(folder, spec, self.machine)
        owner = owner_mount((self.stack.path / OWNER_FILE).resolve())
        body = build_similar(
            model.attrs,
            name,
            labels={ROLE_LABEL: "worker", POOL_LABEL: spec.pool},
            binds=[_bind(mount) for mount in (*node_mounts(folder), owner)],
            left_out=str(self.stack.path.resolve()),
            without_variables=_ONLY_CONTROL_PLANE,
        )
        container = self._create_container(name, body, model)
        self.engine.start([container])
        address = self.engine.address(container, self.cluster)
        admin = self.stack.admin_kubeconfig.read_text()
        files = join_files(self.cluster, name, spec, address, admin, token)
        self.engine.put_files(container, FOLDER, files)
        done = self.engine.run(container, SCRIPT, self.timeout)
        if not done.ok:
            raise _not_joined(name, done.stdout + done.stderr)

    def _create_container(self, name: str, body: Mapping[str, Any], model: Any) -> Any:
        try:
            return self.engine.create(name, body, model)
        except DevstackError as error:
            other = (
                self.engine.cluster_of(name)
                if "already in use" in error.cause + error.output
                else ""
            )
            if other in ("", self.cluster):
                raise
            raise _name_taken(name, other) from error

    def _resize(self, container: Any) -> None:
        """Restart a kubelet, which then offers what the node's files say."""
        # It may have been started a moment ago.
        self.engine.run(container, BOOTED, self.timeout)
        restart = ["systemctl", "restart", "kubelet"]
        self.engine.require(container, restart, f"cannot resize {container.name}")
        self._wait_for_kubelet(container.name)

    def _wait_for_kubelet(self, name: str) -> None:
        admin = self.stack.admin_kubeconfig.read_text()
        ensure_kubelet_certificates(admin, [name], self.timeout, self.clock, self.note)

    def _wait(self, nodes: Mapping[str, NodeSpec]) -> None:
        self._wait_until(partial(self._observe, nodes), "the nodes to be Ready")

    def _wait_until(self, observe: Callable[[], Observation], what: str) -> None:
        wait_until(
            observe,
            what=what,
            timeout=self.timeout,
            clock=self.clock,
            interval=0.1,
            note=self.note,
            remedy="see `devstack logs --cluster`",
        )

    def _observe(self, nodes: Mapping[str, NodeSpec]) -> Observation:
        found = self._registered()
        for name, spec in nodes.items():
            if lacks := node_lacks(found.get(name), spec):
                return Waiting(f"node {name} {lacks}")
        return Ready()

    def _kube(self) -> KubeClient:
        return KubeClient.from_kubeconfig(self.stack.admin_kubeconfig.read_text())


def _unfinished(registered: Mapping[str, Object], names: Iterable[str]) -> list[str]:
    """Return the nodes on which no pods are placed yet."""
    return [name for name in names if name in registered and is_starting(registered[name])]


def is_of_pool(container: Any) -> bool:
    """Return True if a node's container is one of a pool, and so not made by kind."""
    return POOL_LABEL in container.labels


def usable_nodes(engine: DockerClient, containers: Iterable[Any]) -> list[Any]:
    """Return the containers of nodes that run and have joined: others run no programs yet."""
    running = [each for each in containers if each.status == "running"]
    joined = in_parallel(
        lambda each: not is_of_pool(each) or engine.has_file(each, JOINED), running
    )
    return [each for each, usable in zip(running, joined, strict=True) if usable]


def _bind(mount: Mapping[str, Any]) -> str:
    return f"{mount['hostPath']}:{mount['containerPath']}:ro"


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
