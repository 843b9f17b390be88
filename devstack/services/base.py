"""What a service is: manifests, what it needs, when it is ready, what it offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from devstack.kube.client import KubeClient
    from devstack.state import StackState
    from devstack.waits import Observation

Manifest = dict[str, Any]
"""One Kubernetes object, as JSON would have it."""


@dataclass(frozen=True)
class ServiceContext:
    """What a service may know of the stack that it is part of.

    Attributes:
        state: the stack's lasting facts: namespace, ports, credentials.
        kube: the API, as administrator; None while only planning.
        host_mapped: True where ``state.ports`` lead straight to the service
            (kind); False where a port-forward is needed (context).
        restarted: True where the cluster was made or started just now, so that
            the API may tell of pods as they were before.
    """

    state: StackState
    kube: KubeClient | None = None
    host_mapped: bool = True
    restarted: bool = False

    @property
    def needs_proof(self) -> bool:
        """True where a service has to be used to know that it is ready.

        A stack that nothing was written to since it was proved needs none.
        """
        return self.restarted or self.api.writes > 0

    @property
    def api(self) -> KubeClient:
        """The API, for what is never asked while only planning."""
        if self.kube is None:
            raise RuntimeError("a plan must not ask the API")
        return self.kube


@dataclass(frozen=True)
class HostPort:
    """A port of a service that people reach from the host.

    Attributes:
        name: unique among all services; the key in ``state.ports``.
        preferred: the host port tried first.
        node_port: the NodePort of the Service in k8s/.
        target: the Service as ``namespace/name:port``, for a port-forward.
        about: what answers there, for ``devstack status``.
    """

    name: str
    preferred: int
    node_port: int
    target: str
    about: str


@dataclass(frozen=True)
class Outputs:
    """What a service gives to those who use the stack.

    Attributes:
        metaflow: entries of Metaflow's configuration file.
        environment: variables for processes on the host.
        urls: addresses a person opens, by name.
        secrets: credentials a person needs to log in, by name.
    """

    metaflow: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


class Service(Protocol):
    """One part of the stack.

    Attributes:
        name: also the folder below k8s/.
        needs: the services that must be ready before this one.
        images: catalogue names of the images its pods run.
        host_ports: ports reached from the host.
    """

    name: str
    needs: tuple[str, ...]
    images: tuple[str, ...]
    host_ports: tuple[HostPort, ...]

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return all objects of the service, in the order to apply them."""
        ...

    def prepare(self, ctx: ServiceContext) -> None:
        """Do once what manifests cannot (make a bucket); idempotent, after ready."""
        ...

    def observe(self, ctx: ServiceContext) -> Observation:
        """Look once whether the service is ready, naming the culprit if not."""
        ...

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return what the service offers."""
        ...


@runtime_checkable
class DetectsCapabilities(Protocol):
    """A service whose manifests depend on what the cluster can do.

    Attributes:
        name: the service's name.
    """

    name: str

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True where the state says already what the cluster can do."""
        ...

    def adapt(self, ctx: ServiceContext) -> str:
        """Note in the state what the cluster can do; return a warning, or nothing."""
        ...


@runtime_checkable
class Describes(Protocol):
    """A service with more to say of itself than that it is ready."""

    def describe(self, ctx: ServiceContext) -> str:
        """Return what it does now, in a few words for `devstack status`."""
        ...
