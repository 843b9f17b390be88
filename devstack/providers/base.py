"""The provider protocols: where clusters come from, and what only some providers can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from devstack.images.kubernetes_versions import DEFAULT
from devstack.owner import Owner
from devstack.pools.nodes import NodeSpec, base_node

if TYPE_CHECKING:
    from devstack.images.archive_reader import ImageArchive


@dataclass(frozen=True)
class ClusterSpec:
    """The desired cluster.

    Attributes:
        name: the stack's name; providers derive the cluster's name from it.
        nodes: number of base nodes, the control plane's included.
        base_node: what each of them offers, for providers that can choose it.
        pool_nodes: the nodes of pools, in addition.
        host_ports: node port by host port on loopback, for services that are
            reached without a port-forward.
        timeout: seconds for the cluster to be ready.
        context: the kubeconfig context, for providers that use one.
        offline: True if nothing may be fetched.
        kubernetes: the minor version of Kubernetes, for providers that can choose it.
    """

    name: str
    nodes: int = 1
    base_node: NodeSpec = field(default_factory=base_node)
    pool_nodes: Sequence[NodeSpec] = ()
    host_ports: Mapping[int, int] = field(default_factory=dict)
    timeout: float = 300.0
    context: str = ""
    offline: bool = False
    kubernetes: str = DEFAULT


@dataclass(frozen=True)
class RealSize:
    """What the machine that runs the nodes has.

    Attributes:
        cpus: number of CPUs.
        memory: bytes of memory.
        memory_limit: the most that the cluster's nodes may use, in bytes; pods beyond it are
            OOMKilled.
        disk: bytes of free disk space.
    """

    cpus: int
    memory: int
    memory_limit: int
    disk: int


@dataclass(frozen=True)
class ClusterStatus:
    """The state of a cluster.

    Attributes:
        state: "absent", "stopped", "running" or "unreachable".
        detail: one sentence for a person: which container is stopped, and why.
    """

    state: str
    detail: str = ""


@dataclass(frozen=True)
class Problem:
    """A reason why a provider cannot be used here, and what to do about it.

    Attributes:
        message: what is wrong, in one sentence.
        remedy: the next step for the user.
        code: stable, upper case.
        severity: "error" if no cluster can work, "warning" if it may not.
    """

    message: str
    remedy: str
    code: str
    severity: str = "error"


@runtime_checkable
class Provider(Protocol):
    """A source of clusters. Everything else that devstack does needs only the kubeconfig.

    What only some providers can do is a protocol of its own, below.

    Attributes:
        name: the value of ``--provider``.
        owns_cluster: True if `down` deletes the cluster as a whole.
    """

    name: str
    owns_cluster: bool

    def check(self, spec: ClusterSpec) -> list[Problem]:
        """Return why this provider cannot be used on this machine; empty if it can."""
        ...

    def ensure(self, spec: ClusterSpec) -> str:
        """Create or repair the cluster; return the administrator's kubeconfig (YAML)."""
        ...

    def status(self, spec: ClusterSpec) -> ClusterStatus:
        """Return the cluster's state without changing anything."""
        ...

    def owner(self, spec: ClusterSpec) -> Owner | None:
        """Return the owner of the cluster of this name; None if absent or shared by stacks."""
        ...

    def delete(self, spec: ClusterSpec) -> None:
        """Remove the cluster and all that came with it, if it exists and is this stack's."""
        ...

    def collect_logs(self, spec: ClusterSpec, into: Path) -> None:
        """Write the nodes' and control plane's logs below ``into``."""
        ...

    def plan(self, spec: ClusterSpec) -> list[str]:
        """Return the commands `ensure` would run, for ``--dry-run``."""
        ...


@runtime_checkable
class WaitsForServiceNetwork(Protocol):
    """A provider that returns before pods can reach Services."""

    def wait_for_service_network(self, spec: ClusterSpec) -> None:
        """Wait until the nodes route traffic to Services, including the API's.

        Raises:
            DevstackError: ``WAIT_TIMEOUT``.
        """
        ...


@runtime_checkable
class MapsPorts(Protocol):
    """A provider that maps host ports to node ports when it creates a cluster.

    The ports of other providers' clusters are reached through port-forwards.

    Attributes:
        own_ports: names of the host ports that the provider needs in addition to the services'.
    """

    own_ports: tuple[str, ...]


@runtime_checkable
class NeedsNodeImage(Protocol):
    """A provider whose nodes are containers of an image of ours."""

    def ensure_programs(self, spec: ClusterSpec) -> Path:
        """Return the program that creates clusters, compiled now if there is none."""
        ...

    def node_image(self, spec: ClusterSpec) -> str:
        """Return the image's name in the catalogue."""
        ...


@runtime_checkable
class ChecksMachine(Protocol):
    """A provider with requirements on this machine, which `doctor` checks."""

    def check_machine(self, spec: ClusterSpec) -> list[Problem]:
        """Return the requirements that are not met; empty also if `check` finds a problem."""
        ...


@dataclass(frozen=True)
class EngineDescription:
    """An engine.

    Attributes:
        info: its fields, as in `docker info`.
        product: its name, such as "Colima".
        is_local: True if it certainly runs on this machine, not in a virtual one.
        missing_controllers: the cgroup controllers that nodes need and it may not use.
        cgroup_v1: True if it uses cgroup v1.
    """

    info: Mapping[str, Any]
    product: str
    is_local: bool
    missing_controllers: Sequence[str] = ()
    cgroup_v1: bool = False


