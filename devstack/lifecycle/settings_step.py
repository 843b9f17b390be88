"""The step of `up` that saves the stack's settings, and what settings cannot change."""

from __future__ import annotations

import msgspec

from devstack.config import StackSpec
from devstack.errors import DevstackError, ExitStatus
from devstack.lifecycle.step import Step
from devstack.pools.instance_types import GIB
from devstack.pools.nodes import base_node
from devstack.pools.settings import BASE_POOL, PoolSettings
from devstack.ports import choose
from devstack.providers.base import HasPools
from devstack.providers.engines import OF_EARLIER_RELEASES
from devstack.stack import Stack


def settings_step(stack: Stack) -> Step:
    """Return the step that chooses ports and saves the settings."""
    return Step(
        "settings",
        "Choose ports and credentials",
        is_done=lambda: _settings_match(stack),
        ensure=lambda: _save_settings(stack),
        commands=lambda: [f"write {stack.dir.path}/stack.json"],
    )


def require_changeable(stack: Stack) -> None:
    """Refuse settings that differ from an existing stack's and cannot be changed.

    Raises:
        DevstackError: ``STACK_DIFFERS`` or ``KUBERNETES_FIXED``.
    """
    state, spec = stack.state, stack.spec
    _require_choosable_kubernetes(stack)
    if not stack.dir.exists():
        return
    provider = stack.provider.name if spec.provider == "auto" else spec.provider
    fixed = {
        "provider": (state.provider, provider),
        "namespace": (state.namespace, spec.namespace),
        "nodes": (state.nodes, spec.nodes),
        "version of Kubernetes": _kubernetes(stack),
        "engine": (state.engine or OF_EARLIER_RELEASES, spec.engine),
        "disk of the control plane": _disks(stack),
        "size of the nodes": _sizes(stack),
        "context": (state.context, spec.context or state.context),
    }
    for setting, (current, wanted) in fixed.items():
        if current and current != wanted:
            raise _not_changeable(spec, setting, current, wanted)
    # As long as no cluster maps them, ports can still be changed.
    mapped = state.ports if stack.dir.admin_kubeconfig.exists() else {}
    for name, port in spec.ports.items():
        if mapped.get(name, port) != port:
            raise _not_changeable(spec, f"port {name}", state.ports[name], port)


def _require_choosable_kubernetes(stack: Stack) -> None:
    spec = stack.spec
    if "kubernetes" in spec.given and not stack.provider.owns_cluster:
        raise DevstackError(
            f"cannot choose Kubernetes {spec.kubernetes} for stack {spec.name!r}",
            cause=f"the cluster of context {stack.cluster.context!r} exists already",
            remedy="omit --kubernetes, and `kubernetes` in the table [cluster] of the settings",
            code="KUBERNETES_FIXED",
            exit_status=ExitStatus.USAGE,
        )


def _kubernetes(stack: Stack) -> tuple[str, str]:
    """Return the version of Kubernetes, as it is and as it is to be."""
    wanted = stack.spec.kubernetes
    created = stack.provider.owns_cluster and stack.dir.admin_kubeconfig.exists()
    return stack.state.kubernetes if created else wanted, wanted


def _disks(stack: Stack) -> tuple[str, str]:
    """Return the size of the base nodes' disks, as they are and as they are to be."""
    wanted = base_node(stack.spec.pool).disk
    exists = stack.dir.admin_kubeconfig.exists() and not has_old_nodes(stack)
    existing = base_node(_pools(stack.state.pool)).disk if exists else wanted
    return _gibibytes(existing), _gibibytes(wanted)


def _gibibytes(size: int) -> str:
    return f"{size / GIB:g} GiB"


def _sizes(stack: Stack) -> tuple[str, str]:
    """Return the size of the base nodes, if it cannot be changed."""
    named = any(pool["name"] == BASE_POOL for pool in stack.spec.pool)
    old = "the machine's"
    return old, "that of the pool 'control-plane'" if named and has_old_nodes(stack) else old


