"""The steps of `up` that apply each service, wait for it, or remove it."""

from __future__ import annotations

from devstack.kube.api_errors import ServerFaultError, UnreachableError
from devstack.kube.apply import any_present, apply_all, delete_all, differing, identify
from devstack.kube.pods import ImagePullFailed, observe_pod
from devstack.lifecycle.celery_workers import (
    finish_tasks,
    restart_outdated_workers,
    stop_workers,
    unneeded_workers,
)
from devstack.lifecycle.former_jobs import delete_former_jobs
from devstack.lifecycle.image_steps import load_images, node_images_step, wait_for_images
from devstack.lifecycle.logs import SERVICE_LABEL, service_of
from devstack.lifecycle.node_loading import NodeLoading
from devstack.lifecycle.port_forwards import ensure_port_forwards, port_forwards_running
from devstack.lifecycle.step import Step, Undo
from devstack.providers.base import WaitsForServiceNetwork
from devstack.services.base import (
    DetectsCapabilities,
    HasFinalizers,
    Manifest,
    Service,
    ServiceContext,
    ServiceUnreachableError,
)
from devstack.stack import DATA_KINDS, Stack
from devstack.waits import Failed, Observation, Ready, WaitFailedError, Waiting, wait_until


def service_steps(stack: Stack, loading: NodeLoading) -> list[Step]:
    """Return the steps that apply all services, then wait for each, dependencies first.

    A service is applied once the nodes have its images, while those of later ones are loaded.

    Pods that start before a service they need retry until it responds, so waiting
    for it before they are applied would only take longer.
    """
    services = stack.services
    adapting = [service for service in services if isinstance(service, DetectsCapabilities)]
    return [
        *(_tidy_step(stack, service) for service in services if stack.leftovers(service)),
        *(_remove_step(stack, service) for service in stack.disabled),
        *(_adapt_step(stack, service) for service in adapting),
        *(_apply_step(stack, service, loading) for service in services),
        node_images_step(stack, loading),
        *(_ready_step(stack, service) for service in services),
    ]


def _tidy_step(stack: Stack, service: Service) -> Step:
    """Return the step that deletes what a service needed with earlier settings only.

    It comes before services are removed: workers need the broker to finish or return their tasks,
    so it waits for them.
    """

    def is_done() -> bool:
        if not stack.dir.admin_kubeconfig.exists():
            return True
        leftovers = stack.leftovers(service)
        return not any_present(stack.kube(), leftovers) and not unneeded_workers(stack, service)

    def tidy() -> None:
        _delete(stack, stack.leftovers(service))
        finish_tasks(stack, service)

    return Step(
        f"tidy-{service.name}",
        f"Remove what {service.name} no longer needs",
        is_done=is_done,
        ensure=tidy,
        commands=lambda: [f"delete {identify(item)}" for item in stack.leftovers(service)],
    )


def _remove_step(stack: Stack, service: Service) -> Step:
    return Step(
        f"remove-{service.name}",
        f"Remove {service.name}, but for its data",
        is_done=lambda: (
            not stack.dir.admin_kubeconfig.exists()
            or not any_present(stack.kube(), _objects_without_data(stack, service))
        ),
        ensure=lambda: _remove(stack, service),
        commands=lambda: [
            f"delete {identify(item)}" for item in _objects_without_data(stack, service)
        ],
        undo=_delete_service(stack, service),
    )


def _objects_without_data(stack: Stack, service: Service) -> list[Manifest]:
    """Return a service's objects in order of deletion, except those that hold its data."""
    objects = reversed(stack.manifests(service))
    return [item for item in objects if item["kind"] not in DATA_KINDS]


def _remove(stack: Stack, service: Service) -> None:
    stop_workers(stack, service)
    _release(stack, service)
    _delete(stack, _objects_without_data(stack, service))
    stack.state.initialized_services = [
        name for name in stack.state.initialized_services if name != service.name
    ]
    stack.save()


def _delete_service(stack: Stack, service: Service) -> Undo | None:
    """Return how `down` removes a service; None if it is deleted along with the cluster."""
    if stack.provider.owns_cluster:
        return None

    def delete(keep_data: bool) -> None:
        if not stack.dir.admin_kubeconfig.exists():
            return
        everything = list(reversed(stack.manifests(service)))
        objects = _objects_without_data(stack, service) if keep_data else everything
        try:
            # A namespace is deleted when its last pod has ended.
            stop_workers(stack, service)
            _release(stack, service)
            _delete(stack, objects)
        except UnreachableError as error:
            folder = stack.dir.path
            error.remedy = f"retry when it responds; if it no longer exists, remove {folder}"
            raise

    return Undo(f"Delete {service.name}", delete)


