"""Engines that are installed but do not answer, and how each is started."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from devstack.docker.context import DEFAULT_HOST, contexts, current_context, current_host
from devstack.paths import prepare_docker
from devstack.process import Runner

_APPLICATIONS = (
    ("Docker Desktop", "Docker.app", "open -a Docker"),
    ("OrbStack", "OrbStack.app", "open -a OrbStack"),
    ("Rancher Desktop", "Rancher Desktop.app", "open -a 'Rancher Desktop'"),
)
"""On macOS: name, folder below /Applications, command."""

_FOLDERS = ("/Applications", "~/Applications")


def how_to_start() -> str:
    """Return how to start the engine, or to select another one that can be reached."""
    starts = ", or ".join(f"{name} (`{command}`)" for name, command in _installed())
    start = f"start {starts or 'Docker Desktop'}"
    context = current_context()
    if os.environ.get("DOCKER_HOST"):
        found = ["unset DOCKER_HOST, which names an engine that is not there, or start that one"]
    elif context != "default":
        found = [f"start the engine of the context {context}{_own_start(context)}"]
    else:
        found = [start]
    found += [_how_to_use(name) for name in other_contexts()]
    if context != "default" and not os.path.exists(DEFAULT_HOST.removeprefix("unix://")):
        found.append(f"{start}, and use it: {_use('default')}")
    if shutil.which("podman"):
        found.append("use Podman: devstack up --engine podman")
    if _is_wsl():
        found.append(
            "turn on this distribution in Docker Desktop: Settings, Resources, WSL integration"
        )
    return "; or ".join(found)


def installed_elsewhere(runner: Runner) -> tuple[str, str]:
    """Return cause and remedy if the `docker` command is missing but an engine is not."""
    if runner.which("podman"):
        return "Podman is", "devstack up --engine podman"
    if runner.which("nerdctl"):
        return (
            "nerdctl is, which has no Docker API",
            "in Rancher Desktop choose dockerd (moby): Preferences, Container Engine",
        )
    return "", ""


def _how_to_use(name: str) -> str:
    if os.environ.get("DOCKER_HOST"):
        return f"unset DOCKER_HOST and use the context {name}: {_use(name)}"
    return f"use the context {name}: {_use(name)}"


def _use(name: str) -> str:
    """Return what selects a context, which the variable has precedence over."""
    unset = "unset DOCKER_CONTEXT; " if os.environ.get("DOCKER_CONTEXT") else ""
    return f"`{unset}docker context use {name}`"


def _own_start(context: str) -> str:
    """Return the command that starts the engine of a context, if its name identifies the engine."""
    commands = {
        "rootless": "systemctl --user start docker",
        "colima": "colima start",
        "desktop-linux": "open -a Docker"
        if sys.platform == "darwin"
        else "systemctl --user start docker-desktop",
        "orbstack": "open -a OrbStack",
        "rancher-desktop": "open -a 'Rancher Desktop'",
    }
    if context.startswith("colima-"):
        return f" (`colima start {context.removeprefix('colima-')}`)"
    return f" (`{commands[context]}`)" if context in commands else ""


def other_contexts() -> list[str]:
    """Return the contexts other than the current one whose socket exists."""
    current = current_host()
    # Without DOCKER_HOST, the default one is current.
    default = {} if os.environ.get("DOCKER_HOST") else {"default": DEFAULT_HOST}
    return [
        name
        for name, host in {**default, **contexts()}.items()
        if host != current and host.startswith("unix://") and os.path.exists(host[7:])
    ]


def _installed() -> list[tuple[str, str]]:
    """Return name and command of the engines that can be started; on Linux, Docker's first."""
    found = []
    if sys.platform == "darwin":
        found = [(name, cmd) for name, app, cmd in _APPLICATIONS if _is_application(app)]
    elif Path("/snap/bin/docker").exists():
        found.append(("the Docker engine", "sudo snap start docker"))
    else:
        found.append(("the Docker engine", f"systemctl start docker`, `{prepare_docker()}"))
    if Path("/usr/lib/systemd/user/docker-desktop.service").exists():
        found.append(("Docker Desktop", "systemctl --user start docker-desktop"))
    if shutil.which("colima"):
        found.append(("Colima", "colima start"))
    return found


def _is_application(folder: str) -> bool:
    return any((Path(each).expanduser() / folder).is_dir() for each in _FOLDERS)


def _is_wsl() -> bool:
    return "microsoft" in platform.release().lower()
