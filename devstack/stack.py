"""One stack and all that commands need to work on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from devstack.config import StackSpec
from devstack.errors import DevstackError, ExitStatus
from devstack.images import ImageStore
from devstack.images.kubernetes_versions import DEFAULT, require_supported
from devstack.images.mirrors import Mirrors
from devstack.kube.client import KubeClient
from devstack.kube.manifests import on_base_nodes, with_owner
from devstack.pools.nodes import base_node, pool_nodes
from devstack.pools.scaling import largest, smallest
from devstack.process import Completed, Runner, SubprocessRunner
from devstack.progress import Progress, Silent
from devstack.providers.base import ClusterSpec, HasPools, MapsPorts, Provider
from devstack.providers.choose import ProviderParts, make_provider, require_known
from devstack.providers.engines import OF_EARLIER_RELEASES, select_engine
from devstack.services import SERVICES, installations
from devstack.services.airflow.installation import DEFAULT as FIRST_INSTALLATION
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.selection import disabled_services, enabled_services, required_services
from devstack.state import StackDir, StackState
from devstack.waits import Clock, SystemClock

DATA_KINDS = ("Namespace", "PersistentVolumeClaim")
"""The kinds of a service that hold its data."""


@dataclass
class Stack:
    """A stack: its settings, its state, and what is needed to work on it.

    Attributes:
        spec: the settings.
        dir: the stack's directory.
        state: the durable state; written by :meth:`save`.
        runner: runs programs.
        clock: measures timeouts.
        progress: displays what is done.
        services: the services of the stack, dependencies first.
        disabled: the services that it leaves out.
        required: the names of services that only its settings include.
        installation: the installation of Airflow on which commands work.
    """

    spec: StackSpec
    dir: StackDir
    state: StackState
    runner: Runner
    clock: Clock
    progress: Progress
    services: Sequence[Service] = tuple(SERVICES)
    disabled: Sequence[Service] = ()
    required: Sequence[str] = ()
    installation: Installation = FIRST_INSTALLATION
    _clients: dict[tuple[str, float], KubeClient] = field(default_factory=dict)

    @cached_property
    def images(self) -> ImageStore:
        """The store of images."""
        spec = self.spec
        return ImageStore(self.runner, self.progress, spec.images, spec.offline, self.mirrors)

    @property
    def mirrors(self) -> Mirrors:
        """The mirrors of registries."""
        return Mirrors.from_settings(self.spec.mirror)

    @cached_property
    def provider(self) -> Provider:
        """Where the cluster comes from."""
        name = self.state.provider or self.spec.provider
        parts = ProviderParts(self.dir, self.images, self.runner, self.clock, self.progress)
        return make_provider(name, parts)

    @property
    def maps_ports(self) -> bool:
        """True if host ports reach services without port-forwards."""
        return isinstance(self.provider, MapsPorts)

    @property
    def is_up(self) -> bool:
        """True if `devstack up` finished and nothing has removed the stack since."""
        return self.dir.exists() and self.state.phase == "up"

    @property
    def host_ports(self) -> dict[str, HostPort]:
        """The host ports of all services, by name.

        Including those of disabled services, which may be enabled later:
        a provider may map ports only when it creates the cluster.
        """
        services = (*self.services, *self.disabled)
        return {port.name: port for service in services for port in service.host_ports}

    @property
    def mappable_ports(self) -> list[str]:
        """The names of the host ports that a cluster can be created with."""
        return [name for name, port in self.host_ports.items() if port.node_port]

    @property
    def cluster(self) -> ClusterSpec:
        """The cluster that the provider is to create."""
        ports = {**self.port_names, **self.spec.ports, **self.state.ports}
        mapped = {ports[name]: self.host_ports[name].node_port for name in self.mappable_ports}
        return ClusterSpec(
            name=self.spec.name,
            nodes=self.spec.nodes,
            base_node=base_node(self.spec.pool),
            pool_nodes=pool_nodes(smallest(self.spec.pool)),
            host_ports=mapped,
            timeout=self.spec.timeout,
            context=self.state.context or self.spec.context,
            offline=self.spec.offline,
            kubernetes=self.spec.kubernetes,
        )

    @property
    def largest_cluster(self) -> ClusterSpec:
        """The cluster with all nodes that pools may add when pods need them."""
        return replace(self.cluster, pool_nodes=pool_nodes(largest(self.spec.pool)))

    @property
    def port_names(self) -> dict[str, int]:
        """The host ports that this stack needs, with the preferred number of each."""
        preferred = {name: port.preferred for name, port in self.host_ports.items()}
        own = self.provider.own_ports if isinstance(self.provider, MapsPorts) else ()
        return {**preferred, **dict.fromkeys(own, 0)}

    def execute(
        self,
        namespace: str,
        target: str,
        command: Sequence[str],
        text: str = "",
        *,
        container: str = "",
        timeout: float | None = 60.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run a command in a pod, as administrator.

        Args:
            namespace: the pod's.
            target: the pod, or a workload such as ``deployment/postgres``.
            command: the command; never a secret.
            text: its standard input.
            container: the container; empty for the pod's first one.
            timeout: seconds after which it is given up; unlimited if None.
            on_line: called with each line of its output as it appears.

        Raises:
            DevstackError: ``TOOL_TIMEOUT``.
        """
        argv = [
            str(self.kubectl()),
            f"--kubeconfig={self.dir.admin_kubeconfig}",
            f"--cache-dir={self.dir.kubectl_cache}",
            f"--namespace={namespace}",
            "exec",
            "--stdin",
            *([f"--container={container}"] if container else []),
            target,
            "--",
            *command,
        ]
        return self.runner.run(argv, input=text, timeout=timeout, check=False, on_line=on_line)

    def kubectl(self) -> Path:
        """Return the kubectl that fits the cluster, compiled now if there is none."""
        from devstack import tools

        version = self.spec.kubernetes
        return tools.ensure_kubectl(self.runner, self.progress, kubernetes=version)

    def not_up(self) -> DevstackError:
        """Return the error of a command that needs the stack to be up."""
        holder = self.dir.holder()
        other = holder if holder != os.getpid() else None
        return not_up(self.spec.name, self.state.phase if self.dir.exists() else "", other)

    def kube(self, timeout: float = 10.0) -> KubeClient:
        """Return the administrator's API client, with ``timeout`` seconds per request.

        A command uses one client: it keeps connections open and counts writes.
        """
        if not self.dir.admin_kubeconfig.exists():
            raise self.not_up()
        text = self.dir.admin_kubeconfig.read_text(errors="replace")
        key = (text, timeout)
        if key not in self._clients:
            self._clients[key] = KubeClient.from_kubeconfig(text, timeout=timeout)
        client = self._clients[key]
        client.namespace = self.state.namespace
        return client

    def context(self, kube: KubeClient | None, *, restarted: bool = False) -> ServiceContext:
        """Return what services need; ``restarted`` if the cluster was just restarted."""
        services = (*self.services, *self.disabled)
        declared = {each.database: each for each in services}
        databases = tuple(sorted(declared.keys() - {""}))
        added = tuple(name for name in databases if declared[name].added)
        vhosts = tuple(sorted({service.vhost for service in services} - {""}))
        return ServiceContext(
            self.state,
            kube,
            restarted,
            databases,
            added,
            self.execute,
            self.provider.owns_cluster,
            isinstance(self.provider, HasPools),
            vhosts,
        )

    def manifests(self, service: Service) -> list[Manifest]:
        """Return the objects of a service, marked as this stack's."""
        manifests = service.manifests(self.context(None))
        if isinstance(self.provider, HasPools):
            manifests = on_base_nodes(manifests)
        return with_owner(manifests, self.spec.name, self.state.owner)

    def leftovers(self, service: Service) -> list[Manifest]:
        """Return the objects of a service that earlier settings may have left."""
        leftovers = service.leftovers(self.context(None))
        return with_owner(leftovers, self.spec.name, self.state.owner)

    def outputs(self) -> Outputs:
        """Return the combined outputs of all services."""
        context = self.context(None)
        outputs = [service.outputs(context) for service in self.services]
        return Outputs(
            metaflow=_merge(each.metaflow for each in outputs),
            environment=_merge(each.environment for each in outputs),
            urls=_merge(each.urls for each in outputs),
            secrets=_merge(each.secrets for each in outputs),
        )

    def save(self) -> None:
        """Write the state."""
        self.dir.write(self.state)


