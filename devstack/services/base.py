"""What a service declares and implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from devstack.errors import DevstackError
from devstack.kube import manifests as kube_manifests

if TYPE_CHECKING:
    from devstack.kube.client import KubeClient
    from devstack.process import Completed
    from devstack.state import StackState
    from devstack.waits import Observation

Manifest = dict[str, Any]
"""One Kubernetes object, in the form of its JSON."""


class Execute(Protocol):
    """Runs a command in a pod."""

    def __call__(self, namespace: str, target: str, command: Sequence[str], text: str) -> Completed:
        """Return what the command printed, and its status.

        Args:
            namespace: the pod's.
            target: the pod, or a workload such as ``deployment/postgres``.
            command: the command; never a secret.
            text: its standard input.
        """
        ...


@dataclass(frozen=True)
class ServiceContext:
    """The stack as its services see it.

    Attributes:
        state: the stack's persistent state: namespace, ports, credentials.
        kube: the API, as administrator; None while only planning.
        restarted: True if the cluster was created or started by this command, so
            that the API may still report pods as they were before.
        databases: the databases that the services of the stack declare.
        added_databases: those among them of services that settings add to a running stack.
        execute: runs a command in a pod, as :class:`Execute`; None while only planning.
        owns_cluster: False if the cluster, and so its nodes, are not the stack's alone.
        has_pools: True if the provider creates the nodes, of any size.
        vhosts: the virtual hosts on the message broker that the services declare.
    """

    state: StackState
    kube: KubeClient | None = None
    restarted: bool = False
    databases: tuple[str, ...] = ()
    added_databases: tuple[str, ...] = ()
    execute: Execute | None = None
    owns_cluster: bool = True
    has_pools: bool = False
    vhosts: tuple[str, ...] = ()

    def is_mapped(self, port: str) -> bool:
        """Return True if a host port reaches its service directly, without a port-forward.

        Args:
            port: its name in ``state.ports``.
        """
        return port in self.state.mapped_ports

    @property
    def needs_probe(self) -> bool:
        """True if readiness has to be verified by using the service.

        A stack that has not been written to since the last probe needs none.
        """
        return self.restarted or self.api.writes > 0

    @property
    def api(self) -> KubeClient:
        """The API.

        Raises:
            RuntimeError: while only planning, when there is no API.
        """
        if self.kube is None:
            raise RuntimeError("a plan must not access the API")
        return self.kube


@dataclass(frozen=True)
class HostPort:
    """A port of a service that is reachable from the host.

    Attributes:
        name: unique among all services; the key in ``state.ports``.
        preferred: the host port tried first.
        node_port: the NodePort of the Service in k8s/; 0 if it has none and is always forwarded.
        target: the Service as ``namespace/name:port``, for a port-forward.
        about: what listens there, for `devstack status`.
    """

    name: str
    preferred: int
    node_port: int
    target: str
    about: str


@dataclass(frozen=True)
class Outputs:
    """What a service provides to users of the stack.

    Attributes:
        metaflow: entries of Metaflow's configuration file.
        environment: variables for processes on the host.
        urls: addresses to open in a browser, by name.
        secrets: credentials for logging in, by name.
    """

    metaflow: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


class ServiceUnreachableError(DevstackError):
    """A service that was ready does not answer."""


class Service(ABC):
    """One part of the stack.

    Everything that the rest of devstack knows of a service is declared here:
    flags, their help, configuration choices, startup order, the Tiltfile's data
    and README's table are derived from these attributes.

    Attributes:
        name: also the folder below k8s/.
        about: what it is, in one line.
        needs: names of the services that it depends on.
        optional: True if a stack can be brought up without it.
        enabled_by_default: False for an optional service that `up` includes only on
            request, or if the settings require it.
        own_nodes_only: True if it changes nodes, so that it runs only on those that the
            provider creates.
        added: True if settings add it to the services that every stack knows: its ports are
            forwarded, and its database is created in the running server.
        images: catalogue names of the images that its pods run.
        host_ports: ports reachable from the host.
        database: the Postgres database, and the role of the same name that owns it;
            empty if it needs none. A service with a database needs ``postgres``.
        vhost: the virtual host on the message broker, and the user of the same name that owns
            it; empty if it needs none.
        samples: names of the sample flows that do not work without it.
    """

    name: str
    about: str
    needs: tuple[str, ...] = ()
    optional: bool = False
    enabled_by_default: bool = True
    own_nodes_only: bool = False
    added: bool = False
    images: tuple[str, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    database: str = ""
    vhost: str = ""
    samples: tuple[str, ...] = ()

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return all objects of the service; by default those of its folder below k8s/."""
        return kube_manifests.with_images(kube_manifests.load(self.name), ctx.state.images)

    def served_ports(self, ctx: ServiceContext) -> tuple[HostPort, ...]:
        """Return the host ports behind which something listens, with the stack's settings."""
        return self.host_ports

    def leftovers(self, ctx: ServiceContext) -> list[Manifest]:
        """Return objects that earlier settings may have left, in order of deletion.

        They are deleted before anything is applied.
        """
        return []

    def required_by(self, airflow: Mapping[str, Any]) -> str:
        """Return which setting requires the service, off by default; empty if none does.

        Args:
            airflow: the settings of an installation of Airflow.
        """
        return ""

    @abstractmethod
    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the service is ready; if not, which object is not."""

    def is_prepared(self, ctx: ServiceContext) -> bool:
        """Return True if :meth:`prepare`, called before, has nothing more to do."""
        return True

    def prepare(self, ctx: ServiceContext) -> None:  # noqa: B027 - most services need none
        """Set up what manifests cannot express (a bucket); idempotent, called when ready.

        Raises:
            ServiceUnreachableError: it does not answer; `up` waits until it is ready again.
        """

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return what the service provides to users of the stack."""
        return Outputs()


@runtime_checkable
class DetectsCapabilities(Protocol):
    """A service whose manifests depend on what the cluster supports.

    Attributes:
        name: the service's name.
    """

    name: str

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True if the state records already what the cluster supports."""
        ...

    def adapt(self, ctx: ServiceContext) -> str:
        """Record in the state what the cluster supports; return a warning, or ``""``."""
        ...


@runtime_checkable
class HasFinalizers(Protocol):
    """A service whose controller puts finalizers on objects, which outlive the controller."""

    def release(self, ctx: ServiceContext) -> None:
        """Delete these objects, those of users too, and remove their finalizers."""
        ...


@runtime_checkable
class Describes(Protocol):
    """A service that reports its activity in addition to its readiness."""

    def describe(self, ctx: ServiceContext) -> str:
        """Return its current activity as a short phrase, for `devstack status`."""
        ...
