"""The registry of providers: from the value of ``--provider`` to the provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devstack.errors import DevstackError, ExitStatus
from devstack.providers.base import ClusterSpec, Problem, Provider
from devstack.validation import suggest

if TYPE_CHECKING:
    from devstack.images import ImageStore
    from devstack.process import Runner
    from devstack.progress import Progress
    from devstack.state import StackDir
    from devstack.tools import Tool
    from devstack.waits import Clock

AUTO = "auto"
"""The default of ``--provider``: :data:`DEFAULT`, or ``context`` if a context is named."""

DEFAULT = "kind"
"""The one provider that creates a cluster and needs nothing but Docker."""


def client_tools() -> tuple[Tool, ...]:
    """Return the client programs that a machine without a network needs for any provider."""
    from devstack.providers.kind.cli import KIND
    from devstack.tools import KUBECTL

    return (KIND, KUBECTL)


@dataclass(frozen=True)
class ProviderParts:
    """The arguments of providers' constructors.

    Attributes:
        stack: the stack's directory.
        images: the store of images.
        runner: runs programs.
        clock: the clock.
        progress: receives progress reports.
    """

    stack: StackDir
    images: ImageStore
    runner: Runner
    clock: Clock
    progress: Progress


def _kind(parts: ProviderParts) -> Provider:
    from devstack.providers.kind.provider import KindProvider

    return KindProvider(parts.stack, parts.images, parts.runner, parts.clock, parts.progress)


def _minikube(parts: ProviderParts) -> Provider:
    from devstack.providers.minikube import MinikubeProvider

    return MinikubeProvider(parts.stack, parts.runner, parts.clock, parts.progress)


def _context(parts: ProviderParts) -> Provider:
    from devstack.providers.context import ContextProvider

    return ContextProvider(parts.runner, parts.clock, parts.progress)


_PROVIDERS: Mapping[str, Callable[[ProviderParts], Provider]] = {
    "kind": _kind,
    "context": _context,
    "minikube": _minikube,
}

CHOICES = (AUTO, *_PROVIDERS)
"""The values of ``--provider``."""


def require_known(name: str) -> None:
    """Raise ``PROVIDER_UNKNOWN``, with the closest match, unless ``name`` is one of CHOICES."""
    if name not in CHOICES:
        raise DevstackError(
            f"cannot use provider {name!r}",
            cause=f"there is no such provider{suggest(name, CHOICES)}",
            remedy=f"choose from {', '.join(CHOICES)}",
            code="PROVIDER_UNKNOWN",
            exit_status=ExitStatus.USAGE,
        )


def make_provider(name: str, parts: ProviderParts) -> Provider:
    """Return the provider called ``name``, one of :data:`CHOICES`, for one stack.

    Raises:
        DevstackError: ``PROVIDER_UNKNOWN``.
    """
    require_known(name)
    return _PROVIDERS[DEFAULT if name == AUTO else name](parts)


def read_context(
    context: str, timeout: float, runner: Runner, clock: Clock, progress: Progress
) -> str:
    """Return the kubeconfig of one context of the user's, as soon as its API responds.

    Raises:
        DevstackError: ``CONTEXT_MISSING``, ``WAIT_TIMEOUT`` or a problem of the kubeconfig.
    """
    from devstack.providers.context import ContextProvider

    provider = ContextProvider(runner, clock, progress)
    spec = ClusterSpec("read", context=context, timeout=timeout)
    require_usable(provider, spec)
    return provider.ensure(spec)


def require_usable(provider: Provider, spec: ClusterSpec) -> None:
    """Raise the provider's first problem, if it has one."""
    problems = provider.check(spec)
    if problems:
        raise _unusable(provider.name, problems[0])


def _unusable(name: str, problem: Problem) -> DevstackError:
    return DevstackError(
        f"cannot use provider {name!r}",
        cause=problem.message,
        remedy=problem.remedy,
        code=problem.code,
        exit_status=ExitStatus.ENVIRONMENT,
    )
