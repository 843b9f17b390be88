"""The step of `up` that lets nodes pull from the stack's registry."""

from __future__ import annotations

from devstack.lifecycle.step import Step
from devstack.providers.base import RedirectsRegistries
from devstack.services.registry import NODE_PORT, RegistryService, registry_hosts
from devstack.stack import Stack

_NAME = RegistryService.name


def registry_steps(stack: Stack) -> list[Step]:
    """Return the step, if the stack has a registry and the provider's nodes can be told of it."""
    if not _has_registry(stack):
        return []
    return [
        Step(
            "registry-nodes",
            "Let the nodes pull from the registry",
            # Capabilities are forgotten with the cluster.
            is_done=lambda: stack.state.capabilities.get(_NAME) == _hosts(stack)[0],
            ensure=lambda: _redirect(stack),
            commands=lambda: [
                f"on each node: {host} is node port {NODE_PORT}" for host in _hosts(stack)
            ],
        )
    ]


def forget_redirection(stack: Stack) -> None:
    """Let the step run again, for nodes that do not know of the registry."""
    stack.state.capabilities.pop(_NAME, None)


def redirect_nodes(stack: Stack) -> None:
    """Tell the nodes that run where the stack's registry is, if it has one."""
    provider = stack.provider
    if _has_registry(stack) and isinstance(provider, RedirectsRegistries):
        for host in _hosts(stack):
            provider.redirect_registry(stack.cluster, host, f"http://127.0.0.1:{NODE_PORT}")


def _has_registry(stack: Stack) -> bool:
    named = any(service.name == _NAME for service in stack.services)
    return named and isinstance(stack.provider, RedirectsRegistries)


def _redirect(stack: Stack) -> None:
    redirect_nodes(stack)
    stack.state.capabilities[_NAME] = _hosts(stack)[0]
    stack.save()


def _hosts(stack: Stack) -> tuple[str, ...]:
    return registry_hosts(stack.state.ports.get(_NAME, 0))
