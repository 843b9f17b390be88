"""Write the pools, quotas, limit ranges and priority classes of another cluster for this one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.config import load
from devstack.errors import DevstackError, ExitStatus
from devstack.images.machine import architecture
from devstack.kube import kubeconfig
from devstack.kube.api_errors import ApiError, ForbiddenError, UnreachableError
from devstack.kube.client import KubeClient, Object
from devstack.pools.mistakes import count_nodes
from devstack.pools.observed import observe_pools
from devstack.pools.settings import NODES_MAX, PoolSettings
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
        content: the text of the file of manifests.
    """

    file: Path
    pools: list[str] = field(default_factory=list)
    nodes: int = 0
    policies: list[str] = field(default_factory=list)
    manifests: Path | None = None
    notes: list[str] = field(default_factory=list)
    content: str = ""


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
    file = file.resolve()  # a link stays one
    result = Imported(file)
    text = _read(file)
    end = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    settings = _parse(text, file)
    _require_appendable(settings, text, file)
    given: list[Any] = list(settings.get("pool", ()))
    observed = observe_pools(_nodes(client), at_most, architecture())
    result.notes += observed.notes
    added = _new_pools(observed.pools, given, result)
    text = _with_manifests(text, settings, _policies(client, namespace, result), result)
    if added:
        tables = [pool_table(pool) for pool in added]
        text = "\n".join([text.rstrip() + "\n" if text.strip() else "", *tables]).lstrip("\n")
    with _policies_file(result):
        _write(file, text.replace("\n", end))
    return result


def _new_pools(
    observed: Sequence[PoolSettings], given: Sequence[Mapping[str, Any]], result: Imported
) -> list[PoolSettings]:
    """Return the pools to add, each with at least one node before one gets a second."""
    taken = {pool.get("name") for pool in given}
    new = [pool for pool in observed if pool["name"] not in taken]
    result.notes += [
        f"pool {pool['name']!r} exists already and is left as it is"
        for pool in observed
        if pool["name"] in taken
    ]
    wanted = [pool["count"] for pool in new]
    counts = _share(wanted, NODES_MAX - count_nodes(given))
    if counts != wanted:
        result.notes.append(
            f"a stack has at most {NODES_MAX} nodes in pools: {sum(wanted) - sum(counts)} of"
            f" {sum(wanted)} are left out; a smaller --at-most leaves room for more pools"
        )
    added = []
    for pool, count in zip(new, counts, strict=True):
        pool["count"] = count
        if not count:
            result.notes.append(f"pool {pool['name']!r} is left out")
            continue
        if without := pool.get("zones", ())[count:]:
            result.notes.append(f"pool {pool['name']!r} has no node in zone {', '.join(without)}")
        added.append(pool)
    result.pools = [pool["name"] for pool in added]
    result.nodes = sum(counts)
    return added


def _share(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many nodes each pool gets of those for which there is room."""
    counts = [0] * len(wanted)
    while room > 0 and counts != list(wanted):
        for index, most in enumerate(wanted):
            if counts[index] < most and room > 0:
                counts[index] += 1
                room -= 1
    return counts


def _nodes(client: KubeClient) -> list[Object]:
    try:
        return client.list_objects("v1", "Node")
    except ForbiddenError as refused:
        remedy = "ask for `kubectl get nodes` (get and list), or write [[pool]] by hand"
        raise _unreadable(client, refused, remedy) from refused
    except (ApiError, UnreachableError) as failed:
        remedy = f"log in to that cluster: kubectl --context {client.context} get nodes"
        raise _unreadable(client, failed, remedy) from failed


def _unreadable(client: KubeClient, error: DevstackError, remedy: str) -> DevstackError:
    return DevstackError(
        f"cannot read the nodes of context {client.context!r}",
        cause=error.cause,
        remedy=remedy,
        code="POOLS_UNREADABLE",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _policies(client: KubeClient, namespace: str, result: Imported) -> list[Object]:
    found: list[Object] = []
    for kind, (version, namespaced) in _POLICIES.items():
        where = f" of namespace {namespace!r}" if namespaced else ""
        try:
            items = client.list_objects(version, kind, namespace if namespaced else None)
        except (ApiError, UnreachableError) as refused:
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


def _with_manifests(
    text: str, settings: Mapping[str, Any], found: Sequence[Object], result: Imported
) -> str:
    """Return the settings' text with the name of the file of manifests."""
    if not found:
        return text
    import yaml

    path = result.file.with_name("devstack-policies.yaml")
    content = yaml.safe_dump_all(found, sort_keys=False)
    if path.exists() and path.read_text() != content:
        result.policies.clear()
        result.notes.append(
            f"{path.name} has other content and stays as it is; remove it to import the quotas,"
            " limit ranges and priority classes again"
        )
        return text
    result.manifests, result.content = path, content
    if path.name in settings.get("manifests", []):
        return text
    line = f'manifests = ["{path.name}"]'
    if "manifests" in settings:
        result.notes.append(f"add {path.name!r} to manifests in {result.file.name} yourself")
        return text
    # A setting of the file itself has to stand before its tables.
    return f"{line}\n{text}" if text else f"{line}\n"


@contextmanager
def _policies_file(result: Imported) -> Iterator[None]:
    """Write the file of manifests, unless the settings that name it cannot be written."""
    if result.manifests is None:
        yield
        return
    draft = result.manifests.with_name(f".{result.manifests.name}.new")
    try:
        _save(draft, result.content)
        yield
        draft.replace(result.manifests)
    finally:
        draft.unlink(missing_ok=True)


def _read(file: Path) -> str:
    """Return the settings file's text with its own line ends; empty if there is none."""
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as broken:
        raise _invalid(file, str(broken), "correct it and run the command again") from broken


def _parse(text: str, file: Path) -> Mapping[str, Any]:
    from devstack.toml import tomllib

    try:
        return dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as broken:
        raise _invalid(file, str(broken), "correct it and run the command again") from broken


def _require_appendable(settings: Mapping[str, Any], text: str, file: Path) -> None:
    """Check that a table ``[[pool]]`` may follow the file's text."""
    if file.exists():
        load(file)
    if "pool" in settings and not re.search(r"^\s*\[\[\s*[\"']?pool[\"']?\s*\]\]", text, re.M):
        raise _invalid(
            file,
            "`pool = [...]` cannot be followed by tables [[pool]]",
            "write each of its pools as a table [[pool]] at the end of the file, and remove it",
        )


def _invalid(file: Path, cause: str, remedy: str) -> DevstackError:
    return DevstackError(
        f"cannot add to {file}",
        cause=cause,
        remedy=remedy,
        code="CONFIG_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def _write(file: Path, text: str) -> None:
    """Replace the settings file, once the new text is known to be valid."""
    draft = file.with_name(f".{file.name}.new")
    try:
        _save(draft, text)
        try:
            load(draft)
        except DevstackError as error:
            cause = f"with the pools of the other cluster: {error.cause}"
            raise _invalid(file, cause, "leave pools out with a smaller --at-most") from error
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _save(file: Path, text: str) -> None:
    try:
        file.write_bytes(text.encode())
    except OSError as failed:
        remedy = "name a file in a folder that exists and may be written, with --config"
        raise _invalid(file, str(failed), remedy) from failed
