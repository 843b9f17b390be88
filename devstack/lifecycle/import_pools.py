"""Write the pools, quotas, limit ranges and priority classes of another cluster for this one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.config import load
from devstack.errors import DevstackError, ExitStatus
from devstack.kube import kubeconfig
from devstack.kube.api_errors import ForbiddenError
from devstack.kube.client import KubeClient, Object
from devstack.pools.observed import observe_pools
from devstack.pools.settings import NODES_MAX
from devstack.pools.toml_tables import pool_table
from devstack.process import Runner
from devstack.progress import Progress
from devstack.providers.choose import read_context
from devstack.waits import Clock

TIMEOUT = 15.0
"""Seconds for the other cluster's API to answer."""

_POLICIES = {
    "ResourceQuota": ("v1", True),
    "LimitRange": ("v1", True),
    "PriorityClass": ("scheduling.k8s.io/v1", False),
}
"""What limits tasks, beside nodes: version, and whether it belongs to a namespace."""


@dataclass
class Imported:
    """What was written.

    Attributes:
        pools: the names of the pools that were added.
        nodes: the number of their nodes.
        policies: what was written into the file of manifests: "ResourceQuota team".
        file: the settings file.
        manifests: the file of manifests; None if there is nothing to write into it.
        notes: what could not be read, or not be written as the cluster has it.
    """

    file: Path
    pools: list[str] = field(default_factory=list)
    nodes: int = 0
    policies: list[str] = field(default_factory=list)
    manifests: Path | None = None
    notes: list[str] = field(default_factory=list)


def connect(
    context: str, runner: Runner, clock: Clock, progress: Progress
) -> tuple[KubeClient, str]:
    """Return a client of a context of the user's kubeconfig, and the context's namespace.

    Raises:
        DevstackError: ``CONTEXT_MISSING`` or ``WAIT_TIMEOUT``.
    """
    text = read_context(context, TIMEOUT, runner, clock, progress)
    found = kubeconfig.parse(text)["contexts"][0]["context"]
    return KubeClient.from_kubeconfig(text), found.get("namespace") or "default"


def import_pools(client: KubeClient, namespace: str, file: Path, at_most: int) -> Imported:
    """Write what tasks find on another cluster into devstack.toml, and a file beside it.

    Args:
        client: reads the other cluster.
        namespace: where tasks run there.
        file: the settings file; it is created if it does not exist.
        at_most: the most nodes of one pool.

    Raises:
        DevstackError: ``POOLS_UNREADABLE`` if the account may not read nodes, or
            ``CONFIG_INVALID``.
    """
    result = Imported(file)
    text = file.read_text() if file.exists() else ""
    taken = _names(text, file)
    observed = observe_pools(_nodes(client), at_most)
    result.notes += observed.notes
    tables = []
    for pool in observed.pools:
        pool["count"] = min(pool["count"], NODES_MAX - result.nodes)
        if pool["name"] in taken:
            result.notes.append(f"pool {pool['name']!r} exists already and is left as it is")
        elif pool["count"] < 1:
            result.notes.append(f"pool {pool['name']!r} is left out: {NODES_MAX} nodes are most")
        else:
            tables.append(pool_table(pool))
            result.pools.append(pool["name"])
            result.nodes += pool["count"]
    found = _policies(client, namespace, result)
    if found:
        text = _write_manifests(found, text, result)
    if tables:
        text = "\n".join([text.rstrip() + "\n" if text.strip() else "", *tables]).lstrip("\n")
    _write(file, text)
    return result


def _nodes(client: KubeClient) -> list[Object]:
    try:
        return client.list_objects("v1", "Node")
    except ForbiddenError as refused:
        raise DevstackError(
            f"cannot read the nodes of context {client.context!r}",
            cause=refused.cause,
            remedy="ask for `kubectl get nodes` (get and list), or write [[pool]] by hand",
            code="POOLS_UNREADABLE",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from refused


def _policies(client: KubeClient, namespace: str, result: Imported) -> list[Object]:
    found: list[Object] = []
    for kind, (version, namespaced) in _POLICIES.items():
        where = f" of namespace {namespace!r}" if namespaced else ""
        try:
            items = client.list_objects(version, kind, namespace if namespaced else None)
        except ForbiddenError as refused:
            result.notes.append(f"each {kind}{where} is left out: {refused.cause}")
            continue
        for item in items:
            if not item["metadata"]["name"].startswith("system-"):
                found.append(_manifest(item))
                result.policies.append(f"{kind} {item['metadata']['name']}")
    return found


def _manifest(item: Object) -> Object:
    """Return an object without what its cluster adds; `up` applies it to the tasks' namespace."""
    kept = dict(item)
    first = {"apiVersion": kept.pop("apiVersion"), "kind": kept.pop("kind")}
    metadata = {"name": kept.pop("metadata")["name"]}
    kept.pop("status", None)
    return {**first, "metadata": metadata, **kept}


def _write_manifests(found: Sequence[Object], text: str, result: Imported) -> str:
    """Write the file of manifests; return the settings' text, which names it."""
    path = result.file.with_name("devstack-policies.yaml")
    import yaml

    path.write_text(yaml.safe_dump_all(found, sort_keys=False))
    result.manifests = path
    settings = _parse(text, result.file)
    if path.name in settings.get("manifests", []):
        return text
    line = f'manifests = ["{path.name}"]'
    if "manifests" in settings:
        result.notes.append(f"add {path.name!r} to manifests in {result.file.name} yourself")
        return text
    # A setting of the file itself has to stand before its tables.
    return f"{line}\n{text}" if text else f"{line}\n"


def _names(text: str, file: Path) -> set[str]:
    return {str(pool.get("name")) for pool in _parse(text, file).get("pool", [])}


def _parse(text: str, file: Path) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as broken:
        raise DevstackError(
            f"cannot add to {file}",
            cause=str(broken),
            remedy="correct it and run the command again",
            code="CONFIG_INVALID",
            exit_status=ExitStatus.USAGE,
        ) from broken


def _write(file: Path, text: str) -> None:
    """Replace the settings file, once the new text is known to be valid."""
    draft = file.with_name(f".{file.name}.new")
    try:
        draft.write_text(text)
        load(draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