def _release(stack: Stack, service: Service) -> None:
    """Delete the objects that only the service's controller could release, if they are ours."""
    if isinstance(service, HasFinalizers) and any_present(stack.kube(), stack.manifests(service)):
        service.release(stack.context(stack.kube()))


def _delete(stack: Stack, objects: list[Manifest]) -> None:
    delete_all(
        stack.kube(),
        objects,
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )


def _adapt_step(stack: Stack, service: DetectsCapabilities) -> Step:
    return Step(
        f"adapt-{service.name}",
        f"Detect capabilities for {service.name}",
        is_done=lambda: service.capabilities_detected(stack.context(None)),
        ensure=lambda: _adapt(stack, service),
        needs_api=True,
    )


def _adapt(stack: Stack, service: DetectsCapabilities) -> None:
    warning = service.adapt(stack.context(stack.kube()))
    if warning:
        stack.progress.warn(warning)
    stack.save()


def _apply_step(stack: Stack, service: Service, loading: NodeLoading) -> Step:
    return Step(
        f"apply-{service.name}",
        f"Apply {service.name}",
        is_done=lambda: not differing(stack.kube(), stack.manifests(service)),
        ensure=lambda: _apply(stack, service, loading),
        commands=lambda: [_describe(item) for item in stack.manifests(service)],
        needs_api=True,
        undo=_delete_service(stack, service),
    )


def _apply(stack: Stack, service: Service, loading: NodeLoading) -> None:
    wait_for_images(stack, loading, service.images)
    stack.save()
    manifests = stack.manifests(service)
    delete_former_jobs(stack, manifests)
    written = apply_all(
        stack.kube(),
        manifests,
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
        before_workloads=lambda: _wait_for_service_network(stack),
    )
    restart_outdated_workers(stack, service, written)


def _wait_for_service_network(stack: Stack) -> None:
    if isinstance(stack.provider, WaitsForServiceNetwork):
        stack.provider.wait_for_service_network(stack.cluster)


def _describe(item: Manifest) -> str:
    metadata = item["metadata"]
    namespace = f" in {metadata['namespace']}" if "namespace" in metadata else ""
    return f"apply {item['kind']} {metadata['name']}{namespace}"


def _ready_step(stack: Stack, service: Service) -> Step:
    def is_done() -> bool:
        if service.name not in stack.state.initialized_services:
            return False
        if not service.is_prepared(stack.context(None)):
            return False
        if not port_forwards_running(stack, service):
            return False
        return isinstance(_observe(service, stack.context(stack.kube())), Ready)

    return Step(
        f"ready-{service.name}",
        f"Wait for {service.name}",
        is_done=is_done,
        ensure=lambda: _make_ready(stack, service),
        needs_api=True,
    )


def _make_ready(stack: Stack, service: Service) -> None:
    restarted = service.name not in stack.state.initialized_services
    ctx = stack.context(stack.kube(), restarted=restarted)
    try:
        _wait_for(stack, service, ctx)
    except WaitFailedError as error:
        if not isinstance(error.observation, ImagePullFailed):
            raise
        _restore_images(stack, service)
        _wait_for(stack, service, ctx)
    ensure_port_forwards(stack, service)
    try:
        service.prepare(ctx)
    except ServiceUnreachableError:
        # A node that could not reach the API for a while is NotReady when the API is back,
        # although its pods were seen ready just before.
        _wait_for(stack, service, ctx)
        service.prepare(ctx)
    if service.name not in stack.state.initialized_services:
        stack.state.initialized_services.append(service.name)
    stack.save()


def _wait_for(stack: Stack, service: Service, ctx: ServiceContext) -> None:
    wait_until(
        lambda: _observe(service, ctx),
        what=f"{service.name} to become ready",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )


def _observe(service: Service, ctx: ServiceContext) -> Observation:
    """Observe a service; an API server that has just started may fail for a moment."""
    try:
        return service.observe(ctx)
    except (ServerFaultError, UnreachableError) as fault:
        return Waiting(str(fault))


def _restore_images(stack: Stack, service: Service) -> None:
    """Load images that nodes lost, and replace the pods: the kubelet backs off for minutes."""
    load_images(stack)
    kube = stack.kube()
    pods = kube.list_objects("v1", "Pod", labels=SERVICE_LABEL)
    pods = [pod for pod in pods if service_of(stack, pod) == service.name]
    _delete(stack, [pod for pod in pods if isinstance(observe_pod(kube, pod), Failed)])
