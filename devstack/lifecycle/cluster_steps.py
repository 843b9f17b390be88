"""The steps of `up` that check the machine and bring up the cluster."""

from __future__ import annotations

import hashlib

from devstack.errors import DevstackError, ExitStatus
from devstack.lifecycle.autoscaler import stop_autoscaler
from devstack.lifecycle.step import Step, Undo
from devstack.ports import PortTakenError, choose, is_free
from devstack.providers.choose import require_usable
from devstack.providers.ownership import foreign_cluster
from devstack.stack import Stack


class ClusterProbe:
    """Whether the cluster responds, determined once for all steps."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._responded: bool | None = None

    def responds(self) -> bool:
        """Return True if the cluster exists and its API responds."""
        if self._responded is None:
            self._responded = self._probe()
        return self._responded

    def _probe(self) -> bool:
        stack = self._stack
        if stack.state.phase != "up" or stack.state.cluster != _fingerprint(_kubeconfig(stack)):
            return False
        try:
            stack.kube().readyz()
            # A worker may have stopped although the control plane responds.
            only_node = stack.state.nodes == 1 and not stack.cluster.pool_nodes
            return only_node or (stack.provider.status(stack.cluster).state == "running")
        except DevstackError:
            return False


def machine_step(stack: Stack, cluster: ClusterProbe) -> Step:
    """Return the step that checks the provider's requirements and the cluster's owner."""
    return Step(
        "machine",
        "Check this machine",
        is_done=cluster.responds,
        ensure=lambda: _check_machine(stack),
    )


def cluster_step(stack: Stack, cluster: ClusterProbe) -> Step:
    """Return the step that creates the cluster or starts it again."""
    provider = stack.provider
    delete = Undo(f"Delete the {provider.name} cluster", lambda _: provider.delete(stack.cluster))
    return Step(
        "cluster",
        f"Bring up the {provider.name} cluster",
        is_done=cluster.responds,
        ensure=lambda: _ensure_cluster(stack),
        commands=lambda: provider.plan(stack.cluster),
        undo=delete if provider.owns_cluster else None,
    )


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


def _ensure_cluster(stack: Stack) -> None:
    """Create or start the cluster; if it is a new one, drop what the state says of the old."""
    # It works on the cluster as it was, and starts kind too; a later step starts it again.
    stop_autoscaler(stack)
    # Every service is probed again, even if this `up` is interrupted.
    stack.state.initialized_services = []
    if stack.cluster.nodes > 1 or stack.largest_cluster.pool_nodes:
        # A node that was stopped was passed over when images were loaded.
        stack.state.loaded = {}
    stack.save()
    try:
        kubeconfig = stack.provider.ensure(stack.cluster)
    except PortTakenError:
        if not _choose_other_ports(stack):
            raise
        kubeconfig = stack.provider.ensure(stack.cluster)
    stack.dir.write_file(stack.dir.admin_kubeconfig.name, kubeconfig)
    if stack.state.cluster != _fingerprint(kubeconfig):
        stack.state.loaded = {}
        stack.state.capabilities = {}
        stack.state.mapped_ports = _mapped_ports(stack)
        stack.dir.kubeconfig.unlink(missing_ok=True)
        stack.state.cluster = _fingerprint(kubeconfig)
        stack.save()


def _mapped_ports(stack: Stack) -> list[str]:
    """Return the names of the host ports that a new cluster maps, the provider's included."""
    forwarded = stack.host_ports.keys() - {*stack.mappable_ports}
    return sorted(stack.state.ports.keys() - forwarded) if stack.maps_ports else []


def _choose_other_ports(stack: Stack) -> bool:
    """Replace ports that another program took; return True if any was replaced.

    Only before the first cluster exists: afterwards users rely on the ports.
    """
    state, wanted = stack.state, stack.spec.ports
    if state.cluster:
        return False
    usable = {name: port for name, port in state.ports.items() if name in wanted or is_free(port)}
    chosen = choose(stack.port_names, wanted, usable)
    replaced = chosen != state.ports
    state.ports = chosen
    stack.save()
    return replaced


def _fingerprint(kubeconfig: str) -> str:
    """Return an id of the cluster: each has certificates of its own."""
    return hashlib.sha256(kubeconfig.encode()).hexdigest()[:16]


def _kubeconfig(stack: Stack) -> str:
    path = stack.dir.admin_kubeconfig
    return path.read_text() if path.exists() else ""