def _merge(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for table in tables for key, value in table.items()}


def open_stack(
    spec: StackSpec,
    progress: Progress | None = None,
    runner: Runner | None = None,
    clock: Clock | None = None,
    *,
    ignore_corrupt_state: bool = False,
) -> Stack:
    """Return the stack called ``spec.name``, whether it is up or not.

    Settings that the user did not specify are those of the existing stack.

    Args:
        spec: the settings.
        progress: displays what is done; None for no display.
        runner: runs programs; None for the real one.
        clock: measures timeouts; None for the real one.
        ignore_corrupt_state: continue without state, as `down` must.

    Raises:
        DevstackError: ``PROVIDER_UNKNOWN``, ``KUBERNETES_UNSUPPORTED``, ``STATE_BROKEN``,
            ``STATE_NEWER`` or ``SERVICE_NEEDED``.
    """
    require_known(spec.provider)
    if spec.kubernetes:
        require_supported(spec.kubernetes)
    directory = StackDir(spec.name)
    known = directory.read_or_none() if ignore_corrupt_state else directory.read()
    state = known or StackState(name=spec.name, namespace=spec.namespace)
    spec = _with_saved_settings(spec, state) if known else spec
    spec = replace(spec, kubernetes=spec.kubernetes or DEFAULT)
    existing = (state.engine or OF_EARLIER_RELEASES) if known else None
    engine, runner = select_engine(spec.engine, runner or SubprocessRunner(), existing)
    chosen = _choose_services(spec, state)
    return Stack(
        spec=replace(spec, engine=engine, without=chosen.without),
        dir=directory,
        state=state,
        runner=runner,
        clock=clock or SystemClock(),
        progress=progress or Silent(),
        services=chosen.services,
        disabled=chosen.disabled,
        required=chosen.required,
    )


