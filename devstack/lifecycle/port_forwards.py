"""Port-forwards of the ports that the cluster does not map.

These are all ports, if the provider maps none; otherwise those that a service of a later release
or of later settings added: kind maps ports when it creates a cluster.
"""

from __future__ import annotations

from devstack.kube.forward import Forward, is_forwarded, start_forward, stop_forwards
from devstack.services.base import Service
from devstack.stack import Stack


def port_forwards_running(stack: Stack, service: Service) -> bool:
    """Return True if all port-forwards of ``service`` run."""
    return all(is_forwarded(stack.dir.path, forward) for forward in _forwards(stack, service))


def ensure_port_forwards(stack: Stack, service: Service) -> None:
    """Start the port-forwards of ``service`` that do not run.

    Raises:
        DevstackError: ``FORWARD_FAILED`` or ``WAIT_TIMEOUT``.
    """
    for forward in _forwards(stack, service):
        start_forward(
            stack.dir.path,
            forward,
            kubectl=str(stack.kubectl()),
            kubeconfig=stack.dir.admin_kubeconfig,
            clock=stack.clock,
        )


def stop_port_forwards(stack: Stack) -> None:
    """Stop all port-forwards of the stack."""
    stop_forwards(stack.dir.path)


def _forwards(stack: Stack, service: Service) -> list[Forward]:
    return [
        Forward(port.name, stack.state.ports[port.name], port.target)
        for port in service.served_ports(stack.context(None))
        if port.name in stack.state.ports and port.name not in stack.state.mapped_ports
    ]
