"""The steps of `devstack up`."""

from __future__ import annotations

import hashlib

from devstack.config import StackSpec
from devstack.environment import credentials_current, ensure_credentials
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ServerFaultError, UnreachableError
from devstack.kube.apply import any_present, apply_all, delete_all, differing, identify
from devstack.kube.pods import observe_pod
from devstack.lifecycle.backup import remove_backup, restore_step
from devstack.lifecycle.logs import SERVICE_LABEL
from devstack.lifecycle.port_forwards import ensure_port_forwards, port_forwards_running
from devstack.lifecycle.step import Step, run_steps
from devstack.ports import choose, is_free
from devstack.providers.base import LoadsImages
from devstack.providers.choose import require_usable
from devstack.providers.ownership import foreign_cluster
from devstack.services.base import DetectsCapabilities, Manifest, Service, ServiceContext
from devstack.services.selection import require_dependencies
from devstack.stack import DATA_KINDS, Stack
from devstack.waits import Failed, Observation, Ready, Waiting, wait_until


def up(stack: Stack) -> list[str]:
    """Bring the stack up, or heal it; return the names of the steps that did something.

    Raises:
        DevstackError: from the step that failed.
    """
    with stack.dir.lock():
        # Another `up` may have written while this one waited for its turn.
        stack.state = stack.dir.read() or stack.state
        _require_same(stack)
        if stack.state.phase in ("deleting", "retained"):
            stack.state.phase = "creating"
            stack.save()
        changed = run_steps(build_steps(stack), stack.progress, stack.clock)
        if stack.state.phase != "up":
            stack.state.phase = "up"
            stack.save()
        remove_backup(stack)
    return changed


def build_steps(stack: Stack) -> list[Step]:
    """Return the steps that bring the stack up, in order.

    Raises:
        DevstackError: ``SERVICE_NEEDED``.
    """
    require_dependencies([*stack.services, *stack.disabled], stack.spec.without)
    cluster = _Cluster(stack)
    steps = [
        Step(
            "machine",
            "Check this machine",
            is_done=cluster.answers,
            ensure=lambda: _check_machine(stack),
        ),
        Step(
            "settings",
            "Choose ports and credentials",
            is_done=lambda: _settings_match(stack),
            ensure=lambda: _save_settings(stack),
            commands=lambda: [f"write {stack.dir.path}/stack.json"],
        ),
        Step(
            "images",
            "Get the images",
            is_done=lambda: cluster.answers() and stack.state.images == _wanted_images(stack),
            ensure=lambda: _ensure_images(stack, to_make=not cluster.answers()),
            commands=lambda: [f"have image {stack.images.reference(n)}" for n in _needed(stack)],
        ),
        Step(
            "cluster",
            f"Bring up the {stack.provider.name} cluster",
            is_done=cluster.answers,
            ensure=cluster.ensure,
            commands=lambda: stack.provider.plan(stack.cluster),
        ),
        Step(
            "node-images",
            "Load the images into the nodes",
            is_done=lambda: bool(stack.state.images) and stack.state.loaded == stack.state.images,
            ensure=lambda: _load_images(stack),
        ),
    ]
    if stack.dir.volumes.exists():
        steps.append(restore_step(stack))
    steps += [_remove_step(stack, service) for service in stack.disabled]
    steps += _service_steps(stack)
    steps.append(
        Step(
            "access",
            "Hand out kubeconfig and Metaflow settings",
            is_done=lambda: credentials_current(stack),
            ensure=lambda: ensure_credentials(stack),
            commands=lambda: [f"write {stack.dir.kubeconfig}", f"write {stack.dir.metaflow_home}"],
            needs_api=True,
        )
    )
    return steps


def _service_steps(stack: Stack) -> list[Step]:
    """Return the steps that apply all services, then wait for each, dependencies first.

    Pods that start before a service they need retry until it responds, so waiting
    for it before they are applied would only take longer.
    """
    services = stack.services
    adapting = [service for service in services if isinstance(service, DetectsCapabilities)]
    return [
        *(_adapt_step(stack, service) for service in adapting),
        *(_apply_step(stack, service) for service in services),
        *(_ready_step(stack, service) for service in services),
    ]


