"""``devstack pvc list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("list", epilog="Example: devstack pvc list --json")
@click.option("--namespace", "-n", help="The pods' namespace.  [default: the stack's]")
@stack_options
@pass_output
def command(
    output: Output, namespace: str | None, config_file: Path | None, **options: Any
) -> None:
    """List the volume claims of flows, and the pods that use them.

    A claim is Pending until a pod mounts it.
    """
    from devstack.kube.claims import list_claims
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **options))
    require_up(stack)
    claims = list_claims(stack.kube(), namespace or stack.state.namespace)
    output.data(claims=claims)
    width = max([len(claim.name) for claim in claims] + [4])
    output.text(f"{'NAME':<{width}}  {'SIZE':>8}  {'STATE':<11}  USED BY")
    for claim in claims:
        pods = ", ".join(claim.pods) or "-"
        output.text(f"{claim.name:<{width}}  {claim.size:>8}  {claim.state:<11}  {pods}")
    output.finish()
