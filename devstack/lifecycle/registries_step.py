"""The step of `up` that configures mirrors and the stack's registry on the nodes."""

from __future__ import annotations

import os
import re
from functools import cached_property

from devstack.lifecycle.step import Step
from devstack.providers.base import ConfiguresRegistries, RegistrySettings
from devstack.services.packages.authorities import read_authorities
from devstack.services.registry import NODE_PORT, RegistryService, registry_hosts
from devstack.stack import Stack

_LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+)(:|/|\Z)")

_CAPABILITY = "registries"
"""What the state calls the version of the nodes' settings."""


def registries_steps(stack: Stack) -> list[Step]:
    """Return the step, if the provider's nodes can be configured."""
    provider = stack.provider
    if not isinstance(provider, ConfiguresRegistries):
        return []
    version = _Version(stack, provider)
    return [
        Step(
            "registries",
            "Configure registries on the nodes",
            # Capabilities are forgotten with the cluster.
            is_done=lambda: stack.state.capabilities.get(_CAPABILITY, "") == version.wanted,
            ensure=lambda: _configure(stack, version),
            commands=lambda: _describe(stack),
        )
    ]


def forget_registries(stack: Stack) -> None:
    """Let the step run again, for nodes that are not configured."""
    stack.state.capabilities.pop(_CAPABILITY, None)


def configure_registries(stack: Stack) -> None:
    """Configure registries on the nodes that run, if there is anything to configure."""
    provider = stack.provider
    if not isinstance(provider, ConfiguresRegistries):
        return
    settings = _settings(stack)
    if provider.registries_version(stack.cluster, settings):
        provider.configure_registries(stack.cluster, settings)


class _Version:
    """The version of the settings, determined once for an `up`."""

    def __init__(self, stack: Stack, provider: ConfiguresRegistries) -> None:
        self._stack = stack
        self.provider = provider

    @cached_property
    def wanted(self) -> str:
        return self.provider.registries_version(self._stack.cluster, _settings(self._stack))


def _configure(stack: Stack, version: _Version) -> None:
    for registry, mirror in stack.spec.mirror.items():
        if _LOOPBACK.match(mirror):
            stack.progress.warn(
                f"nodes cannot reach {mirror}, the mirror of {registry}: there it is the node "
                "itself. Use this machine's name or address instead"
            )
    version.provider.configure_registries(stack.cluster, _settings(stack))
    stack.state.capabilities[_CAPABILITY] = version.wanted
    stack.save()


def _settings(stack: Stack) -> RegistrySettings:
    local = dict.fromkeys(_own_hosts(stack), f"http://127.0.0.1:{NODE_PORT}")
    return RegistrySettings(stack.spec.mirror, local, read_authorities(os.environ))


def _describe(stack: Stack) -> list[str]:
    mirrors = [
        f"on each node: {registry} is pulled from {mirror}"
        for registry, mirror in sorted(stack.spec.mirror.items())
    ]
    return [*mirrors, *(f"on each node: {h} is node port {NODE_PORT}" for h in _own_hosts(stack))]


def _own_hosts(stack: Stack) -> tuple[str, ...]:
    """Return the names of the stack's own registry, if it has one."""
    if not any(service.name == RegistryService.name for service in stack.services):
        return ()
    return registry_hosts(stack.state.ports.get(RegistryService.name, 0))
