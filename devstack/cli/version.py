"""``devstack --version``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from devstack.cli.output import Output


def print_version(context: click.Context, _parameter: click.Parameter, chosen: bool) -> None:
    """Print the version of devstack and of what it runs, and exit."""
    from devstack.cli.output import Output

    if not chosen or context.resilient_parsing:
        return
    output = context.ensure_object(Output)
    output.command = "version"
    _print(output)
    context.exit()


def _print(output: Output) -> None:
    import sys

    from devstack.version import devstack_version

    found = component_versions()
    output.data(devstack=devstack_version(), components=found, executable=sys.executable)
    output.text(f"devstack {devstack_version()}")
    for name, version in found.items():
        output.text(f"  {name:<15} {version}")
    output.finish()


def component_versions() -> dict[str, str]:
    """Return the versions of what a stack consists of by default, by name."""
    import platform
    from importlib import metadata

    from devstack.images import versions
    from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED

    try:
        metaflow = metadata.version("metaflow")
    except metadata.PackageNotFoundError:
        metaflow = ""
    others = ", ".join(minor for minor in SUPPORTED if minor != DEFAULT)
    found = {
        "Kubernetes": f"{DEFAULT} (also {others})",
        "kind": versions.KIND,
        "containerd": versions.CONTAINERD,
        "JobSet": versions.JOBSET,
        "metrics-server": versions.METRICS_SERVER,
        "MinIO": versions.MINIO,
        "Postgres": versions.POSTGRES,
        "Airflow": versions.AIRFLOW,
        "Metaflow": metaflow,
        "Python": platform.python_version(),
    }
    return {name: version.removeprefix("v") for name, version in found.items()}
