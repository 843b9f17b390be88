"""The client programs that devstack runs: from PATH if recent enough, else compiled."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images import versions
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler
from devstack.images.kubernetes_versions import DEFAULT, parse_minor
from devstack.images.programs import Program, client_program, versioned
from devstack.process import Runner
from devstack.progress import Progress, Silent


@dataclass(frozen=True)
class Tool:
    """A client program.

    Attributes:
        name: its name on PATH and in the catalogue of compiled programs.
        is_recent: returns True if the program at a path is recent enough.
    """

    name: str
    is_recent: Callable[[Runner, str], bool]


def kubectl_version(runner: Runner, kubectl: str) -> tuple[int, int] | None:
    """Return the major and minor version of a kubectl; None if it does not tell."""
    done = runner.run([kubectl, "version", "--client", "--output", "json"], check=False)
    try:
        client = json.loads(done.stdout)["clientVersion"]
        return int(client["major"]), int(re.sub(r"\D", "", client["minor"]))
    except (ValueError, KeyError):
        return None


def _kubectl_is_recent(runner: Runner, kubectl: str) -> bool:
    found = kubectl_version(runner, kubectl)
    return found is not None and found >= versions.OLDEST_KUBECTL


KUBECTL = Tool("kubectl", _kubectl_is_recent)


def find_tool(tool: Tool, runner: Runner) -> Path | None:
    """Return a client program: the compiled one, else a recent one on PATH, else None."""
    compiled = Compiler(runner, Silent(), ArtifactCache()).built(client_program(tool.name))
    if compiled:
        return compiled
    on_path = runner.which(tool.name)
    return Path(on_path) if on_path and tool.is_recent(runner, on_path) else None


def ensure_tool(tool: Tool, runner: Runner, progress: Progress, offline: bool = False) -> Path:
    """Return a client program, compiled if there is none.

    Args:
        tool: the program.
        runner: runs programs.
        progress: receives progress reports.
        offline: True if nothing may be fetched.

    Raises:
        DevstackError: ``TOOL_MISSING`` if it would have to be compiled, but ``offline``.
    """
    found = find_tool(tool, runner)
    return found or _compile(client_program(tool.name), tool.name, runner, progress, offline)


def find_kubectl(runner: Runner, kubernetes: str = DEFAULT) -> Path | None:
    """Return the kubectl that fits a cluster best, None if there is none.

    That is the one that was compiled with the cluster's version, else one that is at most one
    minor version apart, as Kubernetes' version skew policy requires, else any recent one.

    Args:
        runner: runs programs.
        kubernetes: the cluster's minor version.
    """
    compiler = Compiler(runner, Silent(), ArtifactCache())
    same = compiler.built(client_program(versioned(KUBECTL.name, kubernetes)))
    if same:
        return same
    compiled = compiler.built(client_program(KUBECTL.name))
    if compiled and fits(parse_minor(DEFAULT), parse_minor(kubernetes)):
        return compiled
    on_path = runner.which(KUBECTL.name)
    version = kubectl_version(runner, on_path) if on_path else None
    if on_path and version and fits(version, parse_minor(kubernetes)):
        return Path(on_path)
    is_recent = version is not None and version >= versions.OLDEST_KUBECTL
    return compiled or (Path(on_path) if on_path and is_recent else None)


def fits(kubectl: tuple[int, int], cluster: tuple[int, int]) -> bool:
    """Return True if a kubectl supports a cluster: one minor version apart, at most."""
    return kubectl[0] == cluster[0] and abs(kubectl[1] - cluster[1]) <= 1


def ensure_kubectl(
    runner: Runner, progress: Progress, offline: bool = False, kubernetes: str = DEFAULT
) -> Path:
    """Return the kubectl of :func:`find_kubectl`; the cluster's own, compiled, if there is none.

    Args:
        runner: runs programs.
        progress: receives progress reports.
        offline: True if nothing may be fetched.
        kubernetes: the cluster's minor version.

    Raises:
        DevstackError: ``TOOL_MISSING`` if it would have to be compiled, but ``offline``.
    """
    found = find_kubectl(runner, kubernetes)
    same = client_program(versioned(KUBECTL.name, kubernetes))
    return found or _compile(same, KUBECTL.name, runner, progress, offline)


def _compile(
    program: Program, name: str, runner: Runner, progress: Progress, offline: bool
) -> Path:
    if offline:
        raise DevstackError(
            f"cannot run {name} offline",
            cause="it is neither on PATH nor compiled yet",
            remedy="devstack images load FILE brings it; or omit --offline",
            code="TOOL_MISSING",
            exit_status=ExitStatus.ENVIRONMENT,
        )
    cache = ArtifactCache()
    with cache.lock(progress):
        return Compiler(runner, progress, cache).ensure([program])[program.name]