@dataclass(frozen=True)
class EngineObject:
    """Something in the engine that carries a stack's owner.

    Attributes:
        kind: "container", "network" or "volume".
        name: its name.
        owner: the stack that created it.
    """

    kind: str
    name: str
    owner: Owner


@runtime_checkable
class HasEngine(Protocol):
    """A provider whose nodes are containers of an engine, which `doctor` examines."""

    def engine_address_problem(self) -> Problem | None:
        """Return why the engine's address cannot be used; nothing is connected to."""
        ...

    def describe_engine(self) -> EngineDescription:
        """Return what the engine says about itself."""
        ...

    def engine_subnets(self) -> dict[str, list[str]]:
        """Return the subnets of all networks of the engine, by the network's name."""
        ...

    def engine_objects(self) -> list[EngineObject]:
        """Return what stacks, of any user, created in the engine."""
        ...

    def run_on_nodes(self, spec: ClusterSpec, script: str, timeout: float) -> dict[str, str | None]:
        """Run a script by bash on each running node; return its output by the node's name.

        The output is None if it failed or took more than ``timeout`` seconds.
        """
        ...


@runtime_checkable
class HasPools(Protocol):
    """A provider that creates nodes of any size, and changes them while the cluster runs."""

    def nodes_by_name(self, spec: ClusterSpec) -> dict[str, NodeSpec]:
        """Return what all nodes are to be, the base nodes first, by their names."""
        ...

    def existing_nodes(self) -> dict[str, NodeSpec | None]:
        """Return the cluster's nodes by name; None for those that are not of a pool."""
        ...

    def ensure_nodes(self, spec: ClusterSpec, nodes: Mapping[str, NodeSpec]) -> None:
        """Create nodes, or give existing ones their size; return once they are Ready.

        Args:
            spec: the cluster.
            nodes: what the nodes are to be, by name; others are left as they are.
        """
        ...

    def limit_nodes(self, names: Sequence[str]) -> None:
        """Let the stack's services come before the pods of nodes where CPUs are short.

        Args:
            names: nodes that are finished; until then they need the CPUs themselves.
        """
        ...

    def remove_node(self, name: str) -> None:
        """Remove a node's container, and its object in the API; the caller has drained it."""
        ...

    def kill_node(self, name: str) -> None:
        """Stop a node without warning, as a machine that loses its power."""
        ...

    def restore_node(self, name: str) -> None:
        """Start a node that was stopped; return once it is Ready."""
        ...

    def real_size(self) -> RealSize:
        """Return what the machine really has, which all nodes share."""
        ...


@runtime_checkable
class LoadsImages(Protocol):
    """A provider that loads images from this machine into its nodes, without a registry."""

    def images_present(self, spec: ClusterSpec) -> set[str]:
        """Return the references of the images that every running node has."""
        ...

    def load_images(
        self, spec: ClusterSpec, references: Sequence[str], note: Callable[[str], None]
    ) -> None:
        """Load images into every running node; ``note`` shows how far that is."""
        ...


@runtime_checkable
class AddsImages(Protocol):
    """A provider that puts images of users on its nodes, without a registry."""

    def image_ids(self, spec: ClusterSpec) -> dict[str, str]:
        """Return the id of each image that all running nodes have, by its name."""
        ...

    def add_images(self, spec: ClusterSpec, archive: ImageArchive) -> None:
        """Put an archive's images on all running nodes; they replace those of the same names."""
        ...


@dataclass(frozen=True)
class RegistrySettings:
    """The configuration of registries on nodes.

    Attributes:
        mirrors: the mirror, ``HOST[:PORT][/PATH]``, of each registry, or of all others ("*").
        local: registries of the stack itself: where nodes reach them, by the names in images.
        authorities: certificate authorities that this machine trusts, as PEM; empty if only the
            public ones.
    """

    mirrors: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, str] = field(default_factory=dict)
    authorities: str = ""


@runtime_checkable
class ConfiguresRegistries(Protocol):
    """A provider whose nodes can pull from other places than images name."""

    def registries_version(self, spec: ClusterSpec, settings: RegistrySettings) -> str:
        """Return an id of the configuration of nodes; empty if there is none."""
        ...

    def configure_registries(self, spec: ClusterSpec, settings: RegistrySettings) -> None:
        """Configure all running nodes, for the pulls that follow."""
        ...


@runtime_checkable
class KeepsVolumes(Protocol):
    """A provider that can save the contents of volumes, and restore them in another cluster."""

    def save_volumes(
        self, spec: ClusterSpec, folders: Mapping[str, Sequence[str]], into: Path
    ) -> None:
        """Write the folders of each node into archives below ``into``.

        Args:
            spec: the cluster.
            folders: absolute paths by node name; nothing writes there any more.
            into: a folder of this machine.
        """
        ...

    def restore_volumes(self, spec: ClusterSpec, saved: Path) -> None:
        """Extract the archives below ``saved`` on the nodes of the same names.

        Those of nodes that do not exist go to the control plane.
        """
        ...