@dataclass(frozen=True)
class _Services:
    """The services of a stack, and the others; see :class:`Stack`."""

    services: Sequence[Service]
    disabled: Sequence[Service]
    without: tuple[str, ...]
    required: Sequence[str]


def _choose_services(spec: StackSpec, state: StackState) -> _Services:
    further = installations(spec.airflow, state.installations)
    every = (*SERVICES, *further)
    named = spec.airflow.get("installations", {})
    gone = {each.name for each in further if each.installation.prefix not in named}
    without = disabled_services(
        every,
        without=spec.without,
        included=spec.included,
        saved_without=state.without,
        saved_included=state.included,
    )
    tables = [
        each.installation.settings(spec.airflow)
        for each in enabled_services(every, {*without, *gone})
        if isinstance(each, AirflowService)
    ]
    required = required_services(every, without, tables, without=spec.without)
    without = tuple(name for name in without if name not in required)
    services = enabled_services(every, {*without, *gone})
    disabled = [each for each in every if each not in services]
    return _Services(services, disabled, without, required)


def _with_saved_settings(spec: StackSpec, state: StackState) -> StackSpec:
    names = ("provider", "context", "namespace", "nodes", "pool", "airflow", "kubernetes")
    given = set(spec.given)
    if spec.pool_file and spec.pool_file == state.pool_file:
        given.add("pool")  # the file that named them names none any more
    saved = {name: getattr(state, name) for name in names if name not in given}
    mirror = spec.mirror if "mirror" in given else {**state.mirror, **spec.mirror}
    mirror = {registry: place for registry, place in mirror.items() if place}
    found = {name: value for name, value in saved.items() if value}
    return replace(spec, **found, mirror=mirror)


def require_up(stack: Stack) -> None:
    """Raise ``STACK_DOWN`` unless the stack is up."""
    if not stack.is_up:
        raise stack.not_up()


def not_up(name: str, phase: str = "", holder: int | None = None) -> DevstackError:
    """Return the error of a command that needs the stack to be up.

    Args:
        name: the stack's name.
        phase: the phase in its state; empty if there is no such stack.
        holder: the process that works on it, if there is one.
    """
    cause = {
        "": f"there is no stack {name!r}",
        "creating": f"`devstack up` of {name!r} was interrupted",
        "deleting": f"`devstack down` of {name!r} was interrupted",
        "retained": f"{name!r} is down; its data is kept",
    }.get(phase, f"stack {name!r} has no cluster")
    remedy = "devstack down" if phase == "deleting" else "devstack up"
    if name != StackSpec.name:
        remedy += f" --name {name}"
    if holder and phase in ("creating", "deleting"):
        # An `up` that was interrupted leaves the phase that `down` finds, and the reverse.
        cause = f"another devstack (process {holder}) is working on {name!r}"
        remedy = f"wait for process {holder} to end, then run the command again"
    return DevstackError(
        "the stack is not up",
        cause=cause,
        remedy=remedy,
        code="STACK_DOWN",
        exit_status=ExitStatus.ENVIRONMENT,
    )
