"""What a provider is: the place a cluster comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from devstack.owner import Owner


@dataclass(frozen=True)
class ClusterSpec:
    """The cluster that is wanted.

    Attributes:
        name: the stack's name; providers derive the cluster's name from it.
        nodes: number of nodes, the control plane's included.
        host_ports: node port by host port on loopback, for services that are
            reached without a port-forward.
        timeout: seconds for the cluster to be ready.
        context: the kubeconfig context, for providers that use one.
        offline: True where nothing may be fetched.
    """

    name: str
    nodes: int = 1
    host_ports: Mapping[int, int] = field(default_factory=dict)
    timeout: float = 300.0
    context: str = ""
    offline: bool = False


@dataclass(frozen=True)
class ClusterStatus:
    """The cluster that is there.

    Attributes:
        state: "absent", "stopped", "running" or "unreachable".
        detail: one sentence for a person: which container is stopped, and why.
    """

    state: str
    detail: str = ""


@dataclass(frozen=True)
class Problem:
    """A reason why a provider cannot be used here, and what to do about it."""

    message: str
    remedy: str
    code: str


@runtime_checkable
class Provider(Protocol):
    """A source of clusters.  Everything else devstack does goes by the kubeconfig.

    Attributes:
        name: as ``--provider`` takes it.
        maps_ports: True where host ports lead to node ports by themselves, so
            that no port-forward is needed.
        owns_cluster: True where `down` removes the cluster as a whole.
    """

    name: str
    maps_ports: bool
    owns_cluster: bool

    def check(self, spec: ClusterSpec) -> list[Problem]:
        """Return why this machine cannot have the cluster from here; empty if it can."""
        ...

    def ensure(self, spec: ClusterSpec) -> str:
        """Bring the cluster up or heal it; return the administrator's kubeconfig (YAML)."""
        ...

    def status(self, spec: ClusterSpec) -> ClusterStatus:
        """Look at the cluster without changing anything."""
        ...

    def owner(self, spec: ClusterSpec) -> Owner | None:
        """Return whom the cluster of this name belongs to; None if absent or shared by stacks."""
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
        """Wait until the nodes lead to Services, the API's among them.

        Raises:
            DevstackError: ``WAIT_TIMEOUT``.
        """
        ...


@runtime_checkable
class LoadsImages(Protocol):
    """A provider whose nodes take images from the machine rather than from a registry."""

    def images_present(self, spec: ClusterSpec) -> set[str]:
        """Return the references that every node already has."""
        ...

    def load_images(self, spec: ClusterSpec, references: Sequence[str]) -> None:
        """Put the images into every node."""
        ...


@runtime_checkable
class KeepsVolumes(Protocol):
    """A provider that can carry the contents of volumes from one cluster to the next."""

    def save_volumes(
        self, spec: ClusterSpec, folders: Mapping[str, Sequence[str]], into: Path
    ) -> None:
        """Write the folders of each node into archives below ``into``.

        Args:
            spec: the cluster.
            folders: absolute paths by the node's name; nobody writes there any more.
            into: a folder of this machine.
        """
        ...

    def restore_volumes(self, spec: ClusterSpec, saved: Path) -> None:
        """Put the archives below ``saved`` back on the nodes of the same names."""
        ...
