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

    from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED
    from devstack.version import devstack_version

    found = component_versions()
    output.data(
        devstack=devstack_version(),
        components=found,
        kubernetes=list(SUPPORTED),
        executable=sys.executable,
    )
    others = ", ".join(minor for minor in SUPPORTED if minor != DEFAULT)
    output.text(f"devstack {devstack_version()}")
    for name, version in found.items():
        more = f" (also {others})" if name == "Kubernetes" else ""
        output.text(f"  {name:<15} {version}{more}")
    output.finish()


def component_versions() -> dict[str, str]:
    """Return the versions of what a stack consists of by default, by name."""
    import platform
    from importlib import metadata

    from devstack.images import versions
    from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED

    kubernetes = SUPPORTED[DEFAULT]
    patches = [f"{kubernetes.pulled} pulled", f"{kubernetes.built.removeprefix('v')} built"]
    try:
        metaflow = metadata.version("metaflow")
    except metadata.PackageNotFoundError:
        metaflow = ""
    found = {
        "Kubernetes": ", ".join(patches),
        "kind": versions.KIND,
        "containerd": versions.CONTAINERD,
        "JobSet": versions.JOBSET,
        "metrics-server": versions.METRICS_SERVER,
        "MinIO": versions.MINIO,
        "Postgres": versions.POSTGRES,
        "Airflow": versions.AIRFLOW,
        "Argo Workflows": versions.ARGO,
        "Argo Events": versions.ARGO_EVENTS,
        "NATS": versions.NATS,
        "Metaflow": metaflow,
        "Python": platform.python_version(),
    }
    return {name: version.removeprefix("v") for name, version in found.items()}
