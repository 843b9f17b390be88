"""``devstack pvc create``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("create", epilog="Example: devstack pvc create my-data 10Gi")
@click.argument("claim", metavar="NAME")
@click.argument("size")
@click.option("--namespace", "-n", help="The pods' namespace.  [default: the stack's]")
@stack_options
@pass_output
def command(
    output: Output,
    claim: str,
    size: str,
    namespace: str | None,
    config_file: Path | None,
    **options: Any,
) -> None:
    """Create the volume claim NAME of SIZE, such as 10Gi, where flows run.

    It has the cluster's default storage class; its volume is created on the node of the first
    pod that mounts it. A claim that exists with this size stays as it is.
    """
    from devstack.kube.claims import ensure_claim
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **options))
    require_up(stack)
    namespace = namespace or stack.state.namespace
    created = ensure_claim(stack.kube(), namespace, claim, size)
    output.data(name=claim, size=size, namespace=namespace, created=created)
    output.text(
        f"Volume claim {claim} ({size}) is created."
        if created
        else f"Volume claim {claim} ({size}) exists already."
    )
    output.text(f'Next: @kubernetes(persistent_volume_claims={{"{claim}": "/data"}})')
    output.finish()
