"""The status of a stack, determined without changing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from devstack.config import load
from devstack.errors import DevstackError
from devstack.kube.client import KubeClient
from devstack.kube.node_status import NOT_READY, Layout, NodeStatus, PoolStatus, read_layout
from devstack.kube.shape import Shape
from devstack.lifecycle import autoscaler
from devstack.lifecycle.port_forwards import port_forwards_running
from devstack.providers.base import ClusterStatus, HasPools
from devstack.services.base import Describes, Service, ServiceContext
from devstack.stack import Stack, open_stack
from devstack.waits import Failed, Ready

API_TIMEOUT = 3.0
"""Seconds after which a stack whose API does not respond is unreachable."""


@dataclass(frozen=True)
class ServiceStatus:
    """The state of a service: "ready", "waiting", "failed" or "unknown", and why."""

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class StackStatus:
    """The current state of a stack.

    Attributes:
        name: the stack's name.
        provider: the provider of its cluster.
        state: "up", "degraded", "creating", "deleting", "retained", "stopped",
            "unreachable", "broken" or "absent".
        detail: one sentence on the cluster.
        namespace: the namespace of task pods.
        services: each service's state.
        urls: the services' web interfaces and endpoints.
        directory: the stack's directory.
        machine: what the machine that runs all nodes really has; empty if unknown.
        pools: the node pools, with what each node offers.
        nodes: the nodes, with what runs there.
    """

    name: str
    provider: str
    state: str
    detail: str = ""
    namespace: str = ""
    services: list[ServiceStatus] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    directory: str = ""
    machine: Mapping[str, int] = field(default_factory=dict)
    pools: Sequence[PoolStatus] = ()
    nodes: Sequence[NodeStatus] = ()

    @property
    def healthy(self) -> bool:
        """True if the stack is up and all services are ready."""
        return self.state == "up"


def status_by_name(name: str) -> StackStatus:
    """Return the status of a stack; an error becomes the state "broken"."""
    try:
        return stack_status(open_stack(load(name=name)))
    except DevstackError as error:
        return StackStatus(name, "", "broken", str(error))


def stack_status(stack: Stack) -> StackStatus:
    """Return the status according to the API, or to the provider if that does not respond."""
    name = stack.spec.name
    if not stack.dir.exists():
        return StackStatus(name, "", "absent", f"there is no stack {name!r}")
    provider = stack.provider.name
    if stack.state.phase != "up":
        return StackStatus(name, provider, stack.state.phase, _unfinished(stack))
    try:
        kube = stack.kube(timeout=API_TIMEOUT)
        kube.readyz()
    except DevstackError as error:
        return _without_api(stack, error)
    ctx = stack.context(kube)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(_read_layout, stack, kube)
        services = [_service_status(stack, service, ctx) for service in stack.services]
        layout, failure = reading.result()
    services += _autoscaler_status(stack)
    nodes = failure or _node_status(stack, layout.nodes)
    ready = nodes.state == "running" and all(service.state == "ready" for service in services)
    return StackStatus(
        name,
        provider,
        "up" if ready else "degraded",
        nodes.detail,
        stack.state.namespace,
        services,
        dict(stack.outputs().urls),
        str(stack.dir.path),
        _machine(layout.shape),
        layout.pools,
        layout.nodes,
    )


def _machine(real: Shape) -> Mapping[str, int]:
    if not real.cpus:
        return {}
    return {"cpus": real.cpus, "memory": real.memory, "memory_limit": real.memory_limit}


def _read_layout(stack: Stack, kube: KubeClient) -> tuple[Layout, ClusterStatus | None]:
    """Return the nodes and pools, and what keeps them from being read.

    On a cluster that others use too, its nodes and pods are not the stack's.
    """
    nothing = Layout((), (), Shape())
    if not isinstance(stack.provider, HasPools):
        return nothing, None
    try:
        return read_layout(kube), None
    except DevstackError as error:
        return nothing, ClusterStatus("unreachable", f"its nodes cannot be read: {error}")


def _node_status(stack: Stack, nodes: Sequence[NodeStatus]) -> ClusterStatus:
    lost = [node.name for node in nodes if node.state == NOT_READY]
    if lost:
        return ClusterStatus("degraded", f"{_count(nodes)}; not ready: {', '.join(lost)}")
    if stack.state.nodes == 1 or isinstance(stack.provider, HasPools):
        # They have just reported; querying the provider would take longer.
        return ClusterStatus("running", _count(nodes))
    try:
        return stack.provider.status(stack.cluster)
    except DevstackError as error:
        return ClusterStatus("unreachable", str(error))


def _count(nodes: Sequence[NodeStatus]) -> str:
    return "1 node" if len(nodes) < 2 else f"{len(nodes)} nodes"


def _unfinished(stack: Stack) -> str:
    if stack.state.phase == "retained":
        return "down; its data is kept for the next `devstack up`"
    holder = stack.dir.holder()
    if holder is not None:
        return f"process {holder} is working on it"
    return f"interrupted while {stack.state.phase}"


def _autoscaler_status(stack: Stack) -> list[ServiceStatus]:
    if not autoscaler.is_scaled(stack):
        return []
    if autoscaler.autoscaler_runs(stack):
        return [ServiceStatus("autoscaler", "ready")]
    return [ServiceStatus("autoscaler", "failed", "its process has ended; `devstack up` starts it")]


def _service_status(stack: Stack, service: Service, ctx: ServiceContext) -> ServiceStatus:
    try:
        observation = service.observe(ctx)
    except DevstackError as error:
        return ServiceStatus(service.name, "unknown", str(error))
    if isinstance(observation, Ready) and not port_forwards_running(stack, service):
        return ServiceStatus(service.name, "failed", "its port-forward has ended")
    if isinstance(observation, Ready):
        about = service.describe(ctx) if isinstance(service, Describes) else ""
        return ServiceStatus(service.name, "ready", about)
    state = "failed" if isinstance(observation, Failed) else "waiting"
    return ServiceStatus(service.name, state, observation.reason)


def _without_api(stack: Stack, error: DevstackError) -> StackStatus:
    try:
        cluster = stack.provider.status(stack.cluster)
    except DevstackError as worse:
        return StackStatus(stack.spec.name, stack.provider.name, "unreachable", str(worse))
    state = "unreachable" if cluster.state == "running" else cluster.state
    detail = f"{error}" if cluster.state == "running" else cluster.detail
    return StackStatus(stack.spec.name, stack.provider.name, state, detail)