def has_old_nodes(stack: Stack) -> bool:
    """Return True if an earlier release made the nodes: their size is the machine's."""
    provider = stack.provider
    if not isinstance(provider, HasPools) or not stack.dir.admin_kubeconfig.exists():
        return False
    pools = {spec.pool for spec in provider.nodes_by_name(stack.cluster).values()}
    return BASE_POOL not in pools


def warn_of_old_nodes(stack: Stack) -> None:
    """Say that tasks may not fit that fitted before: Metaflow's defaults are lowered no more."""
    if has_old_nodes(stack):
        stack.progress.warn(
            "the nodes have this machine's size, since an earlier devstack made them; a task "
            "requests 1 CPU and 4 GB unless its step says otherwise. For nodes of any size: "
            f"devstack down --name {stack.spec.name}, then up"
        )


def _pools(tables: object) -> tuple[PoolSettings, ...]:
    # As JSON, since a list of the file is a tuple once it is validated.
    return msgspec.json.decode(msgspec.json.encode(tables), type=tuple[PoolSettings, ...])


def _not_changeable(
    spec: StackSpec, setting: str, current: object, wanted: object
) -> DevstackError:
    return DevstackError(
        f"cannot change the {setting} of stack {spec.name!r} to {wanted}",
        cause=f"it was brought up with {current}",
        remedy=f"devstack down --name {spec.name}, then up again, or another --name; "
        "down --keep-data keeps what flows have stored",
        code="STACK_DIFFERS",
        exit_status=ExitStatus.USAGE,
    )


def _settings_match(stack: Stack) -> bool:
    state, spec = stack.state, stack.spec
    return (
        stack.dir.exists()
        and set(state.ports) == set(stack.port_names)
        and all(state.ports.get(name) == port for name, port in spec.ports.items())
        and state.without == list(spec.without)
        and state.airflow == spec.airflow
        and state.mirror == spec.mirror
        and same_pools(stack)
        and state.pool_file == pool_file(stack)
    )


def pool_file(stack: Stack) -> str:
    """Return the file that the stack's pools are from."""
    return stack.spec.pool_file if "pool" in stack.spec.given else stack.state.pool_file


def provider_of_changed_pools(stack: Stack) -> HasPools | None:
    """Return the provider of a stack that is up and gets other pools; None if it does not."""
    provider = stack.provider
    if stack.state.phase != "up" or same_pools(stack) or not isinstance(provider, HasPools):
        return None
    return provider


def same_pools(stack: Stack) -> bool:
    """Return True if the stack has the pools that it is to have."""
    return _pools(stack.state.pool) == _pools(stack.spec.pool)


def _included(stack: Stack) -> list[str]:
    """Return the services off by default that the user included; settings may change again."""
    off = [each.name for each in stack.services if not each.enabled_by_default]
    return [name for name in off if name not in stack.required]


def _save_settings(stack: Stack) -> None:
    state, spec = stack.state, stack.spec
    if not stack.dir.exists():
        state.owner = stack.dir.owner.on_this_machine()
    state.ports = choose(stack.port_names, spec.ports, state.ports)
    state.provider = stack.provider.name
    state.context = spec.context
    state.namespace = spec.namespace
    state.nodes = spec.nodes
    state.kubernetes = spec.kubernetes
    # It is the recorded one, if there was a stack: `require_changeable` refuses any other.
    state.engine = spec.engine
    state.pool_file = pool_file(stack)
    state.pool = msgspec.json.decode(msgspec.json.encode(spec.pool))
    state.without = list(spec.without)
    state.included = _included(stack)
    state.airflow = dict(spec.airflow)
    state.installations = sorted({*state.installations, *spec.airflow.get("installations", {})})
    state.mirror = dict(spec.mirror)
    state.phase = "creating"
    stack.save()
