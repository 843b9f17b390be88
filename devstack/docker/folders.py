"""Whether an engine's containers can mount a folder of this machine.

Docker Desktop, Colima and the like run containers in a virtual machine that shares some folders
with this one. What is mounted from elsewhere is an empty folder there, without any error.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from devstack.docker.recognition import Product
from devstack.errors import DevstackError, ExitStatus
from devstack.process import Runner

PROBE_TIMEOUT = 60.0

_REMEDIES = {
    "Docker Desktop": "add {folder} in Docker Desktop: Settings, Resources, File sharing",
    "Colima": "Colima shares your home folder only: colima stop; colima start --mount {folder}:w",
    "Rancher Desktop": "Rancher Desktop shares your home folder only: share {folder} in its "
    "Lima override.yaml",
    "Podman": "share {folder} with the machine: podman machine init --volume {folder}:{folder}",
}


def require_mountable(
    runner: Runner, image: str, folder: Path, product: Product, labels: Mapping[str, str]
) -> None:
    """Raise unless a container sees a file of a folder.

    Args:
        runner: runs the engine's command.
        image: an image that the engine has, with ``cat``.
        folder: a folder that this process may write to.
        product: the engine.
        labels: labels of the container.

    Raises:
        DevstackError: ``ENGINE_FOLDER``.
    """
    token = secrets.token_hex(16)
    probe = folder / f"probe-{token[:8]}"
    probe.write_text(token)
    # As nodes, which are privileged: an engine that maps users (userns-remap), or SELinux, could
    # keep the container from reading the folder otherwise.
    argv = ["docker", "run", "--rm", "--userns=host", "--security-opt", "label=disable"]
    argv += ["--network", "none"]
    for name, value in labels.items():
        argv += ["--label", f"{name}={value}"]
    argv += ["--volume", f"{folder}:/probe:ro", "--entrypoint", "cat", image]
    try:
        argv.append(f"/probe/{probe.name}")
        done = runner.run(argv, check=False, timeout=PROBE_TIMEOUT)
    finally:
        probe.unlink(missing_ok=True)
    if done.stdout.strip() != token:
        raise _not_mountable(folder, product, done.stderr)


def _not_mountable(folder: Path, product: Product, output: str) -> DevstackError:
    remedy = _REMEDIES.get(product.name, "use an engine that runs on this machine").format(
        folder=folder
    )
    return DevstackError(
        f"containers cannot see this machine's folder {folder}",
        cause=f"{product.title} mounts another folder, or none, in its place",
        remedy=f"{remedy}. Or set DEVSTACK_HOME to a folder that it shares, such as $HOME/devstack",
        code="ENGINE_FOLDER",
        exit_status=ExitStatus.ENVIRONMENT,
        output=output,
    )