class _Cluster:
    """The cluster's part of the plan; asks it once whether it answers."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._answered: bool | None = None

    def answers(self) -> bool:
        """Return True where the cluster is there and its API answers."""
        if self._answered is None:
            self._answered = self._ask()
        return self._answered

    def _ask(self) -> bool:
        stack = self._stack
        if stack.state.phase != "up" or stack.state.cluster != _fingerprint(_text(stack)):
            return False
        try:
            stack.kube().readyz()
            # A worker may have stopped though the control plane answers.
            alone = stack.state.nodes == 1
            return alone or stack.provider.status(stack.cluster).state == "running"
        except DevstackError:
            return False

    def ensure(self) -> None:
        """Let the provider make or heal the cluster; forget what a lost one held."""
        stack = self._stack
        # Every service has to prove itself again, even if this `up` is cut short.
        stack.state.initialized_services = []
        stack.save()
        try:
            kubeconfig = stack.provider.ensure(stack.cluster)
        except DevstackError as error:
            if error.code != "PORT_TAKEN" or not _choose_other_ports(stack):
                raise
            kubeconfig = stack.provider.ensure(stack.cluster)
        stack.dir.write_file(stack.dir.admin_kubeconfig.name, kubeconfig)
        if stack.state.cluster != _fingerprint(kubeconfig):
            stack.state.loaded = {}
            stack.dir.kubeconfig.unlink(missing_ok=True)
            stack.state.cluster = _fingerprint(kubeconfig)
            stack.save()


def _choose_other_ports(stack: Stack) -> bool:
    """Replace ports that others took since they were chosen; return whether that helps.

    Only before the first cluster: later ones are known to whoever uses the stack.
    """
    state, wanted = stack.state, stack.spec.ports
    if state.cluster:
        return False
    kept = {name: port for name, port in state.ports.items() if name in wanted or is_free(port)}
    chosen = choose(stack.port_names, wanted, kept)
    helps = chosen != state.ports
    state.ports = chosen
    stack.save()
    return helps


def _fingerprint(kubeconfig: str) -> str:
    """Tell clusters apart: each has certificates of its own."""
    return hashlib.sha256(kubeconfig.encode()).hexdigest()[:16]


def _text(stack: Stack) -> str:
    path = stack.dir.admin_kubeconfig
    return path.read_text() if path.exists() else ""


def _require_same(stack: Stack) -> None:
    """Refuse settings that an existing stack cannot change to; nothing is lost so."""
    state, spec = stack.state, stack.spec
    if not stack.dir.exists():
        return
    wanted = {
        "provider": (
            state.provider,
            stack.provider.name if spec.provider == "auto" else spec.provider,
        ),
        "namespace": (state.namespace, spec.namespace),
        "nodes": (state.nodes, spec.nodes),
        "context": (state.context, spec.context or state.context),
    }
    for setting, (has, wants) in wanted.items():
        if has and has != wants:
            raise _fixed(spec, setting, has, wants)
    # Until there is a cluster that maps them, ports can still be chosen anew.
    mapped = state.ports if stack.dir.admin_kubeconfig.exists() else {}
    for name, port in spec.ports.items():
        if mapped.get(name, port) != port:
            raise _fixed(spec, f"port {name}", state.ports[name], port)


def _fixed(spec: StackSpec, setting: str, has: object, wants: object) -> DevstackError:
    return DevstackError(
        f"cannot change the {setting} of stack {spec.name!r} to {wants!r}",
        cause=f"it was brought up with {has!r}",
        remedy=f"devstack down --name {spec.name}, then up again, or another --name",
        code="STACK_DIFFERS",
        exit_status=ExitStatus.USAGE,
    )


def _settings_match(stack: Stack) -> bool:
    chosen, wanted = stack.state.ports, stack.spec.ports
    as_wanted = all(chosen.get(name) == port for name, port in wanted.items())
    as_wanted = as_wanted and stack.state.without == list(stack.spec.without)
    as_wanted = as_wanted and stack.state.airflow == stack.spec.airflow
    return stack.dir.exists() and set(chosen) == set(stack.port_names) and as_wanted


def _save_settings(stack: Stack) -> None:
    state, spec = stack.state, stack.spec
    if not stack.dir.exists():
        state.owner = stack.dir.owner.on_this_machine()
    state.ports = choose(stack.port_names, spec.ports, state.ports)
    state.provider = stack.provider.name
    state.context = spec.context
    state.namespace = spec.namespace
    state.nodes = spec.nodes
    state.without = list(spec.without)
    state.included = [each.name for each in stack.services if not each.enabled_by_default]
    state.airflow = dict(spec.airflow)
    state.phase = "creating"
    stack.save()


def _check_machine(stack: Stack) -> None:
    require_usable(stack.provider, stack.cluster)
    _require_ownership(stack)


def _require_ownership(stack: Stack) -> None:
    """Refuse to use the cluster of another user or state directory, or one without a state."""
    provider, name = stack.provider, stack.spec.name
    owner = provider.owner(stack.cluster)
    if owner is None:
        return
    if not owner.matches(stack.dir.owner):
        raise foreign_cluster(name, f"the {provider.name} cluster of this name", owner)
    if not stack.dir.exists() and provider.status(stack.cluster).state != "absent":
        raise DevstackError(
            f"cannot bring up stack {name!r}",
            cause=f"its {provider.name} cluster exists, but {stack.dir.path} was lost",
            remedy=f"remove the cluster and its data: devstack down --name {name}",
            code="STATE_LOST",
            exit_status=ExitStatus.ENVIRONMENT,
        )


def _wanted_images(stack: Stack) -> dict[str, str]:
    names = {name for service in stack.services for name in service.images} | {"task"}
    return {name: stack.images.reference(name) for name in sorted(names)}


def _needed(stack: Stack, *, to_make: bool = True) -> list[str]:
    """Return the images that this machine must have, to give them to the nodes.

    Args:
        stack: the stack.
        to_make: whether the nodes are still to be made.
    """
    if not isinstance(stack.provider, LoadsImages):
        return []
    node = ["node"] if stack.provider.name == "kind" and to_make else []
    return [*node, *_wanted_images(stack)]


def _ensure_images(stack: Stack, *, to_make: bool) -> None:
    needed = _needed(stack, to_make=to_make)
    if needed:
        stack.images.ensure(needed)
    stack.state.images = _wanted_images(stack)
    stack.save()


def _load_images(stack: Stack) -> None:
    provider = stack.provider
    if isinstance(provider, LoadsImages):
        present = provider.images_present(stack.cluster)
        missing = [ref for ref in stack.state.images.values() if ref not in present]
        if missing:
            provider.load_images(stack.cluster, missing)
    stack.state.loaded = dict(stack.state.images)
    stack.save()


def _remove_step(stack: Stack, service: Service) -> Step:
    return Step(
        f"remove-{service.name}",
        f"Remove {service.name}, but for its data",
        is_done=lambda: (
            not stack.dir.admin_kubeconfig.exists()
            or not any_present(stack.kube(), _removable(stack, service))
        ),
        ensure=lambda: _remove(stack, service),
        commands=lambda: [f"delete {identify(item)}" for item in _removable(stack, service)],
    )


def _removable(stack: Stack, service: Service) -> list[Manifest]:
    """Return what goes with a service that is left out: it may come back to its data."""
    objects = reversed(stack.manifests(service))
    return [item for item in objects if item["kind"] not in DATA_KINDS]


def _remove(stack: Stack, service: Service) -> None:
    delete_all(
        stack.kube(),
        _removable(stack, service),
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )
    stack.state.initialized_services = [
        name for name in stack.state.initialized_services if name != service.name
    ]
    stack.save()


def _adapt_step(stack: Stack, service: DetectsCapabilities) -> Step:
    return Step(
        f"adapt-{service.name}",
        f"See what the cluster offers for {service.name}",
        is_done=lambda: service.capabilities_detected(stack.context(None)),
        ensure=lambda: _adapt(stack, service),
        needs_api=True,
    )


def _adapt(stack: Stack, service: DetectsCapabilities) -> None:
    warning = service.adapt(stack.context(stack.kube()))
    if warning:
        stack.progress.warn(warning)
    stack.save()


def _apply_step(stack: Stack, service: Service) -> Step:
    return Step(
        f"apply-{service.name}",
        f"Apply {service.name}",
        is_done=lambda: not differing(stack.kube(), stack.manifests(service)),
        ensure=lambda: _apply(stack, service),
        commands=lambda: [_describe(item) for item in stack.manifests(service)],
        needs_api=True,
    )


def _apply(stack: Stack, service: Service) -> None:
    stack.save()
    apply_all(
        stack.kube(),
        stack.manifests(service),
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )


def _describe(item: dict[str, object]) -> str:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    where = f" in {metadata['namespace']}" if "namespace" in metadata else ""
    return f"apply {item['kind']} {metadata['name']}{where}"


def _ready_step(stack: Stack, service: Service) -> Step:
    def is_done() -> bool:
        if service.name not in stack.state.initialized_services or not port_forwards_running(
            stack, service
        ):
            return False
        return isinstance(_observe(service, stack.context(stack.kube())), Ready)

    return Step(
        f"ready-{service.name}",
        f"Wait for {service.name}",
        is_done=is_done,
        ensure=lambda: _await_ready(stack, service),
        needs_api=True,
    )


def _await_ready(stack: Stack, service: Service) -> None:
    restarted = service.name not in stack.state.initialized_services
    ctx = stack.context(stack.kube(), restarted=restarted)
    try:
        _wait_for(stack, service, ctx)
    except DevstackError as error:
        if error.code != "IMAGE_PULL_FAILED":
            raise
        _pull_again(stack, service)
        _wait_for(stack, service, ctx)
    ensure_port_forwards(stack, service)
    service.prepare(ctx)
    if service.name not in stack.state.initialized_services:
        stack.state.initialized_services.append(service.name)
    stack.save()


def _wait_for(stack: Stack, service: Service, ctx: ServiceContext) -> None:
    wait_until(
        lambda: _observe(service, ctx),
        what=f"{service.name} to be ready",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )


def _observe(service: Service, ctx: ServiceContext) -> Observation:
    """Look at a service; an API server that has just started refuses much for a moment."""
    try:
        return service.observe(ctx)
    except (ServerFaultError, UnreachableError) as fault:
        return Waiting(str(fault))


def _pull_again(stack: Stack, service: Service) -> None:
    """Bring images that the nodes lost, and try at once: the kubelet would in minutes."""
    _load_images(stack)
    kube = stack.kube()
    pods = kube.list_objects("v1", "Pod", labels=f"{SERVICE_LABEL}={service.name}")
    stuck = [pod for pod in pods if isinstance(observe_pod(kube, pod), Failed)]
    delete_all(kube, stuck, timeout=stack.spec.timeout, clock=stack.clock, note=stack.progress.note)
