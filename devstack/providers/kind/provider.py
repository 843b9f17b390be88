"""Clusters in Docker, created by the kind CLI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from devstack.docker.podman_client import engine_client
from devstack.errors import DevstackError, ExitStatus
from devstack.images import ImageStore
from devstack.images.archive_reader import ImageArchive
from devstack.images.kubernetes_versions import node_image
from devstack.owner import Owner
from devstack.parallel import in_parallel
from devstack.pidfile import kill_orphan
from devstack.pools.nodes import NodeSpec
from devstack.ports import require_free
from devstack.process import Runner
from devstack.progress import Progress
from devstack.providers.base import (
    ClusterSpec,
    ClusterStatus,
    Problem,
    RealSize,
    RegistrySettings,
)
from devstack.providers.claim import Claim
from devstack.providers.docker_host import check_docker_host
from devstack.providers.kind.cli import KIND, kind_failed
from devstack.providers.kind.cluster_nodes import ClusterNodes, is_of_pool, usable_nodes
from devstack.providers.kind.config import build_config
from devstack.providers.kind.container_files import delete_container_files
from devstack.providers.kind.engine_check import find_problems, require_folder
from devstack.providers.kind.examined import ExaminedEngine
from devstack.providers.kind.kubelet_certificates import ensure_kubelet_certificates
from devstack.providers.kind.machine import adapt_to_machine, save_real_size, saved_real_size
from devstack.providers.kind.node_files import node_folder, read_node_spec, write_node_files
from devstack.providers.kind.node_images import (
    image_ids,
    import_images,
    list_images,
    load_images,
)
from devstack.providers.kind.ownership import FILE as OWNER_FILE
from devstack.providers.kind.ownership import (
    owner_of_cluster,
    owner_of_nodes,
)
from devstack.providers.kind.registry_hosts import configure_node, files_version, find_files
from devstack.providers.kind.requests import FOLDER as PATCHES_FOLDER
from devstack.providers.kind.requests import write_patches
from devstack.providers.kind.scheduler import FILE as SCHEDULER_FILE
from devstack.providers.kind.scheduler import scheduler_text
from devstack.providers.kind.service_network import wait_for_service_network
from devstack.providers.ownership import foreign_cluster
from devstack.providers.ready import wait_for_api
from devstack.state import StackDir
from devstack.tools import ensure_tool, find_tool
from devstack.waits import Clock

API_PORT = "api"
"""The name of the API's port in ``StackState.ports``."""

_WITHOUT_PORTS = ("created", "exited", "stopped", "dead")
"""States of a container in which the engine does not hold its host ports; Podman has "stopped"."""

LATE_NODE_SECONDS = 1.5
"""How long Docker may continue to create a node after kind was killed."""

POLL_SECONDS = 0.1


