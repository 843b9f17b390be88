"""The clients that devstack calls: kind and kubectl, from PATH or compiled."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, overload

from devstack.errors import DevstackError, ExitStatus
from devstack.images import versions
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler
from devstack.images.programs import PROGRAMS
from devstack.process import Runner, SubprocessRunner
from devstack.progress import Progress


@overload
def find_kind(
    runner: Runner, progress: Progress, offline: bool = ..., *, build: Literal[True] = ...
) -> Path: ...
@overload
def find_kind(
    runner: Runner, progress: Progress, offline: bool = ..., *, build: Literal[False]
) -> Path | None: ...
def find_kind(
    runner: Runner, progress: Progress, offline: bool = False, *, build: bool = True
) -> Path | None:
    """Return the kind CLI: a recent one on PATH, else the compiled one.

    Args:
        runner: starts programs.
        progress: told what is compiled.
        offline: True where nothing may be fetched.
        build: compile it where there is none; else None is returned.

    Raises:
        DevstackError: ``TOOL_MISSING`` when offline.
    """
    return _find("kind", _kind_is_recent, runner, progress, offline, build)


@overload
def find_kubectl(
    runner: Runner, progress: Progress, offline: bool = ..., *, build: Literal[True] = ...
) -> Path: ...
@overload
def find_kubectl(
    runner: Runner, progress: Progress, offline: bool = ..., *, build: Literal[False]
) -> Path | None: ...
def find_kubectl(
    runner: Runner, progress: Progress, offline: bool = False, *, build: bool = True
) -> Path | None:
    """Return kubectl: a recent one on PATH, else the compiled one; see :func:`find_kind`."""
    return _find("kubectl", _kubectl_is_recent, runner, progress, offline, build)


def find_clients(progress: Progress) -> dict[str, Path]:
    """Return the kind CLI and kubectl, by name; see :func:`find_kind`."""
    runner = SubprocessRunner()
    return {"kind": find_kind(runner, progress), "kubectl": find_kubectl(runner, progress)}


def _find(
    name: str,
    is_recent: Callable[[Runner, str], bool],
    runner: Runner,
    progress: Progress,
    offline: bool,
    build: bool,
) -> Path | None:
    compiler = Compiler(runner, progress, ArtifactCache())
    compiled = compiler.built(PROGRAMS[name])
    if compiled:
        return compiled
    on_path = runner.which(name)
    if on_path and is_recent(runner, on_path):
        return Path(on_path)
    if not build:
        return None
    if offline:
        raise _missing(name)
    with ArtifactCache().lock(progress):
        return compiler.ensure([PROGRAMS[name]])[name]


def _kind_is_recent(runner: Runner, kind: str) -> bool:
    match = re.search(r"v(\d+)\.(\d+)", runner.run([kind, "version"], check=False).stdout)
    return bool(match) and (int(match[1]), int(match[2])) >= versions.OLDEST_KIND  # type: ignore[index]


def _kubectl_is_recent(runner: Runner, kubectl: str) -> bool:
    done = runner.run([kubectl, "version", "--client", "--output", "json"], check=False)
    try:
        client = json.loads(done.stdout)["clientVersion"]
        found = int(client["major"]), int(re.sub(r"\D", "", client["minor"]))
    except (ValueError, KeyError):
        return False
    return found >= versions.OLDEST_KUBECTL


def _missing(name: str) -> DevstackError:
    return DevstackError(
        f"cannot run {name} offline",
        cause="it is neither on PATH nor compiled yet",
        remedy="devstack images load FILE brings it; or leave --offline out",
        code="TOOL_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )
