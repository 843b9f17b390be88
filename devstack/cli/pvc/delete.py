"""``devstack pvc delete``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("delete", epilog="Example: devstack pvc delete my-data")
@click.argument("claims", nargs=-1, required=True, metavar="NAME...")
@click.option("--namespace", "-n", help="The pods' namespace.  [default: the stack's]")
@stack_options
@pass_output
def command(
    output: Output,
    claims: tuple[str, ...],
    namespace: str | None,
    config_file: Path | None,
    **options: Any,
) -> None:
    """Delete volume claims with their data; if one is in use, none is deleted.

    Kubernetes keeps a claim until no pod mounts it, so all pods that have ended and mount it are
    deleted, with their logs; those of Metaflow's tasks are also in the datastore. A run between
    two steps or two attempts has no pod: stop it before. A storage class whose reclaim policy is
    Retain keeps the data.
    """
    from devstack.kube.claims import delete_claims
    from devstack.stack import open_stack, require_up

    stack = open_stack(load(config_file, **options))
    require_up(stack)
    deleted = delete_claims(stack.kube(), namespace or stack.state.namespace, claims)
    missing = [name for name in claims if name not in deleted]
    output.data(deleted=deleted, missing=missing)
    for name in claims:
        output.text(f"Volume claim {name} {'is deleted' if name in deleted else 'does not exist'}.")
    output.finish()