class KindProvider(ExaminedEngine):
    """One kind cluster per stack, in a Docker network of its own.

    The administrator's kubeconfig is renamed into place only after kind has
    finished, so a cluster without it was interrupted and is created again.

    Args:
        stack: the stack's directory.
        images: provides the node image.
        runner: runs kind.
        clock: measures timeouts.
        progress: reports what kind does.

    Attributes:
        cluster: the cluster's name, as `kind get clusters` shows it.
    """

    name = "kind"
    owns_cluster = True
    own_ports = (API_PORT,)

    def __init__(
        self,
        stack: StackDir,
        images: ImageStore,
        runner: Runner,
        clock: Clock,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.cluster = f"devstack-{stack.name}"
        self._stack = stack
        self._images = images
        self._runner = runner
        self._clock = clock
        self._progress = progress
        self._engine = engine_client(runner)
        self._claim = Claim(self._engine, self.cluster)
        self._pidfile = stack.path / "kind.pid"

    def ensure_programs(self, spec: ClusterSpec) -> Path:
        """Return the kind CLI, compiled now if there is none."""
        return ensure_tool(KIND, self._runner, self._progress, spec.offline)

    def node_image(self, spec: ClusterSpec) -> str:
        """Return the name in the catalogue of the image with the cluster's Kubernetes."""
        return node_image(spec.kubernetes)

    def check(self, spec: ClusterSpec) -> list[Problem]:
        """Return why kind cannot be used on this machine: a fault of the engine, or no kind."""
        exists = self._stack.admin_kubeconfig.exists()
        found = find_problems(self._engine, self._stack.path, only_answers=exists)
        return found or self._without_kind(spec)

    def _without_kind(self, spec: ClusterSpec) -> list[Problem]:
        if not spec.offline or find_tool(KIND, self._runner):
            return []
        message = "the kind CLI is neither on PATH nor built yet, and nothing may be fetched"
        remedy = "`devstack images load FILE` with a bundle, or omit --offline"
        return [Problem(message, remedy, "KIND_MISSING")]

    def check_machine(self, spec: ClusterSpec) -> list[Problem]:
        """Return what may keep nodes from working."""
        return [] if self.check(spec) else check_docker_host(self._runner)

    def ensure(self, spec: ClusterSpec) -> str:
        """Create the cluster, or start its stopped nodes; return the kubeconfig.

        Raises:
            DevstackError: ``CLUSTER_FOREIGN``, ``PORT_TAKEN``, ``NODES_FIXED``,
                ``KIND_FAILED``, ``TOOL_TIMEOUT`` or ``WAIT_TIMEOUT``.
        """
        self._end_interrupted()
        nodes = self._own_nodes()
        if nodes and self._stack.admin_kubeconfig.exists():
            _require_same_count(spec, nodes)
            if nodes[0].status in _WITHOUT_PORTS:
                require_free(self._ports())
            if any(node.status != "running" for node in nodes):
                adapt_to_machine(self._stack, [node.name for node in nodes], self._engine.info())
            self._engine.start(nodes)
            created = []
        else:
            self._claim_name()
            # Only now: another stack's network exists before its nodes do.
            self._remove(nodes)
            self._create(spec)
            created = [node.name for node in self._engine.nodes(self.cluster)]
        kubeconfig = self._stack.admin_kubeconfig.read_text()
        wait_for_api(kubeconfig, spec.timeout, self._clock, self._progress.note)
        ensure_kubelet_certificates(
            kubeconfig, created, spec.timeout, self._clock, self._progress.note
        )
        return kubeconfig

    def wait_for_service_network(self, spec: ClusterSpec) -> None:
        """Wait until kube-proxy routes to Services on every node."""
        wait_for_service_network(
            self._engine,
            self._engine.nodes(self.cluster),
            self._stack.admin_kubeconfig.read_text(),
            spec.timeout,
            self._clock,
            self._progress.note,
        )

    def status(self, spec: ClusterSpec) -> ClusterStatus:
        """Return the state of the node containers."""
        nodes = self._engine.nodes(self.cluster)
        if not nodes:
            return ClusterStatus("absent", f"there is no kind cluster {self.cluster!r}")
        if not self._is_own(owner := self._owner_of(nodes)):
            return ClusterStatus("absent", f"the kind cluster {self.cluster!r} belongs to {owner}")
        down = [f"{node.name} is {node.status}" for node in nodes if node.status != "running"]
        if down:
            return ClusterStatus("stopped", "; ".join(down))
        names = ", ".join(node.name for node in nodes)
        return ClusterStatus("running", f"{len(nodes)} node(s): {names}")

    def owner(self, spec: ClusterSpec) -> Owner | None:
        """Return the owner of the nodes, or of the network and volume that are left."""
        return owner_of_cluster(self._engine, self.cluster)

    def delete(self, spec: ClusterSpec) -> None:
        """Remove the node containers, their volumes and the network, if they are this stack's."""
        self._end_interrupted()
        owner = self.owner(spec)
        if owner and not self._is_own(owner):
            return
        unfinished = self._stack.exists() and not self._stack.admin_kubeconfig.exists()
        self._remove(self._engine.nodes(self.cluster))
        if unfinished:
            self._remove_late_containers()
        self._claim.release(self._stack.owner)

    def _remove_late_containers(self) -> None:
        """Remove nodes that Docker was creating when kind was killed."""
        deadline = self._clock.now() + LATE_NODE_SECONDS
        while self._clock.now() < deadline:
            self._clock.sleep(POLL_SECONDS)
            late = self._engine.nodes(self.cluster)
            if late and self._is_own(self._owner_of(late)):
                self._remove(late)

    def nodes_by_name(self, spec: ClusterSpec) -> dict[str, NodeSpec]:
        """Return what all nodes are to be, the base nodes first, by their names.

        Without base nodes of an earlier release, whose size is the machine's.
        """
        base = self._base_names(spec)
        if self._stack.admin_kubeconfig.exists():
            base = [name for name in base if read_node_spec(self._folder(name))]
        named = dict.fromkeys(base, spec.base_node)
        for node in spec.pool_nodes:
            index = sum(1 for each in named.values() if each.pool == node.pool)
            named[f"{self.cluster}-{node.pool}-{index}"] = node
        return named

    def existing_nodes(self) -> dict[str, NodeSpec | None]:
        """Return what the nodes are, by name; None for those whose size cannot be changed."""
        return self._nodes().existing()

    def ensure_nodes(self, spec: ClusterSpec, nodes: Mapping[str, NodeSpec]) -> None:
        """Create nodes, or give existing ones their size; return once they are Ready."""
        self._own_nodes()
        self._nodes(spec.timeout).ensure(nodes)

    def limit_nodes(self, names: Sequence[str]) -> None:
        """Let the stack's services come before the pods of nodes where CPUs are short."""
        self._own_nodes()
        self._nodes().limit_cpus(names)

    def remove_node(self, name: str) -> None:
        """Remove a node's container, and its object in the API; the caller has drained it."""
        self._own_nodes()
        self._nodes().remove(name)

    def kill_node(self, name: str) -> None:
        """Stop a node without warning, as a machine that loses its power."""
        self._own_nodes()
        self._engine.kill(self._nodes().container(name))

    def restore_node(self, name: str) -> None:
        """Start a node that was stopped; return once it is Ready."""
        self._own_nodes()
        self._nodes().restore(name)

    def real_size(self) -> RealSize:
        """Return what the machine really has, which all nodes share."""
        return saved_real_size(self._stack) or save_real_size(self._stack, self._engine.info())

    def _nodes(self, timeout: float = 300.0) -> ClusterNodes:
        return ClusterNodes(
            self.cluster,
            self._stack,
            self._engine,
            self._clock,
            self._progress.note,
            self.real_size(),
            timeout,
        )

    def _folder(self, node: str) -> Path:
        return node_folder(self._stack, node)

    def _base_names(self, spec: ClusterSpec) -> list[str]:
        # kind numbers workers from 2 on: worker, worker2, worker3 (kind: common.MakeNodeNamer).
        workers = (f"worker{number if number > 1 else ''}" for number in range(1, spec.nodes))
        return [f"{self.cluster}-{role}" for role in ("control-plane", *workers)]

    def collect_logs(self, spec: ClusterSpec, into: Path) -> None:
        """Write the output of `kind export logs` below ``into``."""
        self._own_nodes()
        try:
            self._kind(spec, ["export", "logs", str(into), "--name", self.cluster])
        except DevstackError as error:
            # A node built from packages has no crictl; kind exports all the rest, then fails.
            if "crictl images" not in error.cause:
                raise

    def images_present(self, spec: ClusterSpec) -> set[str]:
        """Return the references of the images that containerd of every running node has."""
        found = in_parallel(self._references, self._usable_nodes())
        return set.intersection(*found) if found else set()

    def load_images(
        self, spec: ClusterSpec, references: Sequence[str], note: Callable[[str], None]
    ) -> None:
        """Copy images from Docker into every running node, layers that they share once."""
        nodes = self._usable_nodes()
        load_images(self._engine, nodes, references, self.cluster, spec.timeout, self._clock, note)

    def image_ids(self, spec: ClusterSpec) -> dict[str, str]:
        """Return the id of each image that all running nodes have, by its name."""
        return image_ids(self._engine, self._usable_nodes())

    def add_images(self, spec: ClusterSpec, archive: ImageArchive) -> None:
        """Import an archive's images into every running node."""
        import_images(self._engine, self._usable_nodes(), archive, spec.timeout, self._clock)

    def registries_version(self, spec: ClusterSpec, settings: RegistrySettings) -> str:
        """Return a digest of the files for containerd."""
        return files_version(find_files(self._engine, settings))

    def configure_registries(self, spec: ClusterSpec, settings: RegistrySettings) -> None:
        """Write the files for containerd of every running node, which reads them at each pull."""
        files = find_files(self._engine, settings)
        in_parallel(lambda node: configure_node(self._engine, node, files), self._usable_nodes())

    def save_volumes(
        self, spec: ClusterSpec, folders: Mapping[str, Sequence[str]], into: Path
    ) -> None:
        """Write the folders of each node into an archive below ``into``."""
        for node in self._own_nodes():
            if folders.get(node.name):
                # It may have been killed: nothing can be read from it then.
                self._engine.start([node])
                self._engine.pack(node, folders[node.name], into / f"{node.name}.tar")

    def restore_volumes(self, spec: ClusterSpec, saved: Path) -> None:
        """Extract the archives of `save_volumes`; those of nodes that are no more, on the first."""
        nodes = {node.name: node for node in self._own_nodes()}
        for archive in sorted(saved.glob("*.tar")):
            node = nodes.get(archive.stem, nodes[f"{self.cluster}-control-plane"])
            self._engine.unpack(node, archive)

    def plan(self, spec: ClusterSpec) -> list[str]:
        """Return the kind command and its configuration."""
        config = build_config(
            spec,
            api_port=0,
            scheduler=self._stack.path / SCHEDULER_FILE,
            owner=self._stack.path / OWNER_FILE,
            patches=self._stack.path / PATCHES_FOLDER,
            folders=[self._folder(name) for name in self._base_names(spec)],
        )
        base = self._base_names(spec)
        joins = [f"join {name}" for name in self.nodes_by_name(spec) if name not in base]
        image = self._images.reference(self.node_image(spec))
        variables = " ".join(f"{key}={value}" for key, value in self._variables.items())
        command = f"kind create cluster --name {self.cluster} --image {image}"
        return [f"{variables} {command} --config - <<EOF", *config.splitlines(), "EOF", *joins]

    def _references(self, node: Any) -> set[str]:
        listing = list_images(self._engine, node)
        # containerd includes the default registry in names; manifests omit it.
        return {line.removeprefix("docker.io/") for line in listing.split()}

    @property
    def _variables(self) -> dict[str, str]:
        # kind's default network is shared and would remain after `down`.
        return self._engine.engine.kind_variables(self.cluster)

    def _create(self, spec: ClusterSpec) -> None:
        ports = self._ports()
        require_free(ports)
        name = self.node_image(spec)
        image = self._images.ensure([name])[name]
        require_folder(self._engine, self._runner, image, self._stack.path, self._stack.owner)
        self._create_network()
        unfinished = self._stack.path / "unfinished.kubeconfig"
        # A killed kind leaves its lock file behind, for which kind would wait.
        for leftover in self._stack.path.glob(f"{unfinished.name}*"):
            leftover.unlink()
        scheduler = self._stack.write_file(SCHEDULER_FILE, scheduler_text())
        owner = self._stack.write_file(OWNER_FILE, self._stack.owner.to_json())
        patches = write_patches(self._stack, spec.nodes)
        machine = save_real_size(self._stack, self._engine.info())
        folders = [self._folder(name).resolve() for name in self._base_names(spec)]
        for folder in folders:
            write_node_files(folder, spec.base_node, machine)
        config = build_config(
            spec,
            ports.get(API_PORT, 0),
            scheduler.resolve(),
            owner.resolve(),
            patches.resolve(),
            folders,
        )
        argv = ["create", "cluster", "--name", self.cluster, "--image", image]
        argv += ["--config", "-", "--kubeconfig", str(unfinished)]
        try:
            self._create_by_kind(spec, argv, config)
        except DevstackError as error:
            # Docker may create a node that a killed kind requested, after the nodes were listed.
            late = self._engine.nodes(self.cluster)
            if not late or "already" not in error.cause or not self._is_own(self._owner_of(late)):
                raise
            self._engine.remove(late, self._stack.owner.labels())
            self._create_by_kind(spec, argv, config)
        unfinished.chmod(0o600)
        unfinished.replace(self._stack.admin_kubeconfig)

    def _is_own(self, owner: Owner) -> bool:
        return owner.matches(self._stack.owner)

    def _owner_of(self, nodes: Sequence[Any]) -> Owner:
        return owner_of_nodes(self._engine, self.cluster, nodes)

    def _own_nodes(self) -> list[Any]:
        """Return the node containers; raise ``CLUSTER_FOREIGN`` if they are another stack's."""
        nodes = self._engine.nodes(self.cluster)
        if nodes:
            self._require_own(self._owner_of(nodes))
        return nodes

    def _usable_nodes(self) -> list[Any]:
        return usable_nodes(self._engine, self._own_nodes())

    def _require_own(self, owner: Owner) -> None:
        if not self._is_own(owner):
            raise foreign_cluster(self._stack.name, f"the kind cluster {self.cluster!r}", owner)

    def _claim_name(self) -> None:
        """Claim the cluster's name; raise ``CLUSTER_FOREIGN`` if it is another stack's."""
        owner = self._stack.owner
        found = owner_of_cluster(self._engine, self.cluster)
        self._require_own(found or owner)
        self._require_own(self._claim.acquire(owner))

    def _create_network(self) -> None:
        """Create the network that kind uses; kind would create it without labels."""
        self._engine.create_network(self.cluster, self._stack.owner.labels())

    def _create_by_kind(self, spec: ClusterSpec, argv: list[str], config: str) -> None:
        self._kind(
            spec,
            argv,
            input=config,
            pidfile=self._pidfile,
            on_line=lambda line: self._progress.note(line.strip(" •✓…")),
        )

    def _ports(self) -> dict[str, int]:
        state = self._stack.read()
        return state.ports if state else {}

    def _kind(
        self,
        spec: ClusterSpec,
        argv: list[str],
        *,
        input: str | None = None,
        pidfile: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        done = self._runner.run(
            [str(self.ensure_programs(spec)), *argv],
            input=input,
            timeout=spec.timeout,
            check=False,
            on_line=on_line,
            pidfile=pidfile,
            env=self._variables,
        )
        if not done.ok:
            raise kind_failed(argv[0], self.cluster, done.stderr)

    def _end_interrupted(self) -> None:
        # kind outlives a killed devstack, and would continue to create what is removed here.
        kill_orphan(self._pidfile)

    def _remove(self, nodes: list[Any]) -> None:
        self._stack.admin_kubeconfig.unlink(missing_ok=True)
        delete_container_files(self._engine, nodes)
        self._engine.remove(nodes, self._stack.owner.labels())
        self._engine.remove_networks(self._engine.networks(self.cluster))


def _require_same_count(spec: ClusterSpec, nodes: list[Any]) -> None:
    base = [node for node in nodes if not is_of_pool(node)]
    if len(base) != spec.nodes:
        raise DevstackError(
            f"cannot change the stack to {spec.nodes} node(s)",
            cause=f"its kind cluster was created with {len(base)}",
            remedy=f"devstack down --name {spec.name}, then up with --nodes {spec.nodes}",
            code="NODES_FIXED",
            exit_status=ExitStatus.USAGE,
        )
