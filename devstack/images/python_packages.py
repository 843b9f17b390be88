"""Installing Python packages into a folder, for the Python of an image."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images import certificates
from devstack.images.machine import machine_name
from devstack.process import Completed, Runner

PIP_MISSING = "PIP_MISSING"
"""The code of the error if nothing can install Python packages."""


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


def resolve_packages(
    runner: Runner, requirements: Path, constraints: Path, python: str
) -> list[str]:
    """Return what requirements need, as NAME==VERSION; nothing is installed.

    Args:
        runner: starts pip, or else uv.
        requirements: a requirements file.
        constraints: versions that must not be changed, in a file.
        python: minor version that the packages are for.

    Raises:
        DevstackError: ``PIP_MISSING``, or that of a program that failed, with its output.
    """
    installer = _installer(runner)
    options = ["--only-binary", ":all:", "--python-version", python, *_platform(installer)]
    options += ["--constraint", str(constraints)]
    if Path(installer[0]).stem == "uv":
        argv = [installer[0], "pip", "compile", "--no-config", "--no-header", "--no-annotate"]
        done = _run(runner, [*argv, *options, str(requirements)])
        return [line.split(" ")[0] for line in done.stdout.splitlines() if "==" in line]
    report = requirements.with_name("report.json")
    argv = [*installer, "--dry-run", "--ignore-installed", "--no-input", "--progress-bar=off"]
    argv += ["--target", str(requirements.with_name("unused")), "--report", str(report), *options]
    _run(runner, [*argv, "--requirement", str(requirements)])
    found = (each["metadata"] for each in json.loads(report.read_text())["install"])
    return [f"{each['name']}=={each['version']}" for each in found]


def _run(runner: Runner, argv: Sequence[str]) -> Completed:
    """Run an installer; its error has all output, since pip prints reasons on both streams."""
    done = runner.run(argv, env=certificates.variables(), check=False)
    if done.ok:
        return done
    raise DevstackError(
        "cannot find the Python packages that are required",
        cause=f"the installer ended with status {done.returncode}",
        code="PACKAGES_NOT_FOUND",
        output=f"{done.stdout}\n{done.stderr}",
    )


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
        remedy=f"put uv on PATH, or run {sys.executable} -m ensurepip",
        code=PIP_MISSING,
        exit_status=ExitStatus.ENVIRONMENT,
    )
