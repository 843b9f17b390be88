"""From a provider's name to the provider; "auto" is kind, or says what to do."""

from __future__ import annotations

from devstack.errors import DevstackError, ExitStatus
from devstack.images import ImageStore
from devstack.process import Runner
from devstack.progress import Progress
from devstack.providers.base import ClusterSpec, Problem, Provider
from devstack.providers.context import ContextProvider
from devstack.providers.kind.provider import KindProvider
from devstack.providers.minikube import MinikubeProvider
from devstack.state import StackDir
from devstack.waits import Clock

AUTO = "kind"
"""What "auto" picks; the emulated cluster joins the choice where there is no Docker."""


def make_provider(
    name: str,
    stack: StackDir,
    images: ImageStore,
    runner: Runner,
    clock: Clock,
    progress: Progress,
) -> Provider:
    """Return the provider called ``name`` for one stack.

    Args:
        name: "auto", "kind", "context" or "minikube".
        stack: the stack's directory.
        images: where images come from.
        runner: starts programs.
        clock: tells the time.
        progress: told what is going on.
    """
    if name == "context":
        return ContextProvider(runner, clock, progress)
    if name == "minikube":
        return MinikubeProvider(stack, runner, clock, progress)
    return KindProvider(stack, images, runner, clock, progress)


def require_usable(provider: Provider, spec: ClusterSpec) -> None:
    """Raise the provider's first problem, where it has one, with what to do."""
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
