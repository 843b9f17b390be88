"""Backup of volumes by `down --keep-data`, and its restoration by the next `up`."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.apply import delete_all
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import has_ended
from devstack.kube.volumes import claim_names
from devstack.kube.volumes_on_nodes import node_of
from devstack.lifecycle.celery_workers import stop_workers
from devstack.lifecycle.step import Step
from devstack.progress import step
from devstack.providers.base import KeepsVolumes
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

LISTING = "volumes.json"
_VOLUME = "PersistentVolume"
_CLAIM = "PersistentVolumeClaim"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def require_volume_backup(stack: Stack) -> None:
    """Raise ``DATA_NOT_KEPT`` if the provider cannot keep data without its cluster."""
    provider = stack.provider
    if provider.owns_cluster and not isinstance(provider, KeepsVolumes):
        raise DevstackError(
            f"cannot keep the data of stack {stack.spec.name!r}",
            cause=f"deleting its {provider.name} cluster deletes the volumes",
            remedy=f"omit --keep-data, or stop the cluster with {provider.name} itself",
            code="DATA_NOT_KEPT",
            exit_status=ExitStatus.USAGE,
        )


def save_volumes(stack: Stack) -> None:
    """Stop the services and copy the contents of volumes; do nothing without a cluster.

    Raises:
        DevstackError: ``VOLUME_UNREADABLE`` or ``WAIT_TIMEOUT``; the cluster still exists.
    """
    provider = stack.provider
    if not stack.dir.admin_kubeconfig.exists() or not isinstance(provider, KeepsVolumes):
        return
    kube = stack.kube()
    _scale_down(stack, kube)
    volumes = _bound_volumes(kube)
    folders = defaultdict(list)
    for volume in volumes:
        folders[node_of(volume)].append(_folder(volume))
    unfinished = stack.dir.path / "volumes.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    with step(stack.progress, f"Save {len(volumes)} volumes"):
        provider.save_volumes(stack.cluster, folders, unfinished)
    stack.dir.write_file(f"{unfinished.name}/{LISTING}", json.dumps(volumes, indent=2))
    shutil.rmtree(stack.dir.volumes, ignore_errors=True)
    unfinished.replace(stack.dir.volumes)


def restore_step(stack: Stack) -> Step:
    """Return the step of `up` that restores saved volumes."""
    return Step(
        "volumes",
        "Restore the saved data",
        is_done=lambda: not _saved(stack) or _volumes_exist(stack),
        ensure=lambda: _restore(stack),
        commands=lambda: [f"restore {_claim(volume)}" for volume in _saved(stack)],
    )


def remove_backup(stack: Stack) -> None:
    """Remove the copies, after the stack is up with their contents."""
    shutil.rmtree(stack.dir.volumes, ignore_errors=True)


def _restore(stack: Stack) -> None:
    provider, kube = stack.provider, stack.kube()
    if isinstance(provider, KeepsVolumes):
        provider.restore_volumes(stack.cluster, stack.dir.volumes)
    nodes = {node["metadata"]["name"]: node for node in kube.list_objects("v1", "Node")}
    for volume in _saved(stack):
        if kube.find("v1", _VOLUME, volume["metadata"]["name"]) is None:
            kube.create(_on_existing_node(volume, nodes))


def _on_existing_node(volume: Object, nodes: Mapping[str, Object]) -> Object:
    """Return the volume where it was restored: on the control plane if its node is no more."""
    control_plane = next((name for name in nodes if _is_control_plane(nodes[name])), "")
    lost = node_of(volume)
    if not lost or lost in nodes or not control_plane:
        return volume
    text = json.dumps(volume).replace(json.dumps(lost), json.dumps(control_plane))
    moved: Object = json.loads(text)
    return moved


def _is_control_plane(node: Object) -> bool:
    return _CONTROL_PLANE in (node["metadata"].get("labels") or {})


def _saved(stack: Stack) -> list[Object]:
    listing = stack.dir.volumes / LISTING
    found: list[Object] = json.loads(listing.read_text()) if listing.exists() else []
    return found


def _volumes_exist(stack: Stack) -> bool:
    kube = stack.kube()
    names = [volume["metadata"]["name"] for volume in _saved(stack)]
    return all(kube.find("v1", _VOLUME, name) for name in names)


def _scale_down(stack: Stack, kube: KubeClient) -> None:
    """Stop the servers gracefully: a copy made during writes would be inconsistent."""
    services = (*stack.services, *stack.disabled)
    objects = [item for service in services for item in stack.manifests(service)]
    servers = [item for item in objects if item["kind"] == "Deployment"]
    namespaces = {item["metadata"]["namespace"] for item in servers}
    with step(stack.progress, "Stop the services"):
        for service in services:
            stop_workers(stack, service)
        delete_all(kube, servers, timeout=stack.spec.timeout, clock=stack.clock)
        wait_until(
            lambda: _observe_scale_down(kube, namespaces),
            what="the services to stop",
            timeout=stack.spec.timeout,
            clock=stack.clock,
            note=stack.progress.note,
        )


def _observe_scale_down(kube: KubeClient, namespaces: set[str]) -> Observation:
    for pod in kube.list_objects("v1", "Pod"):
        metadata = pod["metadata"]
        if metadata["namespace"] in namespaces and claim_names(pod) and not has_ended(pod):
            return Waiting(f"pod {metadata['namespace']}/{metadata['name']} is still running")
    return Ready()


def _bound_volumes(kube: KubeClient) -> list[Object]:
    """Return the volumes with data, as they are to be created again."""
    found = [volume for volume in kube.list_objects("v1", _VOLUME) if _is_kept(volume)]
    return [_rebind_volume(volume) for volume in found]


def _is_kept(volume: Object) -> bool:
    spec = volume["spec"]
    bound = volume.get("status", {}).get("phase") == "Bound"
    return bound and bool(spec.get("nodeAffinity")) and bool(spec.keys() & {"hostPath", "local"})


def _rebind_volume(volume: Object) -> Object:
    """Return the volume for a new cluster, reserved for its claim."""
    claim = volume["spec"]["claimRef"]
    reference = {key: claim[key] for key in ("namespace", "name")}
    metadata = volume["metadata"]
    return {
        "apiVersion": "v1",
        "kind": _VOLUME,
        "metadata": {
            "name": metadata["name"],
            "annotations": metadata.get("annotations", {}),
        },
        "spec": {
            **volume["spec"],
            "claimRef": {"apiVersion": "v1", "kind": _CLAIM, **reference},
        },
    }


def _claim(volume: Object) -> str:
    claim = volume["spec"]["claimRef"]
    return f"{claim['namespace']}/{claim['name']}"


def _folder(volume: Object) -> str:
    source = volume["spec"].get("hostPath") or volume["spec"]["local"]
    return str(source["path"])
