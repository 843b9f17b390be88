"""Installing Python packages into a folder, for the Python of an image."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images import certificates
from devstack.images.machine import machine_name
from devstack.process import Runner


def install_packages(
    runner: Runner,
    target: Path,
    requirements: Sequence[str],
    python: str | None = None,
    from_source: Sequence[str] = (),
) -> None:
    """Install wheels below ``target``, with pip or else uv.

    Args:
        runner: starts the installer.
        target: the folder, which will be on ``sys.path``.
        requirements: requirements, or options such as ``--requirement FILE``.
        python: minor version that the wheels are for; by default this Python's.
        from_source: pure Python packages that are published without a wheel;
            ``requirements`` must then list all dependencies.

    Raises:
        DevstackError: ``PACKAGE_INDEX_UNREACHABLE`` or ``PIP_MISSING``.
    """
    installer = _installer(runner)
    options = ["--quiet", "--target", str(target), "--no-compile", "--only-binary", ":all:"]
    if python:
        options += ["--python-version", python, *_platform(installer)]
    if from_source:
        options += ["--no-deps", "--no-binary", ",".join(from_source)]
    try:
        runner.run([*installer, *options, *requirements], env=certificates.variables())
    except DevstackError as error:
        raise DevstackError(
            "cannot install Python packages for an image",
            cause=str(error),
            remedy="check pip's index settings, the proxy variables and, behind a company's "
            f"proxy, {certificates.VARIABLE}",
            code="PACKAGE_INDEX_UNREACHABLE",
            exit_status=ExitStatus.ENVIRONMENT,
            output=error.output,
        ) from error


def _platform(installer: Sequence[str]) -> list[str]:
    """Return the options for wheels of an image, if this machine has another system than images.

    The tags are those of glibc up to 2.28, which both installers know.
    """
    if sys.platform == "linux":
        return []
    machine = machine_name()
    if Path(installer[0]).stem == "uv":
        return ["--python-platform", f"{machine}-manylinux_2_28"]
    tags = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_12", "manylinux2010")
    return [word for tag in tags for word in ("--platform", f"{tag}_{machine}")]


def _installer(runner: Runner) -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    uv = runner.which("uv")
    if uv:
        return [uv, "pip", "install", "--no-config"]
    raise DevstackError(
        "cannot install Python packages for an image",
        cause="this Python has no pip, and there is no uv on PATH",
        remedy=f"{sys.executable} -m ensurepip",
        code="PIP_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )
